"""A directory of runs, read once or followed while it changes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tbgrad.reading.columns import Limits
from tbgrad.reading.directory import LogDirectory, read
from tests.support.events import NAME, event, snapshot, write_events
from tests.support.logs import write_run


def test_polling_in_slices_ends_at_the_one_shot_read(tmp_path):
    for name in ("a", "b", "c"):
        write_events(tmp_path / name / NAME, [event(s, s / 7) for s in range(400)])
    log = LogDirectory(tmp_path, bounded=Limits(batch_records=64))
    polls, sizes = 0, []
    shares = []
    while log.poll(seconds=0.0):
        polls += 1
        shares.append(log.progress)
        sizes.append({name: len(run["loss"]) for name, run in log.runs.items()})
        assert polls < 100
    assert polls > 15
    assert sizes[2] == {"a": 64, "b": 64, "c": 64}  # runs take turns
    whole = read(tmp_path)
    assert {n: snapshot(r) for n, r in log.runs.items()} == {
        n: snapshot(r) for n, r in whole.items()
    }
    assert log.poll() == set()
    assert shares[:15] == sorted(shares[:15])
    assert 0 < shares[0] < shares[14] < 1
    assert log.progress is None


def test_polling_while_it_is_written_equals_reading_afterwards(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", _SLOW_WRITER, str(tmp_path / "runs" / "late")],
        cwd=Path(__file__).parents[2],
    )
    log = LogDirectory(tmp_path / "runs")
    seen = set()
    while child.poll() is None:
        log.poll()
        seen |= {len(run["loss"]) for run in log.runs.values() if "loss" in run}
        time.sleep(0.01)
    log.poll()
    assert child.returncode == 0
    assert len(seen) > 5
    assert snapshot(log.runs["late"]) == snapshot(read(tmp_path / "runs")["late"])
    assert log.runs["late"]["loss"].steps.tolist() == list(range(60))


_SLOW_WRITER = """
import sys, time
from pathlib import Path
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
with EventFileWriter(Path(sys.argv[1])) as writer:
    for step in range(60):
        writer.add(step, [encode.scalar("loss", step)])
        time.sleep(0.01)
"""


def test_runs_and_files_that_appear_grow_and_vanish(tmp_path):
    root = tmp_path / "not yet"
    log = LogDirectory(root)
    assert log.poll() == set()
    assert log.problems == {}
    write_events(root / "a" / f"{NAME}.1", [event(1)])
    assert log.poll() == {"a"}
    write_events(root / "a" / f"{NAME}.2", [event(2)])
    write_events(root / "nested" / "b" / NAME, [event(7)])
    assert log.poll() == {"a", "nested/b"}
    assert log.runs["a"]["loss"].steps.tolist() == [1, 2]
    before = log.runs
    os.replace(write_events(tmp_path / "new", [event(5)]), root / "a" / f"{NAME}.1")
    assert log.poll() == {"a"}
    assert log.runs["a"]["loss"].steps.tolist() == [2]  # file order: 5, then back to 2
    (root / "a" / f"{NAME}.2").unlink()
    assert log.poll() == {"a"}
    assert log.runs["a"]["loss"].steps.tolist() == [5]
    os.truncate(root / "a" / f"{NAME}.1", 5)
    assert log.poll() == {"a"}
    assert dict(log.runs["a"]) == {}
    (root / "nested" / "b" / NAME).unlink()
    assert log.poll() == {"nested/b"}
    assert list(log.runs) == ["a"]
    assert before["a"]["loss"].steps.tolist() == [1, 2]
    assert list(before) == ["a", "nested/b"]


def test_an_unreadable_file_is_a_problem_and_hides_nothing_else(tmp_path, monkeypatch):
    bad = write_events(tmp_path / "a" / f"{NAME}.1", [event(1)])
    write_events(tmp_path / "a" / f"{NAME}.2", [event(2)])
    opened = Path.open

    def refusing(self, *arguments, **options):
        if self == bad:
            raise OSError(5, "Input/output error", str(self))
        return opened(self, *arguments, **options)

    log = LogDirectory(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refusing)
        log.poll()
        assert log.runs["a"]["loss"].steps.tolist() == [2]
        assert log.problems == {str(bad): "Input/output error"}
    log.poll()
    assert log.problems == {}


def test_a_really_unreadable_directory(tmp_path):
    """Root may read everything, so a child that gave up its rights looks."""
    write_events(tmp_path / "locked" / NAME, [event(1)])
    write_events(tmp_path / "open" / NAME, [event(1)])
    tmp_path.chmod(0o755)
    (tmp_path / "locked").chmod(0o000)
    child = subprocess.run(
        [sys.executable, "-c", _NOBODY], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert child.stdout == "['open'] {'locked': 'Permission denied'}\n"


_NOBODY = """
import os, sys
from tbgrad.reading.directory import LogDirectory
if os.getuid() == 0:
    os.setuid(65534)
log = LogDirectory(".")
log.poll()
print(list(log.runs), log.problems)
"""


def test_what_is_not_a_directory_of_logs(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is a file"):
        read(tmp_path / "file")
    assert read(tmp_path) == {}


def test_a_torn_end_is_damage_at_the_last_look_only(tmp_path):
    path = write_events(tmp_path / NAME, [event(1), event(2)])
    os.truncate(path, path.stat().st_size - 3)
    log = LogDirectory(tmp_path)
    log.poll()
    assert log.runs["."].damage == ()
    for _ in range(2):  # looking twice does not count it twice
        (damage,) = log.finish()["."].damage
        assert "ends within a record" in damage.reason
    assert read(tmp_path)["."].damage == (damage,)


def test_damage_is_listed_by_file_and_offset(tmp_path):
    run = tmp_path / "run"
    write_run(run, steps=100)
    (path,) = run.iterdir()
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 4
    path.write_bytes(whole)
    damaged = read(tmp_path)["run"]
    assert [d.file for d in damaged.damage] == [str(path)]
    assert 0 < damaged.damage[0].offset <= len(whole) // 2
    assert len(damaged["loss"]) == 9
    assert str(damaged.damage[0]).startswith(f"{path}, byte ")
