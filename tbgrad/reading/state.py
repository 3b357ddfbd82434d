"""What the state that a writer logged means to a reader: whether the run lives, and how it ended.

A writer that was killed says nothing, so that silence is all that tells of it. Two clocks may
differ: once a reader has seen signs of life come, it counts by its own.
"""

from __future__ import annotations

import math
import shutil
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from tbgrad.log.state import FAILED, FINISHED, INTERRUPTED, LEFT, RUNNING, RunState
from tbgrad.log.tags import Kind
from tbgrad.log.text import duration, number, printable

SLOW, SILENT = "slow", "silent"
"""What a reader finds of a run that said it was running."""

SLOWER = 5.0
"""So many times its own pace is slow."""

MISSED = 2.4
"""So many times the seconds between two signs of life without one is silence: 12 s on a disk.

A sign may be 10 s old when TensorBoard, which reads again every 5 s, tells of it.
"""

DELAY = 3.0
"""A sign of life may be seen so many seconds late; where it is more, two clocks differ."""

LOADING_SECONDS = 30.0
"""A log whose clock goes on faster than the reader's by so much is being loaded, not written."""

LEAST_ROOM = 1 << 16
"""A disk with fewer bytes left than this is full: a record may find no room."""

LOOKS = 8
"""The difference of two clocks is the smallest of so many observations."""


class Heard(NamedTuple):
    """The newest state of a file, and when it was written."""

    wall_time: float
    state: RunState | None


def heard(before: Heard | None, kind: Kind, state: RunState, wall_time: float) -> Heard:
    """What is known when one more state, or sign of life, was read."""
    if kind is Kind.STATE or before is None or before.state is None:
        return Heard(wall_time, state if kind is Kind.STATE else None)
    return Heard(wall_time, before.state.heard(state))


class Pulse:
    """When a run was last heard of, for a reader who looks again and again.

    Times are seconds since the epoch: `heard` by the clock of the writer, `now` of the reader.
    Another thread than that which looks may ask.

    Attributes:
        disk_is_full: what `no_room` last said of its log.
    """

    def __init__(self) -> None:
        self.disk_is_full = False
        self._differences: deque[float] = deque(maxlen=LOOKS)
        self._last = _Look(-math.inf, -math.inf, None)

    def look(self, heard: float, now: float) -> None:
        """The newest that was written was written then."""
        before = self._last
        if heard == before.heard:
            return
        known = math.isfinite(before.seen)
        if known and heard - before.heard <= now - before.seen + LOADING_SECONDS:
            self._differences.append(now - heard)
        else:
            self._differences.clear()
        self._last = _Look(heard, now, min(self._differences, default=None))

    def silence(self, now: float) -> float:
        """Seconds since the run was last heard of."""
        heard, seen, difference = self._last
        if difference is None:
            return max(now - heard, now - seen)
        return max(0.0, now - heard - min(difference, 0.0) - max(difference - DELAY, 0.0))


class _Look(NamedTuple):
    """What was heard and when it was seen; by how much clocks differ, None where not known."""

    heard: float
    seen: float
    difference: float | None


@dataclass(frozen=True)
class Condition:
    """How a run stands: a status of `log.state.STATUSES`, SLOW or SILENT, and that in words.

    `alive` is whether it is held to be going on.
    """

    status: str
    words: str

    @property
    def alive(self) -> bool:
        """Whether it goes on, however slowly."""
        return self.status in (RUNNING, SLOW)


def no_room(directory: Any) -> bool:
    """Whether the disk of a directory is full; False where nobody can tell."""
    try:
        disk = shutil.disk_usage(directory)
    except (OSError, TypeError, ValueError):
        return False
    return disk.total > 0 and disk.free < LEAST_ROOM


def condition(
    state: RunState | None, silence: float, *, disk_is_full: bool = False
) -> Condition | None:
    """How a run stands that was last heard of so many seconds ago; None where no log says.

    A silence below zero, of clocks that differ, is none. A writer is silent, too, whose disk is
    full.
    """
    if state is None:
        return None
    if state.status == FINISHED:
        return Condition(FINISHED, "finished")
    if state.status == LEFT:
        return Condition(LEFT, "ended: its writer was not closed")
    if state.status in (INTERRUPTED, FAILED):
        why = printable(state.exception, 120)
        return Condition(state.status, f"{state.status}: {why}" if why else state.status)
    if state.heartbeat and silence > MISSED * state.heartbeat:
        why = ": the disk of its log is full" if disk_is_full else ""
        return Condition(SILENT, f"silent for {duration(silence)}{why}")
    if state.doing:
        return Condition(RUNNING, f"running: {printable(state.doing, 40)}")
    if state.recent > SLOWER * state.pace:
        times = f"{number(state.recent, 2)} s a step, usually {number(state.pace, 2)}"
        return Condition(SLOW, f"slow: {times}")
    return Condition(RUNNING, "running")


def resources_line(state: RunState) -> str:
    """What it takes of its machine, in words; "" where that is not known."""
    told = state.resources
    words = []
    for name, value in told.items():
        label = printable(name, 40).replace("_", " ")
        if "memory" in name:
            words.append(f"{label} {number(value / 2**30, 3)} GiB")
        elif name.endswith("_use"):
            words.append(f"{label.removesuffix(' use')} {100 * value:.0f} %")
        else:
            words.append(f"{label} {number(value, 2)} cores")
    return ", ".join(words)
