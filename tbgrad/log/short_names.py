"""Names of runs and tags, as short and in the order as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import groupby, takewhile

_NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")
_WORDS = re.compile(r"([/_ ]|(?<![0-9][eE])-)")
"""What is between words; every other part of a name that is split there is a word."""


def natural(name: str) -> tuple[tuple[float, str], ...]:
    """What sorts names as people count: numbers in them, "0.03" and "1e-4" too, by their size.

    >>> sorted(["seed10", "seed9"], key=natural)
    ['seed9', 'seed10']
    """
    # What is no number comes after those that are.
    parts = ((math.inf, part) if i % 2 == 0 else (float(part), part)
             for i, part in enumerate(_NUMBER.split(name)))  # fmt: skip
    return tuple(part for part in parts if part[1])


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names without the words that all begin with and end with, and "…" for those in the middle.

    Words are apart by slashes, underscores, blanks and dashes, but for that of an exponent.

    >>> short_names(["sweep/lr0.1-w64-seed1", "sweep/lr1e-3-w64-seed2"])
    {'sweep/lr0.1-w64-seed1': 'lr0.1…seed1', 'sweep/lr1e-3-w64-seed2': 'lr1e-3…seed2'}
    """
    start, end = shared_ends(names)
    inner = [_WORDS.split(name[len(start) : len(name) - len(end)]) for name in names]
    if len(names) > 1 and len({len(each) for each in inner}) == 1:
        alike = [len(set(parts)) == 1 for parts in zip(*inner, strict=True)]
        inner = [_elided(each, alike) for each in inner]
    return {name: "".join(each) or name for name, each in zip(names, inner, strict=True)}


def shared_ends(names: Sequence[str]) -> tuple[str, str]:
    """The words that all names begin with, and that they end with; none of a single name.

    >>> shared_ends(["layer_0/norm", "layer_1/norm"])
    ('layer_', '/norm')
    """
    if len(names) < 2:
        return "", ""
    words = [_WORDS.split(name) for name in names]
    start = _shared(words)
    end = _shared([each[start:][::-1] for each in words])
    whole = words[0]
    return "".join(whole[:start]), "".join(whole[len(whole) - end :])


def _shared(words: Sequence[Sequence[str]]) -> int:
    """With how many words all begin, and with what comes behind these."""
    alike = list(takewhile(lambda each: len(set(each)) == 1, zip(*words, strict=False)))
    return len(alike) // 2 * 2


def _elided(words: Sequence[str], alike: Sequence[bool]) -> list[str]:
    """Words with "…" in place of two or more that all have, counting what is between them."""
    kept: list[str] = []
    for same, run in groupby(zip(alike, words, strict=True), key=lambda pair: pair[0]):
        part = [word for _, word in run]
        kept += ["…"] if same and len(part) > 2 else part
    return kept
