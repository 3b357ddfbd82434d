"""The verdict of a run in a few lines: what is wrong and what to do, or by what it is well."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from tbgrad.judgement.overview import HEALTHY, Overview, healthy_words


class Told(NamedTuple):
    """A line: a label that leads in, "" where none does, a sentence, and how it is meant."""

    label: str
    text: str
    look: Literal["error", "warning", "info", "good", "plain", "quiet"]


def verdict_of(row: Overview) -> list[Told]:
    """What began it and what followed, what to change first and then; or that nothing is wrong.

    >>> for line in verdict_of(overview_of(run, None, judge(run).story)):
    ...     print(line.label + line.text)
    the loss diverges from step 310
    change first: lower the learning rate
    """
    lines: list[Told] = []
    if row.monitoring_ended is not None:
        at = f"the monitoring ended at step {row.monitoring_ended:,}"
        lines.append(Told("", f"{at}: nothing after it is judged", "warning"))
    story = row.story
    if story is not None and is_ill(row):
        look: Literal["error", "warning"] = "error" if story.severity == "error" else "warning"
        lines.append(Told("", story.headline, look))
        for label, text in (("change first: ", story.advice), ("then: ", story.next_advice)):
            if text:
                lines.append(Told(label, text, "plain"))
    elif row.health == HEALTHY and math.isnan(row.norm) and not len(row.losses):
        lines.append(Told("", "neither a loss nor gradients to judge by", "quiet"))
    elif row.health == HEALTHY:
        lines.append(Told("healthy: ", healthy_words(row), "good"))
    elif not row.health:
        lines.append(Told("", "not judged yet", "quiet"))
    return lines


def is_ill(row: Overview) -> bool:
    """Whether more than a hint is open."""
    return row.story is not None and row.story.is_open and row.story.severity != "info"
