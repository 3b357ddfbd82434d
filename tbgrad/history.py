"""Read the runs below a directory, once or while training writes.

`read` loads a directory once; `LogDirectory` follows it. Both hand out frozen `Run`s whose arrays
never change again, so that another thread may read them while the next poll runs.
"""

from __future__ import annotations

import bisect
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tbgrad.eventfile import find_event_files
from tbgrad.run import Buckets, Run, Series
from tbgrad.runbuilder import RunBuilder

PROGRESS_SECONDS = 0.1

__all__ = ["LogDirectory", "Run", "Series", "read"]


def read(logdir: str | Path, *, bounded: bool = False) -> dict[str, Run]:
    """Read all runs below `logdir`, every value of them, or `bounded` in memory (see `Series`).

    Needs no TensorFlow. Returns a dict by run name, "." for the directory itself; empty where no
    run is. A group of parameters (see `GradientMonitor`) is read as if it were a run in a directory
    of its name.

    Raises:
        FileNotFoundError: `logdir` does not exist.
        NotADirectoryError: `logdir` is a file.
        PermissionError: `logdir` cannot be listed.

    >>> runs = tbgrad.read("runs")
    >>> runs["a"]["gradient/norm"].values
    """
    log = LogDirectory(logdir, bounded=bounded)
    if not os.path.lexists(log.path):
        raise FileNotFoundError(f"{log.path} does not exist: give the directory of the event files")
    log.poll()
    if str(log.path) in log.problems:
        raise PermissionError(
            f"{log.path} cannot be read ({log.problems[str(log.path)]}): "
            "check its permissions or the user you run as"
        )
    return log.finish()


def each(
    logdir: Path, problems: dict[str, str], progress: Callable[[int, int], object] | None = None
) -> Iterator[Run]:
    """Read the runs below `logdir` one after the other, every value of them, and keep none.

    What cannot be read goes into `problems` (path -> reason). `progress` is called with the bytes
    read so far and those of all files.
    """
    files = find_event_files(logdir, problems)
    every = (path for paths in files.values() for path in paths)
    total = sum(path.stat().st_size for path in every if path.exists())
    done = 0
    for name, paths in files.items():
        builder = RunBuilder(name)
        while builder.read(paths, time.monotonic() + PROGRESS_SECONDS):
            if progress is not None:
                progress(done + builder.bytes_read, total)
        done += builder.bytes_read
        problems.update(builder.problems)
        yield from builder.freeze(last_look=True).values()


class LogDirectory:
    """Follows every run below a directory, including runs and files that appear later.

    `poll` reads what is new and replaces `runs` by a new dict in which the changed entries are new.
    Long series are kept in a bounded number of buckets (see `Series`), and TensorBoard's histograms
    of what our packed ones tell are left out, unless `bounded` is False. A directory that does not
    exist yet is an empty one. `problems` maps the path of what cannot be read to the reason.

    Raises:
        NotADirectoryError: `logdir` is a file.
    """

    def __init__(self, logdir: str | Path, *, bounded: bool = True) -> None:
        self._bounded = bounded
        self.path = Path(os.path.expanduser(logdir))
        if os.path.exists(self.path) and not os.path.isdir(self.path):
            raise NotADirectoryError(
                f"{self.path} is a file: give the directory that holds the event files, "
                f"here {self.path.parent}"
            )
        self.runs: dict[str, Run] = {}
        self.problems: dict[str, str] = {}
        self._builders: dict[str, RunBuilder] = {}
        self._frozen: dict[str, dict[str, Run]] = {}
        self._last_turn = ""

    def poll(self, seconds: float = float("inf")) -> set[str]:
        """Read what is new and return the names of the runs that changed.

        Stops after about `seconds`, so that a large log can be shown while it loads: call again
        until the result is empty. Runs take turns, so that a large one does not hold up the rest.
        """
        deadline = time.monotonic() + seconds
        problems: dict[str, str] = {}
        files = find_event_files(self.path, problems) if os.path.lexists(self.path) else {}
        self._builders = {n: b for n, b in self._builders.items() if n in files}
        frozen = {name: runs for name, runs in self._frozen.items() if name in files}
        for name in self._in_turn(list(files)):
            builder = self._builders.get(name)
            if builder is None or builder.outdated(files[name]):
                builder = self._builders[name] = RunBuilder(name, self._bounded, len(files))
                frozen.pop(name, None)
            if builder.read(files[name], deadline) or name not in frozen:
                frozen[name] = builder.freeze()
                self._last_turn = name
                if time.monotonic() > deadline:
                    break
        before, self._frozen, self.runs = self.runs, frozen, _by_name(frozen)
        for builder in self._builders.values():
            problems.update(builder.problems)
        self.problems = problems
        return {
            n for n in before.keys() | self.runs.keys() if before.get(n) is not self.runs.get(n)
        }

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
        found = series.window(first_step, last_step, buckets)
        if series.buckets is None or not len(found) or len(found) >= buckets:
            return found
        if not (found.counts > 1).any():
            return found
        last = min(last_step, int(series.steps[-1]))
        directory = next((name for name, runs in self._frozen.items() if run in runs), None)
        if directory is not None:
            again = self._builders[directory].reread(first_step, last).get(run)
            if again is not None and tag in again and again.names == self.runs[run].names:
                return again[tag].window(first_step, last, buckets)
        return found

    def finish(self) -> dict[str, Run]:
        """The runs, with the damage at the ends of their files that only a last look can tell."""
        last = {name: self._builders[name].freeze(last_look=True) for name in self._frozen}
        return _by_name(last)

    def _in_turn(self, names: list[str]) -> list[str]:
        after = bisect.bisect_right(names, self._last_turn)
        return names[after:] + names[:after]


def _by_name(directories: Mapping[str, Mapping[str, Run]]) -> dict[str, Run]:
    """All runs in the order of their names; a group gives way to a directory of its name."""
    named: dict[str, Run] = {}
    for directory, runs in directories.items():
        for name, run in runs.items():
            free = name
            while free != directory and (free in directories or free in named):
                free += " (group)"
            named[free] = run if free == name else replace(run, name=free)
    return dict(sorted(named.items()))
