"""Faults that show in the course of the loss."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from tbgrad.diagnosis.rule import Moment, Rows, Rule
from tbgrad.diagnosis.trend import FIRST, RECENT
from tbgrad.tags import LEARNING_RATE, LOSS, UPDATE_RATIO, VALIDATION_LOSS

PATIENCE = 4
"""So many validations without a lower loss mean that it falls no more."""


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
    falls = median(newer) <= 0.98 * median(older)
    return cosine < (-0.9 if falls else moment.settings.opposite_gradients)


def _oscillating_evidence(moment: Moment, _: Rows) -> str:
    trend = moment.trend
    return (
        f"successive gradients point against each other (cosine {trend.mean_cosine:.2f} on "
        f"average, alert below {moment.settings.opposite_gradients:g}) and the loss, between "
        f"{min(trend.losses):.3g} and {max(trend.losses):.3g}, falls slowly if at all"
    )


def _stuck(moment: Moment) -> Any:
    trend, limits = moment.trend, moment.settings
    if LOSS not in moment.record.scalars or trend.count < FIRST + 40 or trend.warming_up:
        return None
    if trend.signed or _diverging(moment):
        return False
    if _hardly_moves(moment):
        return trend.fall()[0] < limits.stuck_loss * trend.first_loss
    if len(trend.losses) < 2 * RECENT:
        return None
    fell, error = trend.recent_fall()
    high = trend.recent_loss > limits.flat_loss * trend.first_loss
    return high and fell < max(0.005 * trend.first_loss, error)


def _hardly_moves(moment: Moment) -> bool:
    ratio = moment.record.scalars.get(UPDATE_RATIO, math.nan)
    return ratio < moment.settings.small_update


def _stuck_evidence(moment: Moment, _: Rows) -> str:
    trend = moment.trend
    if _hardly_moves(moment):
        fell, error = trend.fall()
        since, limit = "since the first steps", f"alert below {moment.settings.stuck_loss:.0%}"
    else:
        fell, error = trend.recent_fall()
        since, limit = "of late", "alert where that is nothing"
    ratio = moment.record.scalars.get(UPDATE_RATIO)
    return (
        f"the loss was {trend.first_loss:.4g} and is {trend.recent_loss:.4g}; {since} it "
        f"{'fell' if fell >= 0 else 'rose'} by {abs(fell) / trend.first_loss:.1%} ± "
        f"{error / trend.first_loss:.1%} ({limit})"
        + (f", and an update changes {ratio:.2g} of the weights" if ratio is not None else "")
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
    trend, limits = moment.trend, moment.settings
    if VALIDATION_LOSS not in moment.record.scalars or len(trend.validations) < PATIENCE:
        return None
    lowest, (newest, training) = min(trend.validations), trend.validations[-1]
    if newest > limits.overfitting * lowest[0] > 0 and training < lowest[1]:
        return True
    # A gap is usual; it is a fault where little of what was learned is true elsewhere.
    gap = newest > limits.validation_gap * training and newest > 0.25 * trend.first_loss
    return gap and min(list(trend.validations)[-PATIENCE:]) > lowest


def _overfitting_evidence(moment: Moment, _: Rows) -> str:
    lowest, newest = min(moment.trend.validations), moment.trend.validations[-1]
    return (
        f"the validation loss went from {lowest[0]:.3g}, its lowest, to {newest[0]:.3g}, while the "
        f"training loss went from {lowest[1]:.3g} to {newest[1]:.3g} (alert above "
        f"{moment.settings.overfitting:g} times the lowest, or {moment.settings.validation_gap:g} "
        "times the training loss)"
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
    opens_after=10,
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
