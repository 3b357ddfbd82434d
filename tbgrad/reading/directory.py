"""Read the runs below a directory, once or while training writes.

`read` loads a directory once; `LogDirectory` follows it. Both hand out frozen `Run`s whose arrays
never change again, so that another thread may read them while the next poll runs.
"""

from __future__ import annotations

import bisect
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tbgrad.reading.builder import RunBuilder
from tbgrad.reading.columns import Limits, limits_of
from tbgrad.reading.places import Logdir, place_of
from tbgrad.reading.run import Run
from tbgrad.reading.series import Buckets, Series
from tbgrad.reading.tree import unaliased

PROGRESS_SECONDS = 0.1

CLOSER_BYTES = 32 << 20
"""So much is read again for a closer look at a run, in about a second."""

__all__ = ["Closer", "LogDirectory", "Run", "Series", "read"]


def read(logdir: str | Path, *, bounded: bool | Limits = False) -> dict[str, Run]:
    """Read all runs below `logdir`, every value of them, or `bounded` in memory (see `Series`).

    Needs no TensorFlow. `logdir` may be remote, as "gs://bucket/runs" (with `tbgrad[remote]`).
    Returns a dict by run name, "." for the directory itself; empty where no run is. A group of
    parameters (see `GradientMonitor`) is read as if it were a run in a directory of its name. What
    cannot be read is warned of, and is in the `damage` of its run.

    Raises:
        FileNotFoundError: `logdir` does not exist.
        NotADirectoryError: `logdir` is a file.
        PermissionError: `logdir` cannot be listed.

    >>> runs = tbgrad.read("runs")
    >>> runs["a"]["gradient/norm"].values
    """
    log = LogDirectory(logdir, bounded=bounded)
    log.place.check()
    log.poll()
    if str(log.path) in log.problems:
        raise PermissionError(
            f"{log.path} cannot be read ({log.problems[str(log.path)]}): "
            "check its permissions or the user you run as"
        )
    if log.problems:
        path, reason = next(iter(log.problems.items()))
        more = f", and {len(log.problems) - 1:,} more" if len(log.problems) > 1 else ""
        warnings.warn(f"not read: {path}: {reason}{more}", UnreadWarning, stacklevel=2)
    return log.finish()


class UnreadWarning(UserWarning):
    """A part of a log could not be read, and is missing from what was."""


def read_one_by_one(
    logdir: str | Path,
    problems: dict[str, str],
    progress: Callable[[int, int], object] | None = None,
) -> Iterator[Run]:
    """Read the runs below `logdir` one after the other, every value of them, and keep none.

    What cannot be read goes into `problems` (path -> reason). `progress` is called with the bytes
    read so far and those of all files.
    """
    files = place_of(logdir).event_files(problems)
    total = sum(_size(path) for paths in files.values() for path in paths)
    done = 0
    for name, paths in files.items():
        builder = RunBuilder(name, Limits(merging=False))
        while builder.read(paths, time.monotonic() + PROGRESS_SECONDS):
            if progress is not None:
                progress(done + builder.bytes_read, total)
        done += builder.bytes_read
        problems.update(builder.problems)
        yield from builder.freeze(last_look=True).values()


def _size(path: Any) -> int:
    try:
        return int(path.stat().st_size)
    except OSError:
        return 0


@dataclass(frozen=True)
class Closer:
    """A run with every value from one step to another; of other steps it is not to be trusted."""

    run: Run
    first_step: int
    last_step: int


class LogDirectory:
    """Follows every run below a directory, or several, including what appears later.

    `poll` reads what is new and replaces `runs` by a new dict in which the changed entries are new.
    Long series are kept in a bounded number of buckets (see `Series`), and TensorBoard's histograms
    of what our packed ones tell are left out, unless `bounded` is False. A directory that does not
    exist yet is an empty one. `problems` maps the path of what cannot be read to the reason.
    `progress` is the share of the bytes that were read where the last look did not reach the end.

    Raises:
        NotADirectoryError: `logdir` is a file.
        MissingExtraError: `logdir` is remote and what reads it is not installed.
    """

    def __init__(self, logdir: Logdir, *, bounded: bool | Limits = True) -> None:
        self._limits = limits_of(bounded)
        self.place = place_of(logdir)
        self.path = self.place.path
        self.progress: float | None = None
        self.runs: dict[str, Run] = {}
        self.problems: dict[str, str] = {}
        self._builders: dict[str, RunBuilder] = {}
        self._frozen: dict[str, dict[str, Run]] = {}
        self._rereading: set[str] = set()
        self._aliases: dict[str, str] = {}
        self._last_turn = ""

    def poll(self, seconds: float = float("inf")) -> set[str]:
        """Read what is new and return the names of the runs that changed.

        Stops after about `seconds` of reading, so that a large log can be shown while it loads:
        call again until the result is empty. Runs take turns, so that a large one does not hold up
        the rest. A run whose files have to be read anew is shown as it was until that is done.
        """
        started = time.monotonic()
        problems: dict[str, str] = {}
        aliases: dict[str, str] = {}
        files = unaliased(self.place.event_files(problems, aliases), aliases)
        # Looking what there is takes its time, too: no more of all the time than reading does.
        budget = max(seconds, time.monotonic() - started) if seconds > 0 else 0.0
        self._builders = {n: b for n, b in self._builders.items() if n in files}
        self._rereading &= files.keys()
        frozen = {name: runs for name, runs in self._frozen.items() if name in files}
        spent, self.progress = 0.0, None
        for name in self._in_turn(list(files)):
            builder = self._builders.get(name)
            if builder is None or builder.outdated(files[name]):
                builder = self._anew(name, files, frozen)
            began = time.monotonic()
            changed = builder.read(files[name], began + budget - spent)
            if builder.stale:
                builder = self._anew(name, files, frozen)
                changed = builder.read(files[name], began + budget - spent)
            if changed or name not in frozen or name in self._rereading:
                if builder.complete or name not in self._rereading:
                    frozen[name] = builder.freeze()
                    self._rereading.discard(name)
                self._last_turn = name
                spent += time.monotonic() - began
                if spent > budget:
                    self.progress = self._progress(files)
                    break
        self._aliases = aliases
        before, self._frozen, self.runs = self.runs, frozen, _by_name(frozen, aliases)
        for builder in self._builders.values():
            problems.update(builder.problems)
        self.problems = problems
        reread = {run for name in self._rereading for run in frozen[name]}
        return reread | {
            n
            for n in before.keys() | self.runs.keys()
            if not _same(before.get(n), self.runs.get(n))
        }

    def _anew(
        self, name: str, files: Mapping[str, list[Any]], frozen: Mapping[str, object]
    ) -> RunBuilder:
        """Begin to read a directory, as if nothing of it had been read."""
        limits = replace(self._limits, runs=len(files))
        self._builders[name] = RunBuilder(name, limits)
        if name in frozen:
            self._rereading.add(name)
        return self._builders[name]

    def _progress(self, files: Mapping[str, list[Any]]) -> float | None:
        total = sum(_size(path) for paths in files.values() for path in paths)
        read = sum(builder.bytes_read for builder in self._builders.values())
        return read / total if 0 < read < total else None

    def window(
        self, run: str, tag: str, first_step: int, last_step: int, buckets: int = 200
    ) -> Buckets:
        """What a series holds between two steps, both included, in at most so many buckets.

        Where it was merged into buckets too wide for that, the window is read from the files again.
        Not to be called while another thread polls.

        Raises:
            KeyError: there is no such run or series.
            ValueError: as `Series.window` says.
            OSError: a file cannot be read any more.
        """
        series = self.runs[run][tag]
        held = series.window(first_step, last_step, buckets)
        if series.buckets is None or not 0 < len(held) < buckets or not (held.counts > 1).any():
            return held
        last = min(last_step, int(series.steps[-1]))
        again = self._again(run, first_step, last)
        if again is not None and tag in again and again.names == self.runs[run].names:
            return again[tag].window(first_step, last, buckets)
        return held

    def closer(self, run: str, first_step: int, last_step: int) -> Closer | None:
        """A run between two steps, both included, with every value of them.

        None where nothing of it was merged, so that it is there already; and where more than
        `CLOSER_BYTES` would have to be read again. Not to be called while another thread polls.

        Raises:
            OSError: a file cannot be read any more.
        """
        whole = self.runs.get(run)
        if whole is None or all(series.buckets is None for series in whole.values()):
            return None
        again = self._again(run, first_step, last_step, CLOSER_BYTES)
        return Closer(again, first_step, last_step) if again is not None else None

    def _again(
        self, run: str, first_step: int, last_step: int, most_bytes: float = math.inf
    ) -> Run | None:
        """What the files have of a run between two steps."""
        directory = next((name for name, runs in self._frozen.items() if run in runs), None)
        if directory is None:
            return None
        builder = self._builders[directory]
        if builder.bytes_between(first_step, last_step) > most_bytes:
            return None
        return builder.reread(first_step, last_step).get(run)

    def finish(self) -> dict[str, Run]:
        """The runs, with what is damaged in them that only a last look can tell."""
        last = {name: self._builders[name].freeze(last_look=True) for name in self._frozen}
        return _by_name(last, self._aliases)

    def _in_turn(self, names: list[str]) -> list[str]:
        turn = bisect.bisect_right(names, self._last_turn)
        return names[turn:] + names[:turn]


def _by_name(
    directories: Mapping[str, Mapping[str, Run]], aliases: Mapping[str, str]
) -> dict[str, Run]:
    """All runs in the order of their names; a group gives way to a directory of its name.

    A directory that has more names than one is a run by each; `aliases` are the further ones.
    """
    named: dict[str, Run] = {}
    for directory, runs in directories.items():
        for name, run in runs.items():
            free = name
            while free != directory and (free in directories or free in aliases or free in named):
                free += " (group)"
            named[free] = run if free == name else replace(run, name=free)
    for alias, directory in aliases.items():
        for name, run in directories.get(directory, {}).items():
            further = name if directory == "." else name[len(directory) + 1 :]
            free = "/".join(part for part in (alias, further) if part)
            if free not in named:
                named[free] = replace(run, name=free, bytes_read=0)
    return dict(sorted(named.items()))


def _same(before: Run | None, now: Run | None) -> bool:
    """Whether nothing has come: a further name of a run is another object each time."""
    return before is now or (before is not None and now is not None and before.series is now.series)
