"""What is wrong in a run, and what the monitor wrote about itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from tbgrad.diagnosis import RULE_NAMES
from tbgrad.diagnosis.rules import SHOWS
from tbgrad.judgement.replay import unwatched
from tbgrad.judgement.story import Story, stories_by_cause
from tbgrad.log.decode import ended_at
from tbgrad.log.records import Alert
from tbgrad.log.tags import GRADIENT_NORM, NOTES, PLUGINS
from tbgrad.plugin.answer import listed
from tbgrad.plugin.judged import judgement_so_far
from tbgrad.plugin.samples import SCALARS_PLUGIN
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_run import read_run

MAX_ALERTS = 500
MAX_STORIES = 20
MAX_NAMES = 10_000
LEAST_NAMES = 20
"""Of parameters, in all alerts of an answer, and in each."""

MAX_NOTES = 200


def alerts(snapshot: Snapshot, run: str) -> dict[str, Any]:
    """Alerts by the log of a run, and by the rules that its writer did not watch."""
    stored, judgement, complete = judgement_so_far(snapshot, run)
    judged = judgement.alerts
    return {
        "run": run,
        "complete": complete,
        "rules": list(RULE_NAMES),
        "watched": not unwatched(stored.run.manifest, ()),
        **told_stories(judgement.story),
        **_listed(_some(judged)),
        "not_judged": list(judgement.not_judged),
        "stored": len(judged),
        "sampled": any(
            snapshot.source.sampled(plugin, count)
            for tag, count in stored.stored.items()
            for plugin in PLUGINS.get(tag, (SCALARS_PLUGIN,))
        ),
        "problems": listed(stored.problems),
    }


def told_stories(story: Story | None) -> dict[str, Any]:
    """The stories of a run as faces list them, and which of them is the one they headline."""
    if story is None:
        return {"stories": [], "headlined": None}
    stories = [*stories_by_cause(story)[:MAX_STORIES]]
    if all(each.root is not story.root for each in stories):
        stories[-1] = story
    at = next(i for i, each in enumerate(stories) if each.root is story.root)
    return {"stories": [_told(each) for each in stories], "headlined": at}


def _listed(alerts: Sequence[Alert]) -> dict[str, Any]:
    """Alerts with as many names of parameters as an answer has room for."""
    most = max(LEAST_NAMES, MAX_NAMES // max(1, len(alerts)))
    told = [
        asdict(replace(alert, parameters=alert.parameters[:most]))
        | {"shows": SHOWS.get(alert.rule, "")}
        for alert in alerts
    ]
    return {
        "alerts": told,
        "names_left_out": sum(max(0, len(alert.parameters) - most) for alert in alerts),
    }


def _some(alerts: Sequence[Alert]) -> list[Alert]:
    """As many as an answer has room for, without the oldest of those that are over."""
    if len(alerts) <= MAX_ALERTS:
        return list(alerts)
    newest = sorted(alerts, key=lambda alert: (alert.state != "open", -alert.first_step))
    kept = {alert.key for alert in newest[:MAX_ALERTS]}
    return [alert for alert in alerts if alert.key in kept]


def _told(story: Story) -> dict[str, Any]:
    """A story without its alerts, which it names by rule and first step: its root first."""
    return {
        "headline": story.headline,
        "advice": story.advice,
        "next_advice": story.next_advice,
        "severity": story.severity,
        "is_open": story.is_open,
        "alerts": [list(alert.key) for alert in story.alerts],
    }


def notes(snapshot: Snapshot, run: str, times: str = "0") -> dict[str, Any]:
    """What the monitor wrote about itself, and where it ended after a failure."""
    series = read_run(snapshot, run, (NOTES,)).run.get(NOTES)
    told = (
        list(zip(series.steps.tolist(), series.wall_times.tolist(), series.values, strict=True))
        if series
        else []
    )
    norm = (
        snapshot.extents(SCALARS_PLUGIN, snapshot.place(run)).get(GRADIENT_NORM) if told else None
    )
    newest = None if norm is None else norm.last_step
    return {
        "run": run,
        "ended": ended_at(((step, text) for step, _, text in told), newest),
        "notes": [
            {"step": step, **({"wall_time": time} if times == "1" else {}), "text": text}
            for step, time, text in told[-MAX_NOTES:]
        ],
        "stored": len(told),
    }
