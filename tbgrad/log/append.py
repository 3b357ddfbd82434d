"""Write an event file on a background thread: C checksum, no TensorFlow, never blocks training."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from tensorboard.compat.proto import event_pb2

from tbgrad.log import encode
from tbgrad.log.backlog import Backlog, File
from tbgrad.log.framing import frame
from tbgrad.log.local_file import LocalFile
from tbgrad.log.tags import NOTES
from tbgrad.log.tail import Event

_serial = itertools.count()

Signs: TypeAlias = Callable[[], tuple[int, Iterable[Any]]]
"""What makes a sign of life: the step and the values of its event, none for no event."""

_Item: TypeAlias = tuple[Event, Callable[[], Iterable[Any]]] | Callable[[], None]
"""An event and what makes more values for it, or what writes any number of them."""


class EventFileWriter:
    """Appends events to a new event file in `logdir`, in the order in which they are added.

    The file is made by `create`, which is given its path.

    Serialising, checksum and disk access happen on a daemon thread; events are on disk as soon as
    the thread has caught up. Events that find the queue full, which has room for `capacity` of
    them, are dropped, counted in `dropped`, and told of in a note in the log. When writing fails,
    or the file is deleted, `on_error` is called once with the exception (on that thread) and
    everything added later is dropped and counted. A full disk is waited for: `on_full` is called
    with what it said, and up to `backlog.HELD` bytes are written when there is room again.

    Raises:
        OSError: `logdir` cannot be created or written; from another `create`, what that raises.

    >>> with EventFileWriter(Path("runs/a")) as writer:
    ...     writer.add(step=1, values=[encode.scalar("loss", 0.5)])
    """

    def __init__(
        self,
        logdir: str | Path,
        *,
        start_step: int | None = None,
        on_error: Callable[[Exception], None] = lambda _: None,
        on_full: Callable[[Exception], None] = lambda _: None,
        create: Callable[[str], File] = LocalFile,
        capacity: int = 4096,
    ) -> None:
        host = "".join(c if c.isalnum() or c in "-." else "-" for c in socket.gethostname())
        # Readers take files in the order of their names, those of one second too.
        serial = f"{os.getpid()}.{next(_serial):06d}"
        name = f"events.out.tfevents.{int(time.time()):010d}.{host}.{serial}"
        self.dropped = 0
        self._lock = threading.Lock()
        self._told_dropped = 0
        self._last_step = 0
        self._failed = False
        self._on_error = partial(self._report, on_error)
        self._described: set[str] = set()
        self._followed: dict[Signs, tuple[float, float]] = {}
        self._queue: queue.Queue[_Item | threading.Event | None] = queue.Queue(capacity)
        self.path = f"{logdir}/{name}"
        self._file = Backlog(create(self.path), partial(self._report, on_full))
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="tbgrad-writer", daemon=True)
        self._thread.start()
        self._put(event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2"))
        if start_step is not None:
            session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._put(event_pb2.Event(wall_time=time.time(), step=start_step, session_log=session))

    def add(
        self,
        step: int,
        values: Iterable[Any] | Callable[[], Iterable[Any]],
        wall_time: float | None = None,
    ) -> None:
        """Queue one event with all `values` of a step; a full queue drops it and counts that.

        A function that makes the values is called on the writer's thread; where it makes none,
        nothing is written.
        """
        event = event_pb2.Event(
            wall_time=time.time() if wall_time is None else wall_time, step=step
        )
        if not callable(values):
            event.summary.value.extend(values)
        self._put(event, values if callable(values) else tuple)

    def add_each(
        self, events: Callable[[], Iterable[tuple[int, Iterable[Any]]]], wall_time: float
    ) -> None:
        """Queue several events: `events`, called on the writer's thread, gives step and values."""

        def write() -> None:
            for step, values in events():
                event = event_pb2.Event(wall_time=wall_time, step=step)
                event.summary.value.extend(values)
                self._write(event, tuple)

        self._put_item(write)

    def follow(self, signs: Signs, seconds: float) -> None:
        """Write an event of these every so many seconds from the next one on, come what may.

        `signs` is called on the writer's thread.
        """
        with self._lock:
            self._followed[signs] = time.monotonic() + seconds, seconds

    def unfollow(self, signs: Signs) -> None:
        """Write them no more."""
        with self._lock:
            self._followed.pop(signs, None)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything added so far is on disk.

        False when that took too long, or the disk is full.
        """
        if self._closed:
            return True
        done = threading.Event()
        try:
            self._queue.put(done, timeout=timeout)
        except queue.Full:
            return False
        return done.wait(timeout) and not self._file.waiting

    def close(self, timeout: float = 10.0) -> None:
        """Write what is queued and close the file. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            return
        self._thread.join(timeout)

    def __enter__(self) -> EventFileWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _put(self, event: Event, values: Callable[[], Iterable[Any]] = tuple) -> None:
        self._put_item((event, values))

    def _put_item(self, item: _Item) -> None:
        if self._closed:
            return
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self._drop()

    def _drop(self, count: int = 1) -> None:
        with self._lock:  # on the writer's thread and on those of all who add
            self.dropped += count

    def _run(self) -> None:
        while (item := self._next()) is not None:
            if isinstance(item, threading.Event):
                self._attempt(self._file.flush)
                item.set()
            else:
                self._do_or_drop(item if callable(item) else partial(self._write, *item))
        if self.dropped > self._told_dropped and not self._failed:
            event = event_pb2.Event(wall_time=time.time(), step=self._last_step + 1)
            self._do_or_drop(partial(self._write, event, tuple))
        if not self._failed:
            self._attempt(self._file.close)
        else:
            with contextlib.suppress(Exception):
                self._file.close()

    def _next(self) -> _Item | threading.Event | None:
        """What is to be written next; until it comes, signs of life as they are due."""
        while True:
            for signs in self._due():
                self._write_signs(signs)
            with self._lock:
                soonest = min((due for due, _ in self._followed.values()), default=None)
            wait = None if soonest is None else max(0.0, soonest - time.monotonic())
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=wait)

    def _due(self) -> list[Signs]:
        """The signs of life that are due now, and are due again later."""
        now = time.monotonic()
        with self._lock:
            found = [signs for signs, (due, _) in self._followed.items() if due <= now]
            for signs in found:
                seconds = self._followed[signs][1]
                self._followed[signs] = now + seconds, seconds
        return [] if self._failed else found

    def _write_signs(self, signs: Signs) -> None:
        try:
            step, values = signs()
            made = tuple(values)
        except Exception:  # noqa: BLE001 - a sign of life is worth no failure
            return
        if made:
            event = event_pb2.Event(wall_time=time.time(), step=step)
            self._attempt(partial(self._write, event, lambda: made))

    def _do_or_drop(self, action: Callable[[], None]) -> None:
        if self._failed or not self._attempt(action):
            self._drop()

    def _attempt(self, action: Callable[[], None]) -> bool:
        """Whether `action` went well; a failure is reported, and is the last."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self._failed = True
            self._drop(self._file.waiting)
            self._on_error(error)
        return not self._failed

    @staticmethod
    def _report(listener: Callable[[Exception], None], error: Exception) -> None:
        with contextlib.suppress(Exception):
            listener(error)

    def _write(self, event: Event, values: Callable[[], Iterable[Any]]) -> None:
        made = tuple(values())
        if not made and values is not tuple:
            return
        if made:  # to touch the summary of an event makes it one of summaries
            event.summary.value.extend(made)
        self._last_step = event.step
        if self.dropped > self._told_dropped and not _has_note(event):
            self._told_dropped = self.dropped
            text = f"{self.dropped:,} events so far were dropped: the disk is too slow"
            event.summary.value.append(encode.note(text))
        # TensorBoard keeps the metadata of the first value of a tag and strips it from the rest.
        for value in event.summary.value:
            if value.tag in self._described:
                value.ClearField("metadata")
            else:
                self._described.add(value.tag)
        self._file.write(frame(event.SerializeToString()))


def _has_note(event: Event) -> bool:
    """Whether another note of this step would be lost: readers keep one value a step and tag."""
    return any(value.tag == NOTES for value in event.summary.value)
