"""What a run did so far, in a few numbers of bounded size: what a record is compared with."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from tbgrad.diagnosis.quarters import Quarters, fall, middle_of
from tbgrad.diagnosis.record import Record
from tbgrad.log.median import median
from tbgrad.log.tags import (
    GRADIENT_NORM,
    GRADIENT_NORM_MAX,
    LEARNING_RATE,
    LOSS,
    MINIMUM_RATIO,
    UPDATE_RATIO,
    VALIDATION_LOSS,
)

FIRST = 10
"""So many records are the beginning of a run."""
RECENT = 32
"""So many records are its present."""
PATIENCE = 4
"""So many validations are looked at together."""
OVERLAP = 8
"""After so many records more the present is looked at anew, where it is set against the past."""
FAR = 8
"""After so many records that are further apart in a row, that is what is usual from there on."""
FALLS = 0.95
"""Newer losses that are lower than older ones by more than noise."""
GRAVE = 10.0
"""A loss so many times as large as at first is lost for good."""


class Trend:
    """The course of the loss, of the gradient's size and of its direction.

    Rules see it with the losses of the record that they look at, but not yet its gradient.

    Attributes:
        first_step: the step of the first record.
        count: how many steps had a finite loss.
        signed: whether a loss was negative.
        first_loss: median loss of the first records.
        undisturbed_loss: the same, or that of the very first three where the others are far above.
        losses: the newest losses that are finite, at most `RECENT`.
        best: the lowest median of `RECENT` losses so far, and its standard error.
        norms: the newest gradient norms that are positive and finite, at most 2 · `RECENT`.
        cosines: the newest cosines between gradients of neighbours, or of steps that are about as
            near to one another as any that were logged of late, of all parameters together.
        first_validation: the first validation loss with the training loss; None until it comes.
        lowest: of all places between validations the lowest: the median validation loss of
            `PATIENCE` in a row, and that of the training losses beside them.
        minimum_ratio: share of the Hessian's eigenvalues above zero, as it was measured last.
        update_ratio: the update over the weights, as it was logged last.
        validations: each of the newest `PATIENCE` validation losses with the training loss.
    """

    def __init__(self) -> None:
        self.first_step = -1
        self.count = 0
        self.signed = False
        self.first_loss = math.nan
        self.undisturbed_loss = math.nan
        self.losses: deque[float] = deque(maxlen=RECENT)
        self.best = (math.inf, math.inf)
        self.norms: deque[float] = deque(maxlen=2 * RECENT)
        self.cosines: deque[float] = deque(maxlen=RECENT)
        self.validations: deque[tuple[float, float]] = deque(maxlen=PATIENCE)
        self.first_validation: tuple[float, float] | None = None
        self.lowest = (math.inf, math.inf)
        self.minimum_ratio = self.update_ratio = math.nan
        self._jumps: deque[float] = deque(maxlen=RECENT)
        self._loss_course, self._norm_course = Quarters(), Quarters()
        self._recent: float | None = None
        self._added = 0
        self._first: list[float] = []
        self._first_norms: list[float] = []
        self._rate = math.nan
        self._since_rise = RECENT
        self._with_cosine = -1
        self._gap = self._far = 0

    def add_losses(self, record: Record) -> None:
        """Take in the losses of a record, ahead of the rules."""
        scalars = record.scalars
        self.minimum_ratio = scalars.get(MINIMUM_RATIO, self.minimum_ratio)
        self.update_ratio = scalars.get(UPDATE_RATIO, self.update_ratio)
        loss = scalars.get(LOSS, math.nan)
        if self.first_step < 0 and LOSS in scalars:
            self.first_step = record.first_step or record.step
        if math.isfinite(loss):
            self._add(loss, record.steps)
        rate = scalars.get(LEARNING_RATE, math.nan)
        if not math.isnan(rate) and (LOSS in scalars or GRADIENT_NORM in scalars):
            self._since_rise = 0 if rate > self._rate else self._since_rise + record.steps
            self._rate = rate
        validation = scalars.get(VALIDATION_LOSS, math.nan)
        if math.isfinite(validation) and self.losses:
            if not self.first_validation:
                self.first_validation = validation, median(self.losses)
            if self.validations:
                self._jumps.append(abs(validation - self.validations[-1][0]))
            self.validations.append((validation, median(self.losses)))
            if len(self.validations) == PATIENCE:
                self.lowest = min(self.lowest, self.validation)

    def add_gradient(self, record: Record) -> None:
        """Take in the gradient of a record, behind the rules."""
        norm = record.scalars.get(GRADIENT_NORM, math.nan)
        peak = record.scalars.get(GRADIENT_NORM_MAX, norm)
        if math.isfinite(peak) and peak > 0:
            self.norms.append(peak)
            self._norm_course.add(math.log(peak), record.steps)
            if len(self._first_norms) < FIRST:
                self._first_norms.append(peak)
        if record.table is not None:
            self._add_cosine(record)

    @property
    def warming_up(self) -> bool:
        """Whether the learning rate rose of late."""
        return self._since_rise < RECENT

    @property
    def resumed(self) -> bool:
        """Whether the first losses are none of a beginning."""
        return self.first_step > 1

    @property
    def recent_loss(self) -> float:
        """Median of the newest `FIRST` losses."""
        if self._recent is None:
            newest = list(self.losses)[-FIRST:]
            self._recent = median(newest) if newest else math.nan
        return self._recent

    @property
    def opening_loss(self) -> float:
        """The very first loss, of which no step has made anything; NaN where there is none."""
        return self._first[0] if self._first else math.nan

    @property
    def first_norm(self) -> float:
        """Median gradient norm of the first records."""
        return median(self._first_norms) if self._first_norms else math.nan

    @property
    def newest_loss(self) -> float:
        """Median of the newest three losses."""
        return median(list(self.losses)[-3:]) if self.losses else math.nan

    @property
    def falls(self) -> bool:
        """Whether the newest losses are lower than those before them."""
        losses = list(self.losses)
        half = len(losses) // 2
        return half > 0 and median(losses[half:]) < FALLS * median(losses[:half])

    @property
    def usual_norm(self) -> float:
        """Median gradient norm of the newest records, of the first where these are few."""
        return median(self.norms) if self.norms else math.nan

    @property
    def scale(self) -> float:
        """What a change of the loss is set against: the first loss, or its spread if larger."""
        if not self._first:
            return math.nan
        spread = max(self._first) - min(self._first)
        return max(abs(self.first_loss), spread) if self.signed else self.first_loss

    @property
    def mean_cosine(self) -> float:
        """Mean cosine between successive gradients; NaN before the window is full, or without news.

        A record that is too far from the one before has none.
        """
        known = len(self.cosines) == RECENT and not self._far
        return sum(self.cosines) / RECENT if known else math.nan

    @property
    def validation(self) -> tuple[float, float]:
        """Median of the newest validation losses, and of the training losses beside them."""
        validations, trainings = zip(*self.validations, strict=True)
        return median(validations), median(trainings)

    @property
    def jitter(self) -> float:
        """Median difference between successive validation losses."""
        return median(self._jumps) if self._jumps else 0.0

    def unmoved(self, loss: float) -> bool:
        """Whether a loss, of the newest record, tells of no harm near the end of a training.

        It is far below those of the beginning still, and not far above those ahead of it.
        """
        before = list(self.losses)[:-1]
        if self.signed or not before or not math.isfinite(loss):
            return False
        return loss < min(0.25 * self.first_loss, GRAVE**2 * median(before))

    def fall(self) -> tuple[float, float]:
        """How far the loss fell from the first records to the newest, and its standard error."""
        return fall(self._first, list(self.losses)[-2 * FIRST :])

    def late_fall(self) -> tuple[float, float]:
        """The same from the third quarter of all steps so far to the last.

        Raises:
            ValueError: there are not yet 64 steps with a loss.
        """
        return self._loss_course.fall()

    def late_growth(self) -> tuple[float, float]:
        """How far the logarithm of the gradient's norm rose over the same steps, and its error.

        Raises:
            ValueError: there are not yet 64 steps with a gradient.
        """
        fell, error = self._norm_course.fall()
        return -fell, error

    def _add_cosine(self, record: Record) -> None:
        """Take in the cosine to the gradient of the record before, unless that is too far away."""
        gap, self._with_cosine = record.step - self._with_cosine, record.step
        cosine = _cosine(record)
        if math.isnan(cosine):
            return
        self._far = self._far + 1 if gap > 2 * self._gap else 0
        if not self.cosines or gap < self._gap or self._far > FAR:
            # Neighbours are no more, or are there now, and then for long.
            self._gap, self._far = gap, 0
            self.cosines.clear()
        if not self._far:
            self.cosines.append(cosine)

    def _add(self, loss: float, steps: int) -> None:
        self.count += steps
        self.signed |= loss < 0
        self.losses.append(loss)
        self._recent = None
        if len(self._first) < FIRST:
            self._first.append(loss)
            start = median(self._first[:3])
            self.first_loss = median(self._first)
            self.undisturbed_loss = start if self.first_loss > GRAVE * start else self.first_loss
        self._loss_course.add(loss, steps)
        self._added += 1
        if self._added % OVERLAP == 0 and len(self.losses) == RECENT:
            self.best = min(self.best, middle_of(self.losses))


def _cosine(record: Record) -> float:
    """Cosine of the whole gradient to the one logged before, from those of the parameters.

    Weighted by the squared norm, as if the norms of the two were in the same proportions.
    """
    cosines, norms = record.statistic("cosine"), record.statistic("norm")
    if cosines is None or norms is None:
        return math.nan
    known = (np.abs(cosines) <= 1) & np.isfinite(norms)
    squares = np.square(norms[known], dtype=np.float64)
    total = squares.sum()
    return float(cosines[known] @ squares / total) if total > 0 else math.nan
