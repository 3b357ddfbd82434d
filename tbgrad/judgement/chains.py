"""Which fault brings which about.

A fault is the work of another where that began before it and is known to bring it about; it never
is what a face headlines.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

from tbgrad.log.records import Alert

RATE = ("edge_of_stability", "update_too_large")
_BURST = (
    *RATE, "momentum_too_large", "inputs_unscaled", "loss_implausible", "exploding_gradient",
    "loss_oscillating", "data_sorted",
)  # fmt: skip
_LOST = (*_BURST, "loss_diverging", "gradient_spike", "nonfinite", "loss_scale_collapse")
_BLOCKED = (
    "zero_initialization", "output_mismatch", "dropout_too_large", "dead_units",
    "saturated_layer", "weights_decayed", "vanishing_gradient", "no_gradient", "frozen_parameter",
)  # fmt: skip

CAUSES: Mapping[str, frozenset[str]] = {
    rule: frozenset(causes) - {rule}
    for rule, causes in {
        "update_too_large": (
            "momentum_too_large", "inputs_unscaled", "loss_implausible", "gradient_spike",
            "nonfinite", "exploding_gradient", "edge_of_stability",
        ),
        "edge_of_stability": ("momentum_too_large", "inputs_unscaled", "update_too_large"),
        "exploding_gradient": (*_BURST, "loss_diverging", "gradient_spike", "nonfinite"),
        "loss_implausible": (
            "output_mismatch", "inputs_unscaled", "momentum_too_large", "update_too_large",
            "exploding_gradient", "loss_diverging", "gradient_spike", "nonfinite",
        ),
        "gradient_spike": (*_BURST, "loss_diverging", "output_mismatch", "saturated_layer"),
        "loss_oscillating": (*RATE, "momentum_too_large", "inputs_unscaled"),
        "loss_diverging": (*_LOST, "output_mismatch"),
        "loss_scale_collapse": (*_BURST, "loss_diverging", "nonfinite"),
        "nonfinite": (*_LOST, "output_mismatch"),
        "dead_units": (
            *_LOST, "zero_initialization", "dropout_too_large", "weights_decayed",
            "vanishing_gradient",
        ),
        "saturated_layer": (*_LOST, "zero_initialization"),
        "vanishing_gradient": (*_LOST, *_BLOCKED),
        "no_gradient": (*_LOST, *_BLOCKED, "clipping_always"),
        "frozen_parameter": (*_LOST, *_BLOCKED, "schedule_ended", "clipping_always"),
        "layer_rate_mismatch": (*_LOST, *_BLOCKED),
        "weights_decayed": ("update_too_large",),
        "critical_point": (*_BLOCKED, "schedule_ended"),
        "noise_dominated": (*_LOST, *_BLOCKED, "schedule_ended", "loss_stuck"),
        "batch_too_large": (*_LOST, *_BLOCKED, "clipping_always", "loss_stuck"),
        "clipping_always": (*_BURST, "loss_diverging"),
        "loss_stuck": (*_LOST, *_BLOCKED, "schedule_ended", "clipping_always"),
        "overfitting": ("loss_diverging",),
    }.items()
}  # fmt: skip
"""By rule, the rules of faults that can bring it about."""

AHEAD = (
    "output_mismatch", "zero_initialization", "dropout_too_large", "inputs_unscaled",
    "momentum_too_large", "gradient_spike", "exploding_gradient", "loss_implausible",
    "edge_of_stability", "update_too_large",
)  # fmt: skip
"""Of what begins at one step: a set-up is there before any gradient, a gradient before its step."""

BRIEF = frozenset({"gradient_spike", "edge_of_stability", "loss_oscillating", "clipping_always"})
"""Faults that leave nothing behind: what comes long after they are over is not theirs."""

REACH = 100
"""So many steps after it ends a brief fault may still bring something about."""

SEEN_AT_ONCE = frozenset(
    {"nonfinite", "loss_diverging", "exploding_gradient", "gradient_spike", "loss_implausible"}
)
"""Faults that show at every step, and so may be seen ahead of their cause, which shows rarely."""

SEEN_LATE = frozenset({"schedule_ended", "weights_decayed", "data_sorted"})
"""Faults that are told once they have lasted: by then others show what they bring about."""

SET_UP = frozenset(
    {
        "inputs_unscaled",
        "output_mismatch",
        "zero_initialization",
        "momentum_too_large",
        "dropout_too_large",
    }
)
"""Faults that are there ahead of any step, though some steps have to show them."""

LAG = 16
"""By so many steps, and by as many as there were until then, a cause may be seen later."""


def order(alert: Alert) -> tuple[int, int, str]:
    """By time; of what begins at one step, causes ahead of what they bring about."""
    if alert.rule in AHEAD:
        return alert.first_step, AHEAD.index(alert.rule) - len(AHEAD), alert.rule
    return alert.first_step, len(CAUSES.get(alert.rule, ())), alert.rule


def candidates(effect: Alert, by_rule: Mapping[str, list[Alert]]) -> list[Alert]:
    """Of each rule that may be the cause its first alert, of brief faults the last one before."""
    found = []
    for rule in sorted(CAUSES.get(effect.rule, ())):
        alerts = by_rule.get(rule, [])
        found += alerts[:1]
        at = bisect_right(alerts, effect.first_step, key=lambda alert: alert.first_step)
        found += alerts[max(1, at - 1) : at] if rule in BRIEF else []
    return found


def brings(cause: Alert, effect: Alert) -> bool:
    """Whether one alert can have brought about the other."""
    if cause.rule not in CAUSES.get(effect.rule, ()):
        return False
    if effect.rule in CAUSES.get(cause.rule, ()):  # either may be first: time tells
        before = order(cause) < order(effect)
    else:
        lags = effect.rule in SEEN_AT_ONCE or cause.rule in SET_UP
        late = effect.first_step + LAG if lags else 0
        before = cause.rule in SEEN_LATE or cause.first_step <= effect.first_step + late
    over = cause.state == "closed" and cause.rule in BRIEF
    # What one batch does to loss, gradient and update it does at once.
    at_once = cause.rule == "gradient_spike" and effect.rule in (*SEEN_AT_ONCE, *RATE)
    reach = LAG if at_once else REACH
    return before and not (over and cause.last_step + reach < effect.first_step)
