"""What the rules are shown of one step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.records import CurvatureEstimate, Manifest
from tbgrad.log.tags import (
    CLIP_FACTOR,
    GRADIENT_NORM,
    GRADIENT_NORM_MAX,
    LEARNING_RATE,
    LOSS,
    LOSS_SCALE,
    MINIMUM_RATIO,
    SKIPPED_UPDATES,
    UPDATE_RATIO,
    VALIDATION_LOSS,
)

RULE_SCALARS = (
    LOSS,
    VALIDATION_LOSS,
    LEARNING_RATE,
    GRADIENT_NORM,
    GRADIENT_NORM_MAX,
    CLIP_FACTOR,
    UPDATE_RATIO,
    LOSS_SCALE,
    SKIPPED_UPDATES,
    MINIMUM_RATIO,
)
"""The series that rules look at, besides the packed statistics and the estimates."""

OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    LOSS: (
        "train_loss", "train/loss", "loss/train", "training_loss", "train_loss_step", "batch_loss",
        "train_loss_epoch", "epoch_loss",
    ),
    VALIDATION_LOSS: ("eval/loss", "eval_loss", "val/loss", "loss/val", "valid_loss"),
    LEARNING_RATE: ("train/learning_rate", "lr", "train/lr", "epoch_learning_rate"),
    GRADIENT_NORM: ("train/grad_norm", "grad_norm", "gradient_norm", "grad_2.0_norm_total"),
}  # fmt: skip
"""What other writers call these series (Keras, Lightning, Transformers), in small letters."""


def called(tag: str, names: Iterable[str]) -> str | None:
    """Which of the series of a log is the one that rules know as `tag`; None where there is none.

    >>> called("loss", ["Loss/train", "accuracy"])
    'Loss/train'
    """
    there = {name.lower(): name for name in names}
    return next((there[name] for name in (tag, *OTHER_NAMES.get(tag, ())) if name in there), None)


@dataclass(frozen=True)
class Record:
    """What was logged of one step: scalars by tag, the packed statistics [P, S], an estimate.

    `norms` [P] are there where every step is on file: those of the gradients, NaN where there was
    none, infinite where one was not finite. Such a record may be of several steps, from
    `first_step` on, and has the largest norms of them; `losses` are then those of every one.
    """

    step: int
    scalars: Mapping[str, float]
    table: NDArray[np.float32] | None = None
    manifest: Manifest | None = None
    curvature: CurvatureEstimate | None = None
    norms: NDArray[np.float32] | None = None
    first_step: int | None = None
    losses: Sequence[float] = ()

    @property
    def steps(self) -> int:
        """How many steps it is of."""
        return 1 if self.first_step is None else self.step - self.first_step + 1

    @property
    def peaks(self) -> NDArray[np.float32] | None:
        """The largest norm of every parameter since the record before, [P]."""
        return self.statistic("norm_max") if self.norms is None else self.norms

    def statistic(self, name: str) -> NDArray[np.float32] | None:
        """One statistic of every parameter, [P]; None where the record does not have it."""
        if self.table is None or self.manifest is None or self.manifest.column(name) < 0:
            return None
        if not 0 < len(self.table) == len(self.manifest.parameters):
            return None
        found: NDArray[np.float32] = self.table[:, self.manifest.column(name)]
        return found
