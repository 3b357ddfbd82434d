"""An alert in words: its line in the list, and all of it."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len

from tbgrad.judgement.story import Story
from tbgrad.log.records import Alert
from tbgrad_tui.chart import colours
from tbgrad_tui.chart.text import clean, pad, shorten
from tbgrad_tui.chart.wrapping import Line, wrapped

NAMED = 100
"""So many parameters of an alert are listed."""


def parts_of(story: Story | None) -> dict[tuple[str, int], tuple[str, str]]:
    """What each alert is in the story of its run: a label and a sentence."""
    parts = {}
    for each in (story, *story.further) if story is not None else ():
        root = each.root
        if each.effects:
            parts[root.key] = "story", each.headline
        told = f"{root.rule} at step {root.first_step:,}, see there first"
        parts |= {effect.key: ("follows", told) for effect in each.effects}
    return parts


def alert_headline(alert: Alert, width: int, *, chosen: bool) -> Line:
    """One line of exactly `width` cells: severity, rule, where, which steps."""
    mark, style = colours.SEVERITIES[alert.severity]
    words = colours.TEXT
    if alert.state == "closed":
        style = words = colours.QUIET
    base = colours.SELECTED if chosen else colours.PLAIN
    left = f"{alert.severity}: {alert.rule}"
    room = width - 3
    for right in (*_when(alert), ""):
        if cell_len(clean(left)) + len(right) + 2 <= room:
            break
    room -= len(right)
    left = shorten(left, room)
    where = ""
    more = f" +{len(alert.parameters) - 1:,}" if len(alert.parameters) > 1 else ""
    rest = room - cell_len(left) - cell_len("  in ") - len(more) - 2
    if alert.parameters and rest >= 12:
        where = f"  in {shorten(alert.parameters[0], rest)}{more}"
    return [
        ("▸" if chosen else " ", base),
        (f"{mark} {left}", base + style),
        (pad(where, room - cell_len(left)), base if chosen else words),
        (right, base if chosen else colours.QUIET),
    ]


def _when(alert: Alert) -> tuple[str, str]:
    """The steps and the state, and the same shorter. The log does not say each step that an open
    alert lasts."""
    if alert.state == "open":
        return f"open since step {alert.first_step:,}", f"since {alert.first_step:,}"
    if alert.first_step == alert.last_step:
        return f"closed, step {alert.first_step:,}", "closed"
    return f"closed, steps {alert.first_step:,} to {alert.last_step:,}", "closed"


@lru_cache(maxsize=256)
def details(alert: Alert, width: int, part: tuple[str, str] = ("", "")) -> list[Line]:
    """Its part in the story, evidence, causes, advice and names, wrapped at `width`."""
    names = ", ".join(alert.parameters[:NAMED])
    if len(alert.parameters) > NAMED:
        names += f" and {len(alert.parameters) - NAMED:,} more"
    evidence = alert.evidence
    if alert.state == "open" and alert.last_step > alert.first_step:
        evidence += f" (as of step {alert.last_step:,})"
    labelled = [part, ("evidence", evidence), *(("cause", cause) for cause in alert.causes)]
    labelled += [("advice", alert.advice), ("then", alert.next_advice), ("in", names)]
    return wrapped(
        [
            [(f"   {pad(label, 9)}", colours.QUIET), (text, colours.TEXT)]
            for label, text in labelled
            if text
        ],
        width,
    )
