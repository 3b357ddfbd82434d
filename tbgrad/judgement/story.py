"""Alerts of a run as a story: the fault that began it, what followed, one thing to change.

A fault is the work of another where that began before it and is known to bring it about; it never
is what a face headlines.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tbgrad.log.records import SEVERITIES, Alert

_RATE = ("edge_of_stability", "update_too_large")
_BURST = (
    *_RATE, "momentum_too_large", "inputs_unscaled", "loss_implausible", "exploding_gradient",
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
        "loss_oscillating": (*_RATE, "momentum_too_large", "inputs_unscaled"),
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

MEASURED = ("edge_of_stability", "loss_oscillating")
"""Of a rate that is too large, but not by far, these tell best how far, once they are seen."""

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

NAMED = 2
"""So many effects are named in the headline."""


@dataclass(frozen=True)
class Story:
    """A fault of a run, with what it brought about.

    Attributes:
        headline: one sentence, with steps and layers.
        advice: the one thing to change first; `next_advice` what to try where that is not it.
        root: the alert that it begins with.
        effects: the alerts that follow from it, in their order.
        further: stories of the same run that have nothing to do with it, the graver ones first.
    """

    headline: str
    advice: str
    next_advice: str
    root: Alert
    effects: tuple[Alert, ...] = ()
    further: tuple[Story, ...] = ()

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Root and effects."""
        return self.root, *self.effects

    @property
    def every(self) -> tuple[Alert, ...]:
        """Those of this story and of the further ones."""
        return tuple(alert for each in (self, *self.further) for alert in each.alerts)

    @cached_property
    def severity(self) -> str:
        """That of the gravest of its open alerts; of all where none is open."""
        of = [alert for alert in self.alerts if alert.state == "open"] or self.alerts
        return min((alert.severity for alert in of), key=SEVERITIES.index)

    @property
    def is_open(self) -> bool:
        """Whether any of it is."""
        return any(alert.state == "open" for alert in self.alerts)


def stories_by_cause(story: Story | None) -> tuple[Story, ...]:
    """All stories of a run as faces list them, the oldest first.

    Those that are open come first, then those that are over, then what is a mere hint.
    """
    told = (story, *story.further) if story is not None else ()
    return tuple(sorted(told, key=_age))


def _age(story: Story) -> tuple[bool, bool, int]:
    return story.severity == "info", not story.is_open, story.root.first_step


def by_cause(story: Story | None) -> tuple[tuple[Alert, bool], ...]:
    """All alerts of a run as faces list them, and whether each is an effect of one before it.

    By their stories, each fault ahead of what it brought about.

    >>> for alert, effect in by_cause(story_of(run.alerts)):
    ...     print("  " * effect + alert.rule)
    """
    told = stories_by_cause(story)
    return tuple((alert, alert is not each.root) for each in told for alert in each.alerts)


def story_of(alerts: Iterable[Alert]) -> Story | None:
    """The story of a run with these alerts; None of a run without.

    >>> story = story_of(alerts_of(run))
    >>> print(story.headline, story.advice, sep="; ")
    """
    stories = sorted(_stories(sorted(alerts, key=_order)), key=rank)
    if not stories:
        return None
    first, *others = stories
    return Story(
        first.headline, first.advice, first.next_advice, first.root, first.effects, tuple(others)
    )


def _order(alert: Alert) -> tuple[int, int, str]:
    """By time; of what begins at one step, causes ahead of what they bring about."""
    if alert.rule in AHEAD:
        return alert.first_step, AHEAD.index(alert.rule) - len(AHEAD), alert.rule
    return alert.first_step, len(CAUSES.get(alert.rule, ())), alert.rule


def rank(story: Story) -> tuple[bool, bool, int, int]:
    """Mere hints come last, what is over behind what is not."""
    severity = SEVERITIES.index(story.severity)
    return story.severity == "info", not story.is_open, severity, story.root.first_step


def _stories(ordered: Sequence[Alert]) -> list[Story]:
    """A story for each alert that no other one has brought about."""
    roots: dict[tuple[str, int], Alert] = {}
    by_rule: dict[str, list[Alert]] = {}
    for alert in ordered:
        by_rule.setdefault(alert.rule, []).append(alert)

    def root_of(alert: Alert, seen: frozenset[tuple[str, int]] = frozenset()) -> Alert:
        if alert.key not in roots:
            likely = _candidates(alert, by_rule)
            before = [a for a in likely if a.key not in seen and _brings(a, alert)]
            found = [root_of(cause, seen | {alert.key}) for cause in before]
            roots[alert.key] = min(found, key=_order) if found else alert
        return roots[alert.key]

    members: dict[tuple[str, int], list[Alert]] = {}
    for alert in ordered:
        members.setdefault(root_of(alert).key, []).append(alert)
    by_key = {alert.key: alert for alert in ordered}
    return [_told(by_key[key], own) for key, own in members.items()]


def _candidates(effect: Alert, by_rule: Mapping[str, list[Alert]]) -> list[Alert]:
    """Of each rule that may be the cause its first alert, of brief faults the last one before."""
    found = []
    for rule in sorted(CAUSES.get(effect.rule, ())):
        alerts = by_rule.get(rule, [])
        found += alerts[:1]
        at = bisect_right(alerts, effect.first_step, key=lambda alert: alert.first_step)
        found += alerts[max(1, at - 1) : at] if rule in BRIEF else []
    return found


def _brings(cause: Alert, effect: Alert) -> bool:
    """Whether one alert can have brought about the other."""
    if cause.rule not in CAUSES.get(effect.rule, ()):
        return False
    if effect.rule in CAUSES.get(cause.rule, ()):  # either may be first: time tells
        before = _order(cause) < _order(effect)
    else:
        lags = effect.rule in SEEN_AT_ONCE or cause.rule in SET_UP
        late = effect.first_step + LAG if lags else 0
        before = cause.rule in SEEN_LATE or cause.first_step <= effect.first_step + late
    over = cause.state == "closed" and cause.rule in BRIEF
    # What one batch does to loss, gradient and update it does at once.
    at_once = cause.rule == "gradient_spike" and effect.rule in (*SEEN_AT_ONCE, *_RATE)
    reach = LAG if at_once else REACH
    return before and not (over and cause.last_step + reach < effect.first_step)


def _told(root: Alert, members: Sequence[Alert]) -> Story:
    effects = tuple(alert for alert in members if alert.key != root.key)
    said = f"{_phrase(root)} {_when(root)}"
    distinct = list({alert.rule: alert for alert in reversed(effects)}.values())[::-1]
    # The graver ones are what people have seen.
    distinct.sort(key=lambda alert: SEVERITIES.index(alert.severity))
    named = [f"{_short(alert)} at step {alert.first_step:,}" for alert in distinct[:NAMED]]
    if len(distinct) > NAMED:
        named.append(f"{len(distinct) - NAMED:,} more")
    if named:
        listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
        said += f"; {listed} {'follows' if len(named) == 1 else 'follow'}"
    advises = root
    away = any(effect.rule in ("loss_diverging", "nonfinite") for effect in effects)
    if root.rule in _RATE and not away:
        advises = next((effect for effect in effects if effect.rule in MEASURED), root)
    return Story(said, advises.advice, advises.next_advice, root, effects)


def _when(alert: Alert) -> str:
    if alert.state == "closed" and alert.first_step == alert.last_step:
        return f"at step {alert.first_step:,}"
    return f"from step {alert.first_step:,}"


def _phrase(alert: Alert) -> str:
    """A fault in a few words, and where."""
    said = alert.headline or _short(alert)
    layers = list(dict.fromkeys(name.rpartition("/")[0] or name for name in alert.parameters))
    if not layers or any(layer in said for layer in layers):
        return said
    more = f" and {len(layers) - 1:,} more" if len(layers) > 1 else ""
    return f"{said} in {layers[0]}{more}"


def _short(alert: Alert) -> str:
    """The name of a rule, in words."""
    return _WORDS.get(alert.rule, alert.rule.replace("_", " "))


_WORDS = {
    "nonfinite": "non-finite",
    "loss_diverging": "a diverging loss",
    "loss_stuck": "a loss that is stuck",
    "loss_oscillating": "an oscillating loss",
    "loss_implausible": "an absurd loss",
    "update_too_large": "updates that are too large",
    "exploding_gradient": "an exploding gradient",
    "vanishing_gradient": "a vanishing gradient",
    "gradient_spike": "a gradient spike",
    "saturated_layer": "saturated units",
}


@dataclass(frozen=True)
class Judgement:
    """The alerts of a run as a story, and in sentences what of it the rules have not judged.

    `blind` names the rules that could say nothing, as the run does not log what they look at.
    """

    story: Story | None
    not_judged: tuple[str, ...]
    blind: tuple[str, ...] = ()

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """All of them by their causes, each fault ahead of what it brought about."""
        return tuple(alert for alert, _ in by_cause(self.story))
