"""Tells of errors that appear while somebody looks elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tbgrad.log.text import printable
from tbgrad.reading.run import Run
from tbgrad_tui import facts

LONGEST = 200
"""Characters of what a terminal is given to show elsewhere than in its cells."""


@dataclass(frozen=True)
class Alarm:
    """A run in which something broke, and what, in a sentence."""

    run: str
    headline: str

    @property
    def text(self) -> str:
        """Both, without anything that a terminal would take for a command."""
        return printable(f"{self.run}: {self.headline}", LONGEST)

    def sequences(self) -> str:
        """What rings the bell, shows a notification (OSC 9) and names the window after it."""
        return f"\x07\x1b]9;{self.text}\x07\x1b]2;◆ {self.text}\x07"


class Alarms:
    """Finds runs in which an error is new; what the log held when it was first read is not."""

    def __init__(self) -> None:
        self._broken: set[str] = set()
        self._began = False

    def news(self, runs: Mapping[str, Run], *, loading: bool) -> list[Alarm]:
        """Those since the last time, of the runs that are judged."""
        found = []
        for name, run in runs.items():
            if not facts.is_judged(run):
                continue
            story = facts.story(run)
            if story is None or story.severity != "error" or not story.is_open:
                self._broken.discard(name)
            elif name not in self._broken:
                self._broken.add(name)
                found.append(Alarm(name, story.headline))
        told = found if self._began else []
        self._began |= not loading and all(map(facts.is_judged, runs.values()))
        return told
