"""Faults that show beside a validation loss."""

from __future__ import annotations

from typing import Any

from tbgrad.diagnosis.rule import Advice, Moment, Rows, Rule
from tbgrad.diagnosis.suspects import Explained, Suspect
from tbgrad.diagnosis.trend import PATIENCE
from tbgrad.log.tags import VALIDATION_LOSS
from tbgrad.log.text import number

LITTLE = 0.25
"""Where a validation loss is still above so much of the first loss, little was learned."""

NEVER = 8.0
"""A validation loss that was always so many times the training loss at first is of other data: what
is learned by heart until the first validation makes it less than four times as large."""


def _overfitting(moment: Moment) -> Any:
    if VALIDATION_LOSS not in moment.record.scalars or len(moment.trend.validations) < PATIENCE:
        return None
    return _rises(moment) or _gapes(moment)


def _rises(moment: Moment) -> bool:
    """Whether the validation loss rises, by more than it varies, while the training loss falls."""
    trend = moment.trend
    lowest, (newest, training) = trend.lowest, trend.validation
    rise = newest - lowest[0]
    far = newest > moment.settings.overfitting * lowest[0] > 0 and rise > 2 * trend.jitter
    return far and training < lowest[1]


def _gapes(moment: Moment) -> bool:
    """Whether hardly anything that was learned is true of other data, and it gets no better."""
    trend = moment.trend
    newest, training = trend.validation
    little = newest > LITTLE * trend.first_loss and newest > trend.lowest[0]
    return little and newest > moment.settings.validation_gap * training


def _other_data(moment: Moment) -> Suspect | None:
    """Validation data on which the model was never better than at first."""
    trend, first = moment.trend, moment.trend.first_validation
    if (
        first is None
        or trend.signed
        or not min(first[0], trend.lowest[0]) > NEVER * max(trend.first_loss, first[1])
    ):
        return None
    return Suspect(
        "validation data that are not prepared as those of the training are: their loss was "
        f"{number(first[0], 3)} at first, beside {number(first[1], 3)} of the training",
        "prepare the validation data as the training data: scaling, order of axes, labels",
    )


def _overfitting_headline(moment: Moment, _: Rows) -> str:
    if _other_data(moment) is not None:
        return f"the validation loss never came down: it is {number(moment.trend.validation[0], 3)}"
    return "the validation loss rises while the training loss falls"


def _overfitting_evidence(moment: Moment, _: Rows) -> str:
    trend, limits = moment.trend, moment.settings
    lowest, (newest, training) = trend.lowest, trend.validation
    if _rises(moment):
        return (
            f"the validation loss rose from {number(lowest[0], 3)} to {number(newest, 3)}, "
            f"{newest / lowest[0]:.2f} times its lowest (alert above "
            f"{number(limits.overfitting)}), "
            f"while the training loss fell from {number(lowest[1], 3)} to {number(training, 3)}"
        )
    return (
        f"the validation loss of {number(newest, 3)} falls no more and is "
        f"{number(newest / max(training, 1e-12), 3)} times the training loss of "
        f"{number(training, 2)} "
        f"(alert above {number(limits.validation_gap)})"
    )


def _overfits_from(moment: Moment) -> float:
    """The largest validation loss that is no fault."""
    trend, limits = moment.trend, moment.settings
    if _rises(moment):
        return limits.overfitting * trend.lowest[0]
    return max(limits.validation_gap * trend.validation[1], LITTLE * trend.first_loss)


_EXPLAINED = Explained(
    (_other_data,),
    (
        "the model learns the training samples by heart: too few of them for its size",
        "training went on for too long",
    ),
    Advice(
        "stop at the lowest val_loss: keras.callbacks.EarlyStopping(restore_best_weights=True)",
        "add Dropout(0.5) before the last layer, or more data",
    ),
)
OVERFITTING = Rule(
    name="overfitting",
    shows=VALIDATION_LOSS,
    needs=VALIDATION_LOSS,
    severity="warning",
    applies=_overfitting,
    evidence=_overfitting_evidence,
    causes=_EXPLAINED.causes,
    advice=_EXPLAINED.advice,
    headline=_overfitting_headline,
    threshold=_overfits_from,
    opens_after=2,
    closes_after=2,
)
