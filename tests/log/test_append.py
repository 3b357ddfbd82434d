"""The background writer: order, a full queue, failing disks, sudden death."""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.backlog import Backlog
from tbgrad.log.local_file import LocalFile
from tbgrad.log.tags import NOTES
from tbgrad.log.tail import EventFileTail
from tbgrad.reading.directory import read
from tbgrad.reading.tree import is_event_file
from tests.support.events import events_of
from tests.support.values import ALERT

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


def loss(step: int):
    return [encode.scalar("loss", step)]


def hold(writer: EventFileWriter, values=()) -> threading.Event:
    """Keep the writer's thread busy with step 0 until the event that is returned is set."""
    reached, go = threading.Event(), threading.Event()

    def held():
        reached.set()
        go.wait(10)
        return values or loss(0)

    writer.add(0, held)
    assert reached.wait(10)
    return go


def test_events_come_in_the_order_in_which_they_were_added(tmp_path):
    with EventFileWriter(tmp_path / "new" / "run", start_step=3) as writer:
        for step in (5, 4, 9):
            writer.add(step, loss(step), wall_time=100.0 + step)
    events = events_of(EventFileTail(Path(writer.path)))
    assert is_event_file(Path(writer.path).name)
    assert events[0].file_version == "brain.Event:2"
    assert (events[1].session_log.status, events[1].step) == (events[1].session_log.START, 3)
    assert [(e.step, e.wall_time) for e in events[2:]] == [(5, 105.0), (4, 104.0), (9, 109.0)]
    assert writer.dropped == 0


def test_the_first_value_of_a_tag_alone_describes_it(tmp_path):
    with EventFileWriter(tmp_path) as writer:
        writer.add(1, [*loss(1), encode.alerts([ALERT])])
        writer.add(2, [*loss(2), encode.alerts([ALERT])])
    first, second = events_of(EventFileTail(Path(writer.path)))[1:]
    assert [v.HasField("metadata") for v in first.summary.value] == [True, True]
    assert [v.HasField("metadata") for v in second.summary.value] == [False, False]
    assert read(tmp_path)["."]["loss"].values.tolist() == [1, 2]


def test_values_given_stay_as_they_were(tmp_path):
    values = loss(1)
    with EventFileWriter(tmp_path) as writer:
        writer.add(1, values)
        writer.add(2, values)
    assert values[0].HasField("metadata")


def test_the_names_of_files_are_in_the_order_in_which_they_were_begun(tmp_path):
    names = []
    for _ in range(12):  # of one second, and across a change in the number of digits
        with EventFileWriter(tmp_path) as writer:
            names.append(Path(writer.path).name)
    assert names == sorted(names)


def test_two_writers_of_one_directory_have_a_file_each(tmp_path):
    with EventFileWriter(tmp_path) as first, EventFileWriter(tmp_path) as second:
        assert first.path != second.path


def test_flush_puts_everything_on_disk(tmp_path):
    writer = EventFileWriter(tmp_path)
    for step in range(500):
        writer.add(step, loss(step))
    assert writer.flush()
    assert read(tmp_path)["."]["loss"].steps.tolist() == list(range(500))
    writer.close()
    assert writer.flush()


def test_flush_gives_up_on_a_disk_that_hangs(tmp_path):
    writer = EventFileWriter(tmp_path)
    go = hold(writer)
    assert not writer.flush(timeout=0.01)
    go.set()
    assert writer.flush()
    writer.close()


def test_closing_twice_and_adding_afterwards_do_nothing(tmp_path):
    writer = EventFileWriter(tmp_path)
    writer.add(1, loss(1))
    writer.close()
    size = Path(writer.path).stat().st_size
    writer.close()
    writer.add(2, loss(2))
    assert Path(writer.path).stat().st_size == size
    assert not writer._thread.is_alive()


def test_a_full_queue_drops_counts_and_tells(tmp_path):
    writer = EventFileWriter(tmp_path, capacity=4)
    assert writer.flush()
    go = hold(writer)
    for step in range(1, 11):
        writer.add(step, loss(step))
    assert writer.dropped == 6
    go.set()
    writer.close()
    run = read(tmp_path)["."]
    assert run["loss"].steps.tolist() == [0, 1, 2, 3, 4]
    assert run[NOTES].values.tolist() == ["6 events so far were dropped: the disk is too slow"]


def test_what_was_dropped_at_the_end_is_told_at_closing(tmp_path):
    writer = EventFileWriter(tmp_path, capacity=1)
    assert writer.flush()
    go = hold(writer, [encode.note("mine")])
    writer.add(1, [encode.note("mine too")])
    writer.add(2, loss(2))
    go.set()
    writer.close()
    notes = read(tmp_path)["."][NOTES]
    assert notes.steps.tolist() == [0, 1, 2]
    assert notes.values.tolist() == [
        "mine",
        "mine too",
        "1 events so far were dropped: the disk is too slow",
    ]


class Errors(list):
    """Collects what `on_error` is called with."""

    def __call__(self, error: Exception) -> None:
        self.append(error)


def local(kept):
    """What makes a file, and keeps it for the test."""

    def create(path):
        kept.append(LocalFile(path))
        return kept[-1]

    return create


def test_a_disk_that_stays_full_is_reported_once_and_never_raises(tmp_path):
    errors, full_disk, kept = Errors(), Errors(), []
    writer = EventFileWriter(tmp_path, on_error=errors, on_full=full_disk, create=local(kept))
    assert writer.flush()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, kept[0]._file.fileno())
    os.close(full)
    for step in range(5):
        writer.add(step, loss(step))
    assert not writer.flush()
    assert [error.errno for error in full_disk] == [errno.ENOSPC]
    assert not errors
    writer.close()
    assert [error.errno for error in errors] == [errno.ENOSPC]
    assert writer.dropped == 5


class SmallDisk:
    """An open file on a disk that takes so many more bytes, of a write as many as it can."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self.file.write(data[: self.room])
        self.room -= taken
        return taken

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_nothing_is_lost_on_a_disk_that_is_full_for_some_time(tmp_path):
    errors, full_disk, kept = Errors(), Errors(), []
    writer = EventFileWriter(tmp_path, on_error=errors, on_full=full_disk, create=local(kept))
    writer.add(0, loss(0))
    assert writer.flush()
    disk = kept[0]._file = SmallDisk(kept[0]._file, 100)
    reader = EventFileTail(Path(writer.path))
    for step in range(1, 50):
        writer.add(step, loss(step))
        writer.flush()
        list(reader.read())  # somebody watches: half a record must not be seen as damage later
    there = read(tmp_path)["."]
    assert 1 <= there["loss"].steps[-1] < 5
    assert there.damage == ()
    disk.room = 1 << 30
    writer.close()
    run = read(tmp_path)["."]
    assert run["loss"].steps.tolist() == list(range(50))
    assert run.damage == ()
    assert not errors
    assert [error.errno for error in full_disk] == [errno.ENOSPC]
    assert writer.dropped == 0


def test_what_waits_for_room_is_bounded(tmp_path):
    file, told = SmallDisk(io.BytesIO(), 0), Errors()
    backlog = Backlog(file, told, held=100)
    for _ in range(10):
        backlog.write(b"0123456789")
    with pytest.raises(OSError, match="No space left"):
        backlog.write(b"0")
    assert (backlog.waiting, len(told)) == (10, 1)
    file.room = 1000
    backlog.flush()
    assert file.getvalue() == b"0123456789" * 10


def test_a_file_closed_behind_its_back_is_reported_once(tmp_path):
    errors = Errors()
    writer = EventFileWriter(tmp_path, on_error=errors, create=local(kept := []))
    assert writer.flush()
    keep = os.dup(kept[0]._file.fileno())  # so that nobody else is given the number meanwhile
    os.close(kept[0]._file.fileno())
    for step in range(3):
        writer.add(step, loss(step))
    assert writer.flush()
    writer.close()
    assert not writer._thread.is_alive()
    os.close(keep)
    assert [error.errno for error in errors] == [9]


def test_a_deleted_directory_is_reported_once_and_never_raises(tmp_path):
    errors = Errors()
    writer = EventFileWriter(tmp_path / "run", on_error=errors)
    assert writer.flush()
    shutil.rmtree(tmp_path / "run")
    for step in range(3):
        writer.add(step, loss(step))
    assert writer.flush()
    writer.close()
    assert [writer.path in str(error) for error in errors] == [True]
    assert isinstance(errors[0], FileNotFoundError)


def test_a_failing_on_error_harms_nobody(tmp_path):
    def failing(error):
        raise RuntimeError("again")

    writer = EventFileWriter(tmp_path / "run", on_error=failing)
    assert writer.flush()
    shutil.rmtree(tmp_path / "run")
    writer.add(1, loss(1))
    assert writer.flush()
    writer.close()
    assert not writer._thread.is_alive()


def test_a_directory_that_cannot_be_made_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        EventFileWriter(tmp_path / "file")
    assert not any(t.name == "tbgrad-writer" and t.is_alive() for t in threading.enumerate())


def test_sudden_death_leaves_a_readable_file(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"100 on disk\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    run = read(tmp_path)["."]
    steps = run["loss"].steps
    assert len(steps) >= 100
    assert steps.tolist() == list(range(len(steps)))
    assert all("ends within a record" in damage.reason for damage in run.damage)


_ENDLESS = """
import itertools, sys
from pathlib import Path
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.local_file import LocalFile
from tbgrad.log.backlog import Backlog
writer = EventFileWriter(Path(sys.argv[1]))
for step in itertools.count():
    writer.add(step, [encode.scalar("loss", step)])
    if step % 50 == 0:
        writer.flush()
    if step == 100:
        print("100 on disk", flush=True)
"""


class FailingFile:
    """A file on a disk that is full."""

    def __init__(self, path):
        pass

    def write(self, data):
        raise OSError("no space left")

    def flush(self):
        pass

    def close(self):
        pass


def test_every_event_that_is_dropped_is_counted_whoever_drops_it(tmp_path):
    """On the threads that add, which find the queue full, and on the writer's own."""
    writer = EventFileWriter(tmp_path, create=FailingFile)

    def add():
        for step in range(2000):
            writer.add(step, [])

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert writer.dropped == 6 * 2000 + 1  # and the version of the file
