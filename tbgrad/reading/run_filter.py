"""Choose runs by their names and hyperparameters."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fnmatch import translate

from tbgrad.log.state import Hyperparameter
from tbgrad.reading.pattern import pattern

Predicate = Callable[[str, Mapping[str, Hyperparameter]], bool]

_COMPARED = re.compile(r"^([\w./-]+?)(>=|<=|!=|=|>|<)(.+)$")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


MOST_SHOWN = 60
"""Characters of a word that is refused."""


def run_filter(text: str) -> Predicate:
    """Whether a run belongs to what was asked for, from its name and its hyperparameters.

    Words apart from one another must all hold; `|` between words without blanks is either, `!`
    ahead of one is not. A word is part of a name, without regard to case; with `*` or `?` it is all
    of it, as of file names; between slashes it is a regular expression (`pattern` says
    which there are). `lr>=1e-3`, `width=64`, `optimizer=adam` compare hyperparameters; a run
    without one of that name is not chosen.

    Raises:
        ValueError: a regular expression is none.

    >>> run_filter("sgd|adam !seed3 lr>=0.01")("adam-1", {"lr": 0.1})
    True
    """
    every = [[_word(one) for one in _either(word)] for word in _words(text)]

    def chosen(name: str, hparams: Mapping[str, Hyperparameter]) -> bool:
        return all(any(one(name, hparams) for one in either) for either in every if either)

    return chosen


def _words(text: str) -> list[str]:
    """At blanks, but not within a regular expression."""
    return re.findall(r"!?/(?:[^/\\]|\\.)+/|\S+", text)


def _either(word: str) -> list[str]:
    """The parts between bars, unless it is a regular expression, which has bars of its own."""
    whole = word.lstrip("!").startswith("/") and word.endswith("/")
    return [word] if whole else [part for part in word.split("|") if part]


def _word(word: str) -> Predicate:
    if word.startswith("!") and len(word) > 1:
        within = _word(word[1:])
        return lambda name, hparams: not within(name, hparams)
    if len(word) > 2 and word.startswith("/") and word.endswith("/"):
        try:
            is_in = pattern(word[1:-1])
        except ValueError as error:
            shown = word if len(word) <= MOST_SHOWN else f"{word[:MOST_SHOWN]}…"
            raise ValueError(f"{shown} is no regular expression: {error}") from None
        return lambda name, _: is_in(name)
    compared = _COMPARED.match(word)
    if compared is not None:
        key, sign, value = compared.groups()
        return lambda _, hparams: key in hparams and _holds(hparams[key], sign, value)
    if set(word) & set("*?"):
        whole = re.compile(translate(word), re.IGNORECASE)
        return lambda name, _: whole.match(name) is not None
    return lambda name, _: word.lower() in name.lower()


def _holds(have: Hyperparameter, sign: str, value: str) -> bool:
    """Whether a hyperparameter compares so: as numbers where both are, else as texts."""
    if sign in ("=", "!="):
        same = str(have).lower() == value.lower()
        if not isinstance(have, str | bool):
            same = have == _number(value)
        return same is (sign == "=")
    number = _number(value)
    if isinstance(have, str | bool) or number is None:
        return False
    return _OPERATORS[sign](have, number)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
