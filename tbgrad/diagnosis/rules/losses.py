"""Faults that show in the course of the loss."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from tbgrad.diagnosis.rule import Moment, Rows, Rule
from tbgrad.diagnosis.trend import FIRST, RECENT
from tbgrad.tags import LEARNING_RATE, LOSS, UPDATE_RATIO, VALIDATION_LOSS


def _diverging(moment: Moment) -> Any:
    trend = moment.trend
    if LOSS not in moment.record.scalars or trend.count < FIRST:
        return None
    return not trend.signed and trend.recent_loss > moment.settings.diverging_loss * max(
        trend.first_loss, 1e-12
    )


def _diverging_evidence(moment: Moment, _: Rows) -> str:
    trend = moment.trend
    return (
        f"the loss is {trend.recent_loss:.3g}, {trend.recent_loss / trend.first_loss:.1f} times "
        f"that of the first steps, {trend.first_loss:.3g} "
        f"(alert above {moment.settings.diverging_loss:g} times)"
    )


def _oscillating(moment: Moment) -> Any:
    trend = moment.trend
    cosine = trend.mean_cosine
    if math.isnan(cosine) or len(trend.losses) < RECENT:
        return None
    losses = list(trend.losses)[-RECENT:]
    older, newer = losses[: RECENT // 2], losses[RECENT // 2 :]
    return cosine < moment.settings.opposite_gradients and median(newer) > 0.98 * median(older)


def _oscillating_evidence(moment: Moment, _: Rows) -> str:
    trend = moment.trend
    return (
        f"successive gradients point against each other (cosine {trend.mean_cosine:.2f} on "
        f"average, alert below {moment.settings.opposite_gradients:g}) and the loss, between "
        f"{min(trend.losses):.3g} and {max(trend.losses):.3g}, does not fall"
    )


def _stuck(moment: Moment) -> Any:
    trend, limits = moment.trend, moment.settings
    if LOSS not in moment.record.scalars or trend.count < FIRST + 40 or trend.warming_up:
        return None
    if trend.signed or _diverging(moment):
        return False
    if _hardly_moves(moment):
        return trend.fall()[0] < limits.stuck_loss * trend.first_loss
    fell, error = trend.recent_fall()
    high = trend.recent_loss > limits.flat_loss * trend.first_loss
    return high and fell < max(0.005 * trend.first_loss, error)


def _hardly_moves(moment: Moment) -> bool:
    ratio = moment.record.scalars.get(UPDATE_RATIO, math.nan)
    return ratio < moment.settings.small_update


def _stuck_evidence(moment: Moment, _: Rows) -> str:
    trend = moment.trend
    fell, error = trend.fall()
    ratio = moment.record.scalars.get(UPDATE_RATIO)
    limit = (
        f"alert below {moment.settings.stuck_loss:.0%}"
        if _hardly_moves(moment)
        else "alert where it has not fallen of late"
    )
    return (
        f"the loss was {trend.first_loss:.4g} and is {trend.recent_loss:.4g}: it fell by "
        f"{fell / trend.first_loss:.1%} ± {error / trend.first_loss:.1%} ({limit})"
        + (f", while an update changes {ratio:.2g} of the weights" if ratio is not None else "")
    )


def _stuck_advice(moment: Moment, _: Rows) -> str:
    if _hardly_moves(moment):
        ratio = moment.record.scalars[UPDATE_RATIO]
        rate = moment.record.scalars.get(LEARNING_RATE)
        factor = 10 ** round(math.log10(min(1e-3 / max(ratio, 1e-9), 1e4)))
        to = f", to about {rate * factor:.1g}" if rate else ""
        return f"raise learning_rate by about {factor:,.0f} times{to}"
    return (
        "check that inputs and labels belong together (shuffled alike?), and that the loss fits "
        "the last layer: from_logits=True with linear outputs, sigmoid with BinaryCrossentropy; "
        "then try to fit ten samples alone"
    )


def _overfitting(moment: Moment) -> Any:
    trend = moment.trend
    if VALIDATION_LOSS not in moment.record.scalars or len(trend.validations) < 4:
        return None
    lowest = min(trend.validations)
    newest = trend.validations[-1]
    return newest[0] > moment.settings.overfitting * lowest[0] > 0 and newest[1] < lowest[1]


def _overfitting_evidence(moment: Moment, _: Rows) -> str:
    lowest, newest = min(moment.trend.validations), moment.trend.validations[-1]
    return (
        f"the validation loss rose from {lowest[0]:.3g} to {newest[0]:.3g}, "
        f"{newest[0] / lowest[0]:.1f} times its lowest (alert above "
        f"{moment.settings.overfitting:g}), while the training loss went on from "
        f"{lowest[1]:.3g} to {newest[1]:.3g}"
    )


DIVERGING = Rule(
    name="loss_diverging",
    severity="error",
    applies=_diverging,
    evidence=_diverging_evidence,
    causes=(
        "the learning rate is too large",
        "the gradients explode: weights that begin too large, inputs or targets not scaled",
    ),
    advice="divide learning_rate by 10, begin with a warm-up, or set global_clipnorm=1.0 in the "
    "optimizer",
    opens_after=3,
    closes_after=10,
)
OSCILLATING = Rule(
    name="loss_oscillating",
    severity="warning",
    applies=_oscillating,
    evidence=_oscillating_evidence,
    causes=(
        "the learning rate is so large that every step overshoots the valley and comes back",
        "momentum so near to 1 that the weights swing",
    ),
    advice="divide learning_rate by 3 to 10, or lower momentum",
    opens_after=3,
    closes_after=10,
)
STUCK = Rule(
    name="loss_stuck",
    severity="warning",
    applies=_stuck,
    evidence=_stuck_evidence,
    causes=(
        "a learning rate far too small, where an update changes less than a ten-thousandth",
        "labels that do not belong to the inputs",
        "a loss that does not fit the activation of the last layer",
        "a network that lets nothing through: dead, saturated or vanishing layers",
    ),
    advice=_stuck_advice,
    opens_after=5,
    closes_after=5,
)
OVERFITTING = Rule(
    name="overfitting",
    severity="warning",
    applies=_overfitting,
    evidence=_overfitting_evidence,
    causes=(
        "the model learns the training samples by heart: too few of them for its size",
        "training went on for too long",
    ),
    advice="stop at the lowest val_loss (EarlyStopping with restore_best_weights=True); more data, "
    "augmentation, Dropout or weight_decay move that point further out",
    opens_after=2,
    closes_after=2,
)
