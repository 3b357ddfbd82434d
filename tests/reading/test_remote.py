"""Logs in places that fsspec knows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tbgrad.log.framing import frame
from tbgrad.reading.directory import LogDirectory, read
from tests.reading.test_nothing_lost import values_of
from tests.support.events import NAME, event, snapshot, write_events
from tests.support.logs import write_run


@pytest.fixture
def bucket(tmp_path: Path):
    """A real file system of fsspec, and how to bring a directory there."""
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")

    def bring(directory: Path) -> None:
        for path in directory.rglob("*tfevents*"):
            files.pipe(f"/bucket/{path.relative_to(directory)}", path.read_bytes())

    yield bring
    files.rm("/bucket", recursive=True)


def test_a_remote_log_is_read_and_followed(tmp_path: Path, bucket) -> None:
    write_run(tmp_path / "a", steps=200)
    write_run(tmp_path / "b" / "c", steps=100)
    bucket(tmp_path)
    log = LogDirectory("memory://bucket")
    log.poll()
    here = read(tmp_path)
    there = read("memory://bucket/")
    assert {name: snapshot(run) for name, run in there.items()} == {
        name: snapshot(run) for name, run in here.items()
    }
    assert list(log.runs) == ["a", "b/c"]
    assert log.poll() == set()
    (path,) = (tmp_path / "a").iterdir()
    with path.open("ab") as file:
        file.write(frame(event(500).SerializeToString()))
    bucket(tmp_path)
    assert log.poll() == {"a"}
    assert log.runs["a"].last_step == 500
    assert log.window("a", "loss", 0, 50).counts.sum() == 5
    with pytest.raises(FileNotFoundError, match="memory://nowhere does not exist"):
        read("memory://nowhere")


def test_a_remote_log_that_was_replaced_is_read_anew(tmp_path: Path, bucket) -> None:
    path = write_events(tmp_path / "a" / NAME, [event(s, 1.0) for s in range(20)])
    bucket(tmp_path)
    log = LogDirectory("memory://bucket")
    log.poll()
    write_events(path, [event(s, 2.0) for s in range(30)])
    bucket(tmp_path)
    log.poll()
    assert values_of(log.runs["a"]) == [(s, 2.0) for s in range(30)]
    shutil.rmtree(tmp_path / "a")


def test_what_is_missing_for_a_remote_log_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="nonsense:// is not known"):
        read("nonsense://bucket/runs")
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(OSError, match=r"needs fsspec: pip install 'tbgrad\[remote\]'"):
        read("gs://bucket/runs")
