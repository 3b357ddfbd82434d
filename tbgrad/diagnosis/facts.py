"""What else is known of a run: what its logged records told last, for causes and advice."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.dead import DeadUnits
from tbgrad.diagnosis.epochs import Epochs
from tbgrad.diagnosis.network import Network
from tbgrad.diagnosis.record import Record
from tbgrad.log.records import Manifest
from tbgrad.log.tags import LEARNING_RATE, LOSS

ENDED = 1e-3
"""A learning rate of so much of its highest value has come to its end."""

RAISED = 3.0
"""A learning rate that is so many times that of the step before was raised, and not warmed up."""

ORDINARY = 0.3
"""Weights into a unit count as if they had at least this norm: some begin at zero."""

ENTRIES = 10
"""So many estimates of the size of the inputs are kept, of the first records."""

ESTIMATES = 64
"""So many estimates of the curvature are remembered, the newest."""

EARLY = 3
"""So many records are those of the first updates."""

RESTS = 0.01
"""A bias whose gradient is so small beside others has come to rest, and tells nothing of inputs."""

CANCELS = 1e-3
"""Biases whose gradients are all so small beside the root of the loss, which is about as large as
the errors: of samples that are not each other's mirror image, a million would have to cancel."""


class Raise(NamedTuple):
    """A learning rate that was raised at a step, beyond all that was before."""

    step: int
    before: float
    rate: float


class Facts:
    """The newest of what only some records tell. NaN, None or empty is not known.

    Attributes:
        manifest: the newest one.
        rate: the learning rate of the newest step, `peak_rate` its highest so far.
        raised: where it was last raised at once, to more than it ever was; None where it was not.
        ended_since: the step from which on the rate is next to nothing beside its highest; -1 where
            it is not.
        updates: relative update of every kernel, [P], NaN elsewhere; `largest_update` is the
            largest of them, `worst_update` the largest so far, `early_update` that of the first
            records, of steps that are not yet the work of those before them.
        first_weights: norms of all weights in the first record that had them; `weights` the newest.
        dead_shares: share of units of a layer that are dead, at most, over the newest records: [P],
            in the row of each layer that tells, 0 elsewhere; `dead` is the largest of them.
        no_gradient: whether the gradient of all parameters is exactly zero.
        stability: largest eigenvalue over the optimizer's threshold; `worst_stability` the largest
            so far.
        probe_losses: step and loss of the newest estimates, all of the same samples.
        lost_since: the step from which on loss or gradient are not finite; -1 where they are.
        broken_by: the step ahead of that, where its update is not finite though its gradient was;
            -1 where it is, or is not known.
        inputs: of the first records, how large the inputs of the first layer are at least: gradient
            norm of its kernel over that of its bias, for one input. Where the samples' shares in
            the bias cancel out, as of inputs on both sides of zero and a target that changes its
            sign with them, that is no size: of a layer whose inputs are known to be below one it
            shows how much cancels.
        epochs: the course of the loss within the epochs.
    """

    def __init__(self) -> None:
        self.manifest: Manifest | None = None
        self.rate = self.peak_rate = math.nan
        self.raised: Raise | None = None
        self.ended_since = -1
        self.updates: NDArray[np.float64] | None = None
        self.largest_update = self.worst_update = self.early_update = math.nan
        self.lost_since = self.broken_by = self._broken_at = -1
        self.first_weights: NDArray[np.float32] | None = None
        self.weights: NDArray[np.float32] | None = None
        self.dead = 0.0
        self.dead_shares: NDArray[np.float64] | None = None
        self._dead_units = DeadUnits()
        self.no_gradient = False
        self.stability = self.worst_stability = math.nan
        self.probe_losses: deque[tuple[int, float]] = deque(maxlen=ESTIMATES)
        self._records = 0
        self._loss = math.nan
        self.inputs: list[float] = []
        self.epochs = Epochs()

    def add(self, record: Record, layers: Network | None) -> None:
        """Take in a record, ahead of the rules."""
        if record.manifest is not None and record.manifest is not self.manifest:
            before, self.manifest = self.manifest, record.manifest
            if before is not None and before.parameters != record.manifest.parameters:
                self.first_weights = self.weights = None
        self._add_rate(record)
        if record.curvature is not None:
            self.stability = record.curvature.stability
            self.worst_stability = float(np.fmax(self.worst_stability, self.stability))
            self.probe_losses.append((record.step, record.curvature.loss))
        self._add_lost(record)
        self._add_losses(record)
        if record.table is not None:
            self.updates = None
            if layers is not None:
                self._add_table(record, layers)

    @property
    def input_scale(self) -> float:
        """How large a single input is, at least; NaN where it is not known."""
        return min(self.inputs, default=math.nan)

    def _add_losses(self, record: Record) -> None:
        if LOSS not in record.scalars:
            return
        self._loss = record.scalars[LOSS]
        if self.manifest is None or not self.manifest.batches:
            return
        first, batches = record.first_step or record.step, self.manifest.batches[-1]
        if record.losses:
            self.epochs.add(first, record.losses, 1, batches)
        else:
            self.epochs.add(first, [record.scalars[LOSS]], record.steps, batches)

    def _add_lost(self, record: Record) -> None:
        counts = record.statistic("nonfinite")
        known = LOSS in record.scalars or record.norms is not None or counts is not None
        lost = not math.isfinite(record.scalars.get(LOSS, 0.0))
        lost |= record.norms is not None and bool(np.isinf(record.norms).any())
        lost |= counts is not None and bool((counts > 0).any())
        if lost and self.lost_since < 0:
            self.lost_since = record.first_step or record.step
            broken = self._broken_at == self.lost_since - 1
            self.broken_by = self._broken_at if broken else -1
        elif known and not lost:
            self.lost_since = self.broken_by = -1

    def _add_rate(self, record: Record) -> None:
        rate = record.scalars.get(LEARNING_RATE, math.nan)
        if math.isnan(rate):
            return
        if 0 < RAISED * self.rate <= rate and rate > self.peak_rate:
            self.raised = Raise(record.first_step or record.step, self.rate, rate)
        self.rate = rate
        self.peak_rate = rate if math.isnan(self.peak_rate) else max(self.peak_rate, rate)
        if rate > ENDED * self.peak_rate:
            self.ended_since = -1
        elif self.ended_since < 0:
            self.ended_since = record.first_step or record.step

    def _add_table(self, record: Record, layers: Network) -> None:
        norms, weights = record.statistic("norm"), record.statistic("weight_norm")
        updates, dead = record.statistic("update_norm"), record.statistic("dead_fraction")
        if weights is not None:
            self.weights = weights
            self.first_weights = weights if self.first_weights is None else self.first_weights
            if updates is not None:
                self._add_updates(updates, weights, layers)
                if norms is not None:
                    self._add_broken(record, norms, weights, updates)
        if norms is None:
            return
        self.no_gradient = np.fmax.reduce(norms) == 0
        if dead is not None and len(layers.heads) and not self.no_gradient:
            self._add_dead(dead, layers)
        if layers.entrance is not None and len(self.inputs) < ENTRIES:
            largest = np.fmax.reduce(norms[layers.heads])
            rests = norms[layers.entrance[1]] < RESTS * largest
            rests |= largest < CANCELS * math.sqrt(min(1.0, max(0.0, self._loss)))
            cancelled = max((_size(norms, *layer) for layer in layers.bounded), default=1.0)
            scale = _size(norms, *layers.entrance) / max(1.0, cancelled)
            if math.isfinite(scale) and scale > 0 and not rests:
                self.inputs.append(scale)

    def _add_broken(
        self,
        record: Record,
        norms: NDArray[np.float32],
        weights: NDArray[np.float32],
        updates: NDArray[np.float32],
    ) -> None:
        """Whether an update is not finite, of a gradient that is; not where none is known."""
        counts = record.statistic("nonfinite")
        if counts is None or not np.isfinite(updates).any():
            return
        sound = np.isfinite(weights) & np.isfinite(norms) & (counts == 0)
        if (sound & ~np.isfinite(updates)).any():
            self._broken_at = record.step

    def _add_dead(self, dead: NDArray[np.float32], layers: Network) -> None:
        batches = self.manifest.batches if self.manifest is not None else ()
        size = batches[-1].batch_size if batches else 0
        found = self._dead_units.add(layers.without_gradient(dead), layers.widths, size)
        self.dead = float(found.max())
        self.dead_shares = np.zeros(layers.count)
        self.dead_shares[layers.heads] = found

    def _add_updates(
        self, updates: NDArray[np.float32], weights: NDArray[np.float32], layers: Network
    ) -> None:
        rows = layers.kernels
        ratios = np.full(layers.count, np.nan)
        least = ORDINARY * np.sqrt(layers.units[rows])
        ratios[rows] = updates[rows] / np.maximum(weights[rows], least)
        ratios[~np.isfinite(ratios)] = np.nan
        self.updates = ratios
        largest = float(np.fmax.reduce(ratios)) if len(ratios) else math.nan
        if not math.isnan(largest):
            self.largest_update = largest
            self.worst_update = max(largest, self.worst_update)
            self._records += 1
            if self._records <= EARLY:
                self.early_update = self.worst_update


def _size(norms: NDArray[np.float32], kernel: int, bias: int, root: float) -> float:
    """How large an input of a layer seems to be: its gradient over that of a bias of one."""
    return float(norms[kernel]) / max(float(norms[bias]) * root, 1e-30)
