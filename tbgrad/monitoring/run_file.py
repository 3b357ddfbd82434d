"""The event file of a run: one for all the groups of parameters that are logged side by side."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tbgrad.log.append import EventFileWriter
from tbgrad.log.tags import in_group
from tbgrad.monitoring import run_directory
from tbgrad.monitoring.storage import LocalStorage, Storage

_lock = threading.RLock()  # one thread may come back: a monitor is closed where it is collected
_shared: dict[str, _File] = {}

_Values = Iterable[Any] | Callable[[], Iterable[Any]]


class RunFile:
    """What one monitor writes of a run, with the name of its group before every tag.

    With `choose` the directory is that which `run_directory.choose` gives for this optimizer.
    Monitors with different groups and the same directory write into one file, so that TensorBoard,
    which follows one file a run, sees all of them. Readers drop what a former process wrote at and
    after `start_step`; in a file of groups, which count their own steps, series by series.

    Attributes:
        logdir: the directory of the file.

    Raises:
        OSError: `logdir` cannot be created or written; where it is remote, an error of TensorFlow.
    """

    def __init__(
        self,
        logdir: str | Path,
        *,
        group: str,
        start_step: int,
        on_error: Callable[[Exception], None],
        on_full: Callable[[Exception], None],
        choose: bool = False,
        optimizer: Any = None,
        storage: Storage | None = None,
    ) -> None:
        self._group = group
        self._listeners = _Listeners(on_error, on_full)
        self._signs: Callable[[], tuple[int, Iterable[Any]]] | None = None
        storage = storage or LocalStorage()
        with _lock:
            if choose:
                logdir = run_directory.choose(logdir, group, optimizer, start_step - 1, storage)
            key = run_directory.resolved(logdir)
            file = _shared.get(key) if group else None
            if file is None or group in file.writing:
                file = _File(logdir, None if group else start_step, storage)
                if group:
                    _shared[key] = file
            file.writing.add(group)
            file.told.append(self._listeners)
        self._file = file
        self.logdir = logdir

    def add(
        self, step: int, values: _Values, wall_time: float | None = None, *, grouped: bool = True
    ) -> None:
        """Queue one event with all `values` of a step, as `EventFileWriter.add` does.

        With `grouped` their tags have the name of the group; those of other plugins must not.
        """
        if self._group and grouped:
            values = partial(self._named, values)
        self._file.writer.add(step, values, wall_time)

    def follow(self, signs: Callable[[], tuple[int, Iterable[Any]]], seconds: float) -> None:
        """Have signs of life written every so many seconds, however little else there is.

        `signs`, a step and the values of its event, is called on the writer's thread.
        """

        def named() -> tuple[int, Iterable[Any]]:
            step, values = signs()
            return step, self._named(values) if self._group else values

        self._signs = named
        self._file.writer.follow(named, seconds)

    def add_each(
        self, events: Callable[[], Iterable[tuple[int, Iterable[Any]]]], wall_time: float
    ) -> None:
        """Queue several events, as `EventFileWriter.add_each` does, in the name of the group."""

        def named() -> Iterable[tuple[int, Iterable[Any]]]:
            return ((step, self._named(values)) for step, values in events())

        self._file.writer.add_each(named if self._group else events, wall_time)

    def flush(self) -> None:
        """Wait until everything added so far is on disk."""
        self._file.writer.flush()

    def close(self) -> None:
        """Write what is queued; the last monitor closes the file."""
        if self._signs is not None:
            self._file.writer.unfollow(self._signs)
        with _lock:
            self._file.writing.remove(self._group)
            last = not self._file.writing
            for key in [key for key, file in _shared.items() if last and file is self._file]:
                del _shared[key]
        if last:
            self._file.writer.close()
        else:
            self._file.writer.flush()
        # Not before: what is queued may fail to be written, and its monitor has to say so.
        self._file.told.remove(self._listeners)

    def _named(self, values: _Values) -> Iterable[Any]:
        for value in values() if callable(values) else values:
            value.tag = in_group(self._group, value.tag)
            yield value


class _Listeners(NamedTuple):
    """What hears of a failure of a file, and of a disk that is full."""

    on_error: Callable[[Exception], None]
    on_full: Callable[[Exception], None]


class _File:
    """An open event file, the groups that write it, and what hears how it fares."""

    def __init__(self, logdir: str | Path, start_step: int | None, storage: Storage) -> None:
        self.writing: set[str] = set()
        self.told: list[_Listeners] = []
        self.writer = EventFileWriter(
            logdir,
            start_step=start_step,
            on_error=self._failed,
            on_full=self._full,
            create=storage.create,
        )

    def _failed(self, error: Exception) -> None:
        for each in list(self.told):
            with contextlib.suppress(Exception):
                each.on_error(error)

    def _full(self, error: Exception) -> None:
        for each in list(self.told):
            with contextlib.suppress(Exception):
                each.on_full(error)
