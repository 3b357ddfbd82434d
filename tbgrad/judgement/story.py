"""Alerts of a run as a story: the fault that began it, what followed, one thing to change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tbgrad.judgement.chains import RATE, brings, candidates, order
from tbgrad.log.records import SEVERITIES, Alert

MEASURED = ("edge_of_stability", "loss_oscillating")
"""Of a rate that is too large, but not by far, these tell best how far, once they are seen."""

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
    stories = sorted(_stories(sorted(alerts, key=order)), key=rank)
    if not stories:
        return None
    first, *others = stories
    return Story(
        first.headline, first.advice, first.next_advice, first.root, first.effects, tuple(others)
    )


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
            likely = candidates(alert, by_rule)
            before = [a for a in likely if a.key not in seen and brings(a, alert)]
            found = [root_of(cause, seen | {alert.key}) for cause in before]
            roots[alert.key] = min(found, key=order) if found else alert
        return roots[alert.key]

    members: dict[tuple[str, int], list[Alert]] = {}
    for alert in ordered:
        members.setdefault(root_of(alert).key, []).append(alert)
    by_key = {alert.key: alert for alert in ordered}
    return [_told(by_key[key], own) for key, own in members.items()]


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
    if root.rule in RATE and not away:
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
