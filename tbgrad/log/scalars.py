"""The table of native scalars: what each is called, measured in, drawn on, and means.

A new scalar is one entry here, and a function where it is computed. Every face reads this table;
a series that is not in it is shown all the same, by its tag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tbgrad.log import tags


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar series: `scale` is the axis that shows it best, `unit` is "" where it has none."""

    tag: str
    label: str
    unit: str
    scale: Literal["linear", "log"]
    meaning: str


_ENTRIES = (
    Scalar(tags.LOSS, "loss", "", "linear", "the loss that was trained on"),
    Scalar(
        tags.VALIDATION_LOSS, "validation loss", "", "linear", "the loss on data not trained on"
    ),
    Scalar(tags.LEARNING_RATE, "learning rate", "", "log", "the optimizer's step size"),
    Scalar(
        tags.GRADIENT_NORM, "gradient norm", "", "log",
        "L2 norm of the whole gradient: unscaled, accumulated, before clipping",
    ),
    Scalar(
        tags.GRADIENT_NORM_MAX, "peak gradient norm", "", "log",
        "largest gradient norm since the step logged before",
    ),
    Scalar(
        tags.CLIP_FACTOR, "clip factor", "", "linear",
        "norm of the applied gradient over that of the true one; 1 is not clipped",
    ),
    Scalar(
        tags.UPDATE_RATIO, "update over weight", "", "log",
        "norm of the applied update over the norm of the weights",
    ),
    Scalar(tags.LOSS_SCALE, "loss scale", "", "log", "what mixed precision multiplies the loss by"),
    Scalar(
        tags.SKIPPED_UPDATES, "skipped updates", "updates", "linear",
        "updates that were skipped since the step logged before",
    ),
    Scalar(tags.LAMBDA_MAX, "λmax", "", "linear", "largest eigenvalue of the Hessian"),
    Scalar(tags.LAMBDA_MIN, "λmin", "", "linear", "smallest eigenvalue of the Hessian"),
    Scalar(tags.TRACE, "trace", "", "linear", "sum of the eigenvalues of the Hessian"),
    Scalar(
        tags.NEGATIVE_FRACTION, "share below zero", "", "linear",
        "share of the eigenvalues of the Hessian that are below zero",
    ),
    Scalar(
        tags.MINIMUM_RATIO, "share above zero", "", "linear",
        "share of the eigenvalues of the Hessian that are above zero",
    ),
    Scalar(
        tags.STABILITY, "stability", "", "linear",
        "largest eigenvalue over the optimizer's threshold; above 1 is unstable",
    ),
)  # fmt: skip

SCALARS: dict[str, Scalar] = {scalar.tag: scalar for scalar in _ENTRIES}
"""By tag, in the order in which faces list them."""


def scalar_of(tag: str) -> Scalar:
    """The entry of a tag; of one that the table does not know, its own name."""
    return SCALARS.get(tag) or Scalar(tag, tag, "", "linear", "")


def in_order(tags_there: list[str]) -> list[str]:
    """Tags in the order of the table, those that it does not know behind them by name."""
    order = {tag: place for place, tag in enumerate(SCALARS)}
    return sorted(tags_there, key=lambda tag: (order.get(tag, len(order)), tag))
