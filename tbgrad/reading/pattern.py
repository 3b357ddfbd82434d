"""Regular expressions whose search takes a time in proportion to the text, whatever they are.

Those of `re` may take for ever: `(a+)+$` doubles its time with every letter. Here all ways through
an expression are followed at once (Thompson, "Regular expression search algorithm", 1968), so that
nobody's filter holds up a server. There are no backreferences, and nothing that looks ahead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

MOST_CHARACTERS = 200
MOST_STATES = 400
"""Of an expression, where `{m,n}` stands for as many copies."""

MOST_KEPT = 5000
"""Steps that are remembered: from where, by which character."""

TOO_MUCH = "it is too much when all its repetitions are written out"

Accepts = Callable[[str], bool]

_COUNTED = re.compile(r"\{(\d*)(,?)(\d*)\}")
_CLASSES: dict[str, Accepts] = {
    "d": str.isdecimal,
    "s": str.isspace,
    "w": lambda c: c.isalnum() or c == "_",
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r"}


class _State(NamedTuple):
    """A place in an expression: what leads on from it, and where to. `accepts` takes a character;
    "" leads on by itself, "^" at the beginning of a text, "$" at its end."""

    accepts: Accepts | str
    nexts: tuple[int, ...]


def pattern(text: str) -> Callable[[str], bool]:
    """Whether an expression is found in a text, without regard to case.

    It may have `.`, `[a-z]`, `\\d \\w \\s`, `^`, `$`, `|`, `( )` and `* + ? {m,n}`.

    Raises:
        ValueError: it is no such expression, or too long.

    >>> pattern("adam|sgd.*seed[12]$")("sweep/SGD-seed2")
    True
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters; {MOST_CHARACTERS} may be")
    parser = _Parser(text)
    start = parser.parsed()
    return _Search(parser.states, start).found


class _Parser:
    """From an expression to its states, built from the end: each knows where it leads on to."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._copies = text, 0, 0
        self.states: list[_State] = [_State("", ())]

    def parsed(self) -> int:
        """The first state; the one that matches is 0."""
        tree = self._either()
        if self._at < len(self._text):
            raise ValueError(f"a ')' at character {self._at + 1} closes nothing")
        return tree(0)

    def _copy(self, one: Callable[[int], int], end: int) -> int:
        """Another of what is repeated; of nothing, too, there may not be many."""
        self._copies += 1
        if self._copies > 10 * MOST_STATES:
            raise ValueError(TOO_MUCH)
        return one(end)

    def _add(self, accepts: Accepts | str, *nexts: int) -> int:
        if len(self.states) >= MOST_STATES:
            raise ValueError(TOO_MUCH)
        self.states.append(_State(accepts, nexts))
        return len(self.states) - 1

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, what: str) -> bool:
        there = self._text.startswith(what, self._at)
        self._at += len(what) * there
        return there

    def _either(self) -> Callable[[int], int]:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        if len(options) == 1:
            return options[0]
        return lambda end: self._add("", *[option(end) for option in options])

    def _sequence(self) -> Callable[[int], int]:
        parts = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated())

        def built(end: int) -> int:
            for part in reversed(parts):
                end = part(end)
            return end

        return built

    def _repeated(self) -> Callable[[int], int]:
        one = self._atom()
        counts = self._counts()
        if counts is None:
            return one
        low, high = counts
        self._take("?")  # which of several matches is found does not matter here
        if self._counts() is not None:
            raise ValueError(f"at character {self._at} a repetition is repeated")

        def built(end: int) -> int:
            if high is None:
                loop = self._add("", end)
                self.states[loop] = _State("", (self._copy(one, loop), end))
                end = loop
            else:
                last = end
                for _ in range(high - low):
                    end = self._add("", self._copy(one, end), last)
            for _ in range(low):
                end = self._copy(one, end)
            return end

        return built

    def _counts(self) -> tuple[int, int | None] | None:
        """How often at least, and at most."""
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return counts
        found = _COUNTED.match(self._text, self._at)
        if found is None or not found[1] + found[3]:
            return None
        self._at = found.end()
        low, high = int(found[1] or 0), int(found[3]) if found[3] else None
        high = high if found[2] else low
        if low > MOST_STATES or (high is not None and (high > MOST_STATES or high < low)):
            raise ValueError(f"{found[0]} is no number of repetitions that may be")
        return low, high

    def _atom(self) -> Callable[[int], int]:
        sign = self._text[self._at]
        self._at += 1
        if sign == "(":
            if not self._take("?:") and self._peek() == "?":
                raise ValueError("of groups with (?…) there is (?:…) alone")
            inner = self._either()
            if not self._take(")"):
                raise ValueError("a '(' is not closed")
            return inner
        if sign in "*+?":
            raise ValueError(f"{sign!r} at character {self._at} repeats nothing")
        if sign in "^$":
            return lambda end: self._add(sign, end)
        accepts = self._accepted(sign)
        return lambda end: self._add(accepts, end)

    def _accepted(self, sign: str) -> Accepts:
        if sign == ".":
            return lambda c: c != "\n"
        if sign == "[":
            return self._set()
        return self._escaped() if sign == "\\" else _like(sign)

    def _escaped(self) -> Accepts:
        sign = self._peek()
        self._at += 1
        if sign.lower() in _CLASSES:
            within = _CLASSES[sign.lower()]
            return within if sign.islower() else lambda c: not within(c)
        if sign == "" or (sign.isalnum() and sign not in _CONTROLS):
            raise ValueError(f"there is no \\{sign} here")
        return _like(_CONTROLS.get(sign, sign))

    def _set(self) -> Accepts:
        other, parts, first = self._take("^"), [], True
        while first or self._peek() != "]":
            if not self._peek():
                raise ValueError("a '[' is not closed")
            parts.append(self._member())
            first = False
        self._at += 1
        return lambda c: any(part(c) for part in parts) is not other

    def _member(self) -> Accepts:
        """A character of a set, a range of them, or a class."""
        low = self._peek()
        self._at += 1
        if low == "\\":
            if self._peek().lower() in _CLASSES:
                return self._escaped()
            low = _CONTROLS.get(self._peek(), self._peek())
            self._at += 1
        following = self._text[self._at + 1 : self._at + 2]
        if self._peek() != "-" or following in ("", "]"):
            return _like(low)
        self._at += 2
        high = following
        if high == "\\":
            high = self._peek()
            self._at += 1
        if high < low:
            raise ValueError(f"{low}-{high} is no range")
        return lambda c: any(low <= each <= high for each in {c, c.lower(), c.upper()})


def _like(sign: str) -> Accepts:
    wanted = sign.lower()
    return lambda c: c.lower() == wanted


class _Search:
    """Follows all ways through an expression at once."""

    def __init__(self, states: list[_State], start: int) -> None:
        self._states, self._start = states, start
        self._first = self._closed([start], "^")
        self._kept: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def found(self, text: str) -> bool:
        """Whether it is in a text."""
        now = self._first
        for sign in text:
            if 0 in now:
                return True
            now = self._after(now, sign)
        return 0 in self._closed(now, "$" if text else "^$")

    def _after(self, now: frozenset[int], sign: str) -> frozenset[int]:
        found = self._kept.get((now, sign))
        if found is None:
            ways = (self._states[i] for i in now)
            on = [n for s in ways if callable(s.accepts) and s.accepts(sign) for n in s.nexts]
            found = self._closed([*on, self._start], "")
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[now, sign] = found
        return found

    def _closed(self, places: Iterable[int], here: str) -> frozenset[int]:
        """With what is reached from there without a character; `here` are the ends of the text."""
        reached: set[int] = set()
        ahead = list(places)
        while ahead:
            at = ahead.pop()
            if at in reached:
                continue
            reached.add(at)
            accepts, nexts = self._states[at]
            if isinstance(accepts, str) and accepts in here:
                ahead += nexts
        return frozenset(reached)
