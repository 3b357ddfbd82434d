"""The runs that are marked for comparison, each in a look of its own, and the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.style import Style

from tbgrad.reading.run import Run
from tbgrad_tui.chart import colours

REFERENCE = "*"
"""Behind the letter of the run that the others are compared to."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Look:
    """A letter and a colour; values `behind` a smooth line are in a darker one."""

    letter: str
    style: Style
    behind: Style


UNMARKED = Look("", colours.STRONG, colours.ABSENT)
"""Of a run that is shown beside marked ones, and is not marked."""

Looked = tuple[Run, Look]
"""A run with its look."""


class Marks:
    """Which runs are marked, and which one is pinned as the reference.

    The look of a run stays its own when it is unmarked, as long as no other run takes it.

    >>> marks = Marks()
    >>> marks.toggle("a"), marks.look("a").letter
    (True, 'A')
    """

    def __init__(self) -> None:
        self.marked: list[str] = []
        self.pinned = ""
        self._places: dict[str, int] = {}

    def toggle(self, name: str) -> bool:
        """Mark a run, or no longer; whether it is marked now."""
        if name in self.marked:
            self.marked.remove(name)
            return False
        self.marked.append(name)
        self._place(name)
        return True

    def pin(self, name: str) -> bool:
        """Make a run the reference, or no longer; whether it is now."""
        self.pinned = "" if self.pinned == name else name
        if self.pinned:
            self._place(name)
        return bool(self.pinned)

    def clear(self) -> None:
        """Mark none and pin none."""
        self.marked, self.pinned = [], ""

    def look(self, name: str) -> Look:
        """The look of a run; that of an unmarked one where it is neither marked nor pinned."""
        if name not in self.chosen:
            return UNMARKED
        place = self._places[name]
        at = place % len(colours.RUNS)
        return Look(LETTERS[place % len(LETTERS)], colours.RUNS[at], colours.RUNS_BEHIND[at])

    @property
    def chosen(self) -> list[str]:
        """The reference first, then the marked runs as they were marked."""
        rest = [name for name in self.marked if name != self.pinned]
        return [self.pinned, *rest] if self.pinned else rest

    def compared(self, selected: str, names: Sequence[str]) -> list[str]:
        """The runs to compare: the chosen ones, and where these are fewer than two the `selected`
        one and that below it in `names`, which are marked with it."""
        there = [name for name in self.chosen if name in names]
        at = names.index(selected) if selected in names else 0
        for name in (*names[at : at + 1], *names[at + 1 :], *reversed(names[:at])):
            if len(there) >= 2:
                break
            if name not in there:
                self.toggle(name)
                there.append(name)
        return there

    def runs(self, runs: Mapping[str, Run]) -> list[Looked]:
        """The chosen runs that there are, with their looks."""
        return [(runs[name], self.look(name)) for name in self.chosen if name in runs]

    def _place(self, name: str) -> None:
        taken = {self._places[other] for other in self.chosen if other != name}
        if self._places.get(name) is None or self._places[name] in taken:
            free = (place for place in range(len(taken) + 1) if place not in taken)
            self._places[name] = next(free)
