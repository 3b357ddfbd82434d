"""Faults that show in the course of the loss."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from tbgrad.diagnosis.rule import Moment, Rows, Rule, Severity
from tbgrad.diagnosis.trend import FIRST, GRAVE, PATIENCE, RECENT
from tbgrad.log.tags import LEARNING_RATE, LOSS, VALIDATION_LOSS


def _speaks(moment: Moment) -> bool:
    """Whether the loss says by itself how the training goes.

    Not where models train against each other, nor where it may be negative or has been zero from
    the start: then there is nothing to set it against.
    """
    trend, manifest = moment.trend, moment.record.manifest
    alone = manifest is None or not manifest.group
    known = LOSS in moment.record.scalars and not trend.signed
    return alone and known and trend.undisturbed_loss > 0


def _diverging(moment: Moment) -> Any:
    if not _speaks(moment):
        return None
    trend = moment.trend
    newest, before = list(trend.losses)[-2 * FIRST :], trend.undisturbed_loss
    if len(newest) > 3 and min(newest[-3:]) > GRAVE**2 * before:
        return True
    limit = moment.settings.diverging_loss * before
    return sum(loss > limit for loss in newest) >= 1.5 * FIRST  # some of any are large by chance


def _diverging_evidence(moment: Moment, _: Rows) -> str:
    now, before = moment.trend.recent_loss, moment.trend.undisturbed_loss
    return (
        f"the loss is {now:.3g}, {now / before:.3g} times that of the first steps, {before:.3g} "
        f"(alert above {moment.settings.diverging_loss:g} times)"
    )


def _diverging_severity(moment: Moment) -> Severity:
    trend = moment.trend
    return "error" if trend.recent_loss > GRAVE * trend.undisturbed_loss else "warning"


def _oscillating(moment: Moment) -> Any:
    trend = moment.trend
    cosine = trend.mean_cosine
    if moment.record.table is None or math.isnan(cosine) or len(trend.losses) < RECENT:
        return None
    losses = list(trend.losses)
    falls = median(losses[RECENT // 2 :]) <= 0.98 * median(losses[: RECENT // 2])
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
    if not _speaks(moment) or trend.resumed or trend.warming_up or trend.count < FIRST + 40:
        return None
    if _hardly_moves(moment):
        stuck = trend.fall()[0] < limits.stuck_loss * trend.first_loss
        return stuck and not _diverging(moment)
    try:
        fell, error = trend.late_fall()
    except ValueError:
        return None
    high = trend.recent_loss > limits.flat_loss * trend.first_loss
    flat = high and abs(fell) + 2 * error < limits.flat_fall * trend.first_loss
    return flat and not _diverging(moment)


def _hardly_moves(moment: Moment) -> bool:
    return moment.trend.update_ratio < moment.settings.small_update


def _stuck_evidence(moment: Moment, _: Rows) -> str:
    trend, limits = moment.trend, moment.settings
    ratio = trend.update_ratio
    if _hardly_moves(moment):
        fell, error = trend.fall()
        since, limit = "since the first steps", limits.stuck_loss
    else:
        fell, error = trend.late_fall()
        since, limit = "over the last quarter of the training so far", limits.flat_fall
    return (
        f"the loss is {trend.recent_loss:.4g} after {trend.first_loss:.4g} at first; {since} it "
        f"{'fell' if fell >= 0 else 'rose'} by {abs(fell) / trend.first_loss:.1%} of that "
        f"± {error / trend.first_loss:.1%} (alert where that is less than {limit:.0%})"
        + (f", and an update changes {ratio:.1g} of the weights" if math.isfinite(ratio) else "")
    )


def _stuck_advice(moment: Moment, _: Rows) -> str:
    if _hardly_moves(moment):
        rate = moment.record.scalars.get(LEARNING_RATE, math.nan)
        if rate >= 0.1:
            return (
                f"updates are tiny at a learning rate of {rate:.2g}: look for clipping, a loss "
                "that is scaled down, dead or saturated layers"
            )
        to = f", to {10 * rate:.1g} and then {100 * rate:.1g}" if rate > 0 else ""
        return f"raise learning_rate tenfold{to}, until the loss falls"
    return (
        "check that inputs and labels belong together (shuffled alike?), and that the loss fits "
        "the last layer: from_logits=True with linear outputs, sigmoid with BinaryCrossentropy; "
        "then try to fit ten samples alone"
    )


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
    little = newest > 0.25 * trend.first_loss and newest > trend.lowest[0]
    return little and newest > moment.settings.validation_gap * training


def _overfitting_evidence(moment: Moment, _: Rows) -> str:
    trend, limits = moment.trend, moment.settings
    lowest, (newest, training) = trend.lowest, trend.validation
    if _rises(moment):
        return (
            f"the validation loss rose from {lowest[0]:.3g} to {newest:.3g}, "
            f"{newest / lowest[0]:.2f} times its lowest (alert above {limits.overfitting:g}), "
            f"while the training loss fell from {lowest[1]:.3g} to {training:.3g}"
        )
    return (
        f"the validation loss of {newest:.3g} falls no more and is "
        f"{newest / max(training, 1e-12):.3g} times the training loss of {training:.2g} "
        f"(alert above {limits.validation_gap:g})"
    )


DIVERGING = Rule(
    name="loss_diverging",
    shows=LOSS,
    needs=LOSS,
    severity=_diverging_severity,
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
    every_step=True,
)
OSCILLATING = Rule(
    name="loss_oscillating",
    shows=LOSS,
    needs=LOSS,
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
    shows=LOSS,
    needs=LOSS,
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
    closes_after=20,
    every_step=True,
)
OVERFITTING = Rule(
    name="overfitting",
    shows=VALIDATION_LOSS,
    needs=VALIDATION_LOSS,
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
