"""Reads the log on a thread of its own and hands the app one frozen snapshot at a time."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from textual.message import Message

from tbgrad.judgement.story import Judgement
from tbgrad.reading.directory import Closer, LogDirectory
from tbgrad.reading.places import Logdir
from tbgrad.reading.run import Run
from tbgrad.reading.state import Pulse, no_room
from tbgrad_tui import facts

if TYPE_CHECKING:
    from tbgrad.judgement.replay import Judge

POLL_SECONDS = 0.25
"""Between two looks at the log, and the longest that one look may take."""

IDLE_SECONDS = 0.9
"""Between two looks at a log in which nothing was written for a while."""

REMOTE_SECONDS = 5.0
"""The same where each look is a request that somebody pays for."""

LOOKING_SHARE = 0.01
"""Of one core, for looking at files that have not grown: of many runs each look takes longer."""

JUDGING_SHARE = 0.1
"""Of one core, for the alerts of runs that nobody looks at alone."""

IDLE_AFTER = 60.0

DRAWING_SECONDS = 0.3
"""At most for the first picture, which is drawn before the rules have their turn."""

SOON_SECONDS = 0.05
"""Between two looks where something more was asked for."""

HANGING_SECONDS = 5.0
"""A look at the log that takes longer does not come back: its disk or network hangs."""

Stretch = tuple[tuple[str, ...], int, int]
"""Names of runs, the first and the last step."""


@dataclass(frozen=True)
class Snapshot:
    """What was read so far. `loading` is the share of the bytes read while a log still loads.

    `pulses` tell of each run when it was last heard of; `others` are runs that are not asked for.
    `closer` are runs with every value of a stretch of steps, see `Poller.stretch`.
    """

    runs: Mapping[str, Run] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    exists: bool = False
    loading: float | None = None
    pulses: Mapping[str, Pulse] = field(default_factory=dict)
    others: Collection[str] = ()
    closer: Mapping[str, Closer] = field(default_factory=dict)


class SnapshotRead(Message):
    """A newer snapshot; it replaces one that still waits to be shown."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """Only the newest snapshot matters."""
        return isinstance(message, SnapshotRead)


class Poller:
    """Polls `logdir` until `stop`; calls `publish` on its thread when there is something new.

    The alerts of the run named `watched` are looked for on its thread too, after the first snapshot
    unless also that is to be `judged`. `clock` tells the time
    at which something was seen. Runs whose name does not match `pattern` are left out. Between two
    looks there are `apart` seconds at least. Of the runs and between the steps in `stretch`, if
    any, every value is read again where it was merged, of one run a look. Whoever has `drawn` the
    first snapshot says so.

    >>> poller = Poller(Path("runs"), lambda snapshot: app.post_message(SnapshotRead(snapshot)))
    >>> poller.start()
    """

    def __init__(
        self,
        logdir: Logdir,
        publish: Callable[[Snapshot], object],
        hanging_seconds: float = HANGING_SECONDS,
        clock: Callable[[], float] = time.time,
        pattern: str = "*",
        apart: float = POLL_SECONDS,
        judged: bool = False,
    ) -> None:
        self._judged = judged
        self._apart = apart
        self._clock = clock
        self._pattern = pattern
        self._pulses: dict[str, Pulse] = {}
        self._logdir = logdir
        self._publish = publish
        self._hanging_seconds = hanging_seconds
        self.watched = ""
        self.stretch: Stretch | None = None
        self._stretch: Stretch | None = None
        self._unread: list[str] = []
        self._closer: Mapping[str, Closer] = {}
        self._judges: dict[str, Judge] = {}
        self._found: dict[str, Judgement] = {}
        self._unjudged: dict[str, tuple[Run, Run]] = {}
        self._rests_until = 0.0
        self._stopped, self.drawn = threading.Event(), threading.Event()
        self._looking_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="tbgrad-poller", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Poll no more. Returns at once."""
        self._stopped.set()

    def silent_since(self, now: float) -> float | None:
        """When a look at the log began that does not end, as on a hanging network; or None.

        `now` and the answer are seconds since the epoch. Safe to call from any thread.
        """
        since = self._looking_since
        return since if since is not None and now - since > self._hanging_seconds else None

    def _run(self) -> None:
        log: LogDirectory | None = None
        last: Snapshot | None = None
        changed_at = time.monotonic()
        looking, shown = 0.0, True
        while not self._stopped.is_set():
            started = time.monotonic()
            self._looking_since = time.time()
            try:
                log = log or LogDirectory(self._logdir)
                changed = log.poll(seconds=self._apart)
                problems = dict(log.problems)
                runs = {n: run for n, run in log.runs.items() if fnmatchcase(n, self._pattern)}
                self._feel(runs, changed, disk_is_full=no_room(log.path))
                closer = self._look_closer(log)
                shown = self._judged or (last is not None and bool(last.runs))
                if shown:  # the first picture does not wait for what the rules say
                    changed = self._judge(runs) | changed
            except Exception as error:  # noqa: BLE001 - a thread that dies would freeze the screen
                closer = {}
                changed, runs = set(), dict(last.runs) if last else {}
                problems = {name_of(self._logdir): str(error) or type(error).__name__}
            took = time.monotonic() - started
            snapshot = Snapshot(
                runs=self._as_known(runs),
                problems=problems,
                exists=bool(runs) or (log is not None and log.place.exists()),
                loading=log.progress if log is not None and changed else None,
                pulses=dict(self._pulses),
                closer=closer,
                others=log.runs.keys() - runs.keys() if log is not None else (),
            )
            if changed:
                changed_at = started
            if changed or last is None or _differs(snapshot, last):
                last = snapshot
                self._publish(snapshot)
            self._looking_since = None
            if snapshot.loading is None:
                if not changed:
                    looking = took
                idle = time.monotonic() - changed_at > IDLE_AFTER
                pause = IDLE_SECONDS if idle else max(self._apart, looking / LOOKING_SHARE)
                remote = log is not None and log.place.remote
                pause = REMOTE_SECONDS if remote else min(max(IDLE_SECONDS, self._apart), pause)
                if runs and not shown:
                    self.drawn.wait(DRAWING_SECONDS)
                    pause = SOON_SECONDS
                self._stopped.wait(SOON_SECONDS if self._unread else pause)

    def _look_closer(self, log: LogDirectory) -> Mapping[str, Closer]:
        """All values of the `stretch` that is asked for, read again when it is another."""
        if self.stretch != self._stretch:
            self._stretch, self._closer = self.stretch, {}
            self._unread = [*self._stretch[0]] if self._stretch is not None else []
        if self._unread and self._stretch is not None:
            name, (_, first, last) = self._unread.pop(0), self._stretch
            with contextlib.suppress(OSError):  # what was read before is still there
                if (found := log.closer(name, first, last)) is not None:
                    self._closer = {**self._closer, name: found}
        return self._closer

    def _as_known(self, runs: Mapping[str, Run]) -> dict[str, Run]:
        """Runs that are not judged yet as other objects, with what was found of them before.

        What is computed of such an object does not hold for the run once that is judged.
        """
        former, self._unjudged = self._unjudged, {}
        known = dict(runs)
        for name, run in runs.items():
            if facts.is_judged(run) or not facts.has_begun(run):
                continue
            if name not in former or former[name][0] is not run:
                former[name] = run, replace(run)
                if name in self._found:
                    facts.tell_judgement(former[name][1], self._found[name])
            self._unjudged[name] = former[name]
            known[name] = former[name][1]
        return known

    def _judge(self, runs: Mapping[str, Run]) -> set[str]:
        """Look for the alerts of runs that are not judged, for as long as a look may take.

        Runs that were judged before, and have grown, wait for their share of the time; the one that
        is looked at is the first, and does not.
        """
        from tbgrad.judgement.replay import Judge  # the rules are not needed for the first picture

        begun = time.monotonic()
        rested = begun >= self._rests_until
        judged = set()
        self._judges = {name: judge for name, judge in self._judges.items() if name in runs}
        self._found = {name: found for name, found in self._found.items() if name in runs}
        for name, run in sorted(runs.items(), key=lambda item: item[0] != self.watched):
            waits = name in self._judges and not rested and name != self.watched
            if waits or facts.is_judged(run) or not facts.has_begun(run):
                continue
            self._found[name] = self._judges.setdefault(name, Judge()).judge(run)
            facts.tell_judgement(run, self._found[name])
            judged.add(name)
            if time.monotonic() - begun > POLL_SECONDS:
                break
        if judged:
            now = time.monotonic()
            self._rests_until = now + (now - begun) / JUDGING_SHARE
        return judged

    def _feel(
        self, runs: Mapping[str, Run], changed: set[str], *, disk_is_full: bool = False
    ) -> None:
        """Bring the pulses of these runs up to date."""
        self._pulses = {name: self._pulses.get(name) or Pulse() for name in runs}
        for name in changed & runs.keys():
            self._pulses[name].look(runs[name].last_sign, self._clock())
        for pulse in self._pulses.values():
            pulse.disk_is_full = disk_is_full


def name_of(logdir: Logdir) -> str:
    """One directory or several in words."""
    if isinstance(logdir, str | os.PathLike):
        return str(logdir)
    return ", ".join(map(str, logdir))


def _differs(snapshot: Snapshot, last: Snapshot) -> bool:
    return (
        snapshot.exists != last.exists
        or snapshot.problems != last.problems
        or snapshot.loading != last.loading
        or snapshot.closer is not last.closer
        or snapshot.runs.keys() != last.runs.keys()
        or set(snapshot.others) != set(last.others)
    )
