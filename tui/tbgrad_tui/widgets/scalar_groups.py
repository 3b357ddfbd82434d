"""The scalars of a run in groups: what is like a loss first, names without what all share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tbgrad.log.scalars import SCALARS, in_order, scalar_of
from tbgrad.log.short_names import shared_ends
from tbgrad.reading.run import Run
from tbgrad.reading.run_filter import run_filter
from tbgrad_tui import facts

LOSS_LIKE = re.compile(
    r"(?:^|[/_.\-\s])(?:loss|losses|nll|cross_?entropy|mse|mae|rmse|perplexity|ppl|error|elbo)"
    r"(?:$|[/_.\-\s\d])",
    re.IGNORECASE,
)
"""A tag that has such a word in it."""

OWN = 3
"""A group of fewer tags is not worth a heading."""


@dataclass(frozen=True)
class Group:
    """Tags with their short names, and what these leave out."""

    title: str
    entries: tuple[tuple[str, str], ...]


@facts.OnceARun
def tags_of(run: Run) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tags of all scalars of a run, and of its histograms."""
    return tuple(facts.scalar_tags(run)), tuple(facts.histogram_tags(run))


@lru_cache(maxsize=8)
def chosen_groups(scalars: tuple[str, ...], histograms: tuple[str, ...], text: str) -> list[Group]:
    """The groups of the tags that a filter chooses, in the words of `run_filter`.

    Raises:
        ValueError: a regular expression in it is none.
    """
    chosen = run_filter(text)
    return grouped(
        [tag for tag in scalars if chosen(_searched(tag), {})],
        [tag for tag in histograms if chosen(tag, {})],
    )


def _searched(tag: str) -> str:
    """What a filter looks for words in: a tag, and the name under which it is shown."""
    label = scalar_of(tag).label
    return tag if label == tag else f"{tag} {label}"


FEW = 8
"""So few tags are one group."""


def grouped(tags: Sequence[str], histograms: Sequence[str] = ()) -> list[Group]:
    """What is like a loss, the few of small groups, then groups by the first part of their names.

    The last group is of the tags of `histograms`.

    >>> grouped(["train/loss", *others, "w/l0/norm", "w/l1/norm", "w/l2/norm"])[2]
    Group(title='w/…/norm', entries=(('w/l0/norm', 'l0'), ('w/l1/norm', 'l1'), …))
    """
    unknown = sorted((tag for tag in tags if tag not in SCALARS), key=_natural)
    ordered = in_order([tag for tag in tags if tag in SCALARS]) + unknown
    losses = [tag for tag in ordered if LOSS_LIKE.search(tag)]
    others = [tag for tag in ordered if tag not in losses]
    if len(tags) + len(histograms) <= FEW:
        entries = _named([*losses, *others, *histograms])
        return [Group("all", entries)] if entries else []
    rest: dict[str, list[str]] = {}
    for tag in others:
        rest.setdefault(_prefix(tag), []).append(tag)
    few = [tag for prefix, those in rest.items() for tag in those if not _is_own(prefix, those)]
    groups = [Group("loss", _named(losses)), Group("others", _named(few))]
    for prefix, those in rest.items():
        if _is_own(prefix, those):
            start, end = shared_ends(those)
            named = tuple((tag, tag[len(start) : len(tag) - len(end)]) for tag in those)
            groups.append(Group(f"{start}…{end}", named))
    groups.append(Group("histograms", _named(sorted(histograms, key=_natural))))
    return [group for group in groups if group.entries]


def _natural(tag: str) -> list[tuple[int, str]]:
    """What sorts layer 10 behind layer 9."""
    parts = re.split(r"(\d+)", tag)
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]


def _prefix(tag: str) -> str:
    """What tags of a group have before the first slash; ours are known by labels of their own."""
    return tag.split("/")[0] if "/" in tag and tag not in SCALARS else ""


def _is_own(prefix: str, tags: Sequence[str]) -> bool:
    return bool(prefix) and len(tags) >= OWN


def _named(tags: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Tags by their labels, or whole."""
    return tuple((tag, scalar_of(tag).label) for tag in tags)
