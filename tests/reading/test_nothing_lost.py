"""What a log holds is read, or counted and named; and it is the same whenever one looks."""

from __future__ import annotations

import gzip
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2

from tbgrad.log import encode
from tbgrad.log.framing import frame
from tbgrad.reading.columns import Limits
from tbgrad.reading.directory import LogDirectory, UnreadWarning, read
from tbgrad.reading.left_out import REPLACED, LeftOut, left_out_lines
from tbgrad.reading.run import Run
from tests.support.events import NAME, event, snapshot, write_events
from tests.support.logs import write_run


def values_of(run: Run, tag: str = "loss") -> list[tuple[int, float]]:
    return list(zip(run[tag].steps.tolist(), run[tag].values.tolist(), strict=True))


def tensor_event(step: int, tag: str, **tensor: object) -> event_pb2.Event:
    value = summary_pb2.Summary.Value(tag=tag, tensor=tensor_pb2.TensorProto(**tensor))
    value.metadata.plugin_data.plugin_name = "scalars"
    return event_pb2.Event(step=step, wall_time=1.0, summary=summary_pb2.Summary(value=[value]))


# ---------------------------------------------------------------------------- steps that fall back


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("at", [500, 1000])
def test_one_stray_step_costs_nothing(tmp_path: Path, at: int, bounded: bool) -> None:
    events = [event(step, step / 2) for step in range(1, 1001)]
    events.insert(at, event(0, 99.0))
    write_events(tmp_path / NAME, events)
    run = read(tmp_path, bounded=bounded)["."]
    assert values_of(run) == [(0, 99.0), *((step, step / 2) for step in range(1, 1001))]
    assert run.left_out == ()


def test_steps_told_twice_are_counted_and_named(tmp_path: Path) -> None:
    again = [event(step, value) for value in (1.0, 2.0) for step in range(200)]
    write_events(tmp_path / NAME, again)
    run = read(tmp_path)["."]
    assert values_of(run) == [(step, 2.0) for step in range(200)]
    assert run.left_out == (LeftOut("loss", 200, REPLACED),)
    assert str(run.left_out[0]) == (
        "200 values of loss gave way to later ones of the same or a lower step"
    )
    assert run["loss"].replaced == 200


def test_a_session_that_goes_back_far_replaces_what_came_after(tmp_path: Path) -> None:
    events = [event(step, 1.0) for step in range(100)]
    events += [event(step, 2.0) for step in range(40, 80)]
    write_events(tmp_path / NAME, events)
    run = read(tmp_path)["."]
    assert values_of(run) == [(s, 1.0 if s < 40 else 2.0) for s in range(80)]
    assert run["loss"].replaced == 60


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("bounded", [False, True])
def test_no_value_is_lost_uncounted_and_every_look_agrees(
    tmp_path: Path, seed: int, bounded: bool
) -> None:
    """Two files of a run, each with steps that fall now and then, grow in turns."""
    rng = random.Random(seed)
    paths = [tmp_path / f"{NAME}.{i}" for i in (1, 2)]
    steps = [{"loss": 0, "other": 0, f"own {i}": 0} for i in (1, 2)]
    written: dict[str, int] = {}
    log = LogDirectory(tmp_path, bounded=Limits(merging=bounded, batch_records=7))
    for path in paths:
        path.touch()
    for _ in range(40):
        which = rng.randrange(2)
        with paths[which].open("ab") as file:
            for _ in range(rng.randrange(1, 9)):
                tag = rng.choice(list(steps[which]))
                fall = rng.random() < 0.1
                steps[which][tag] += -rng.randrange(20) if fall else rng.randrange(1, 4)
                value = event(steps[which][tag], rng.random(), tag)
                file.write(frame(value.SerializeToString()))
                written[tag] = written.get(tag, 0) + 1
        if rng.random() < 0.7:
            log.poll()
    log.poll()
    whole = read(tmp_path, bounded=bounded)["."]
    assert snapshot(log.runs["."]) == snapshot(whole)
    assert {each.tag: each.count for each in log.runs["."].left_out} == {
        each.tag: each.count for each in whole.left_out
    }
    lost = {each.tag: each.count for each in whole.left_out}
    assert {tag: len(whole[tag]) + lost.get(tag, 0) for tag in whole} == written


def test_files_that_grow_in_turns_read_as_they_do_afterwards(tmp_path: Path) -> None:
    log = LogDirectory(tmp_path)
    for turn in range(10):
        for i, first in ((1, 0), (2, 50)):
            with (tmp_path / f"{NAME}.{i}").open("ab") as file:
                for step in range(first + 5 * turn, first + 5 * turn + 5):
                    file.write(frame(event(step, float(i)).SerializeToString()))
            log.poll()
    assert values_of(log.runs["."]) == [(s, 1.0 if s < 50 else 2.0) for s in range(100)]
    assert snapshot(log.runs["."]) == snapshot(read(tmp_path)["."])


# ---------------------------------------------------------------------------- kinds and types


def test_second_kinds_and_what_is_not_read_are_counted_and_named(tmp_path: Path) -> None:
    text = encode.note("words")
    text.tag = "loss"
    image = summary_pb2.Summary.Value(tag="picture", image=summary_pb2.Summary.Image(height=1))
    told = [[text], [image], [image]]
    write_events(
        tmp_path / NAME,
        [
            event(1),
            *(
                event_pb2.Event(step=2 + i, summary=summary_pb2.Summary(value=values))
                for i, values in enumerate(told)
            ),
            tensor_event(5, "wide", dtype=types_pb2.DT_COMPLEX64, scomplex_val=[1.0, 2.0]),
        ],
    )  # fmt: skip
    run = read(tmp_path)["."]
    assert [str(each) for each in run.left_out] == [
        "1 value of loss not read: text, in a series that began with scalar",
        "2 values of picture not read: image",
        "1 value of wide not read: a tensor of type DT_COMPLEX64",
    ]


def test_many_series_that_leave_something_out_are_one_line() -> None:
    left_out = [LeftOut(f"tag {i}", i, REPLACED) for i in range(1, 6)]
    assert left_out_lines(left_out) == [
        "15 values of 5 series gave way to later ones of the same or a lower step "
        "(tag 5 5, tag 4 4, tag 3 3, …)"
    ]


def test_whole_numbers_keep_all_their_digits(tmp_path: Path) -> None:
    numbers = [2**53 + 1, 3, -(2**62) - 1]
    write_events(
        tmp_path / NAME,
        [
            tensor_event(step, "count", dtype=types_pb2.DT_INT64, int64_val=[number])
            for step, number in enumerate(numbers)
        ],
    )
    for bounded in (False, True):
        values = read(tmp_path, bounded=bounded)["."]["count"].values
        assert values.dtype == np.int64
        assert values.tolist() == numbers


# ---------------------------------------------------------------------------- files that change


def test_many_runs_are_read_at_one_look_however_long_the_listing_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(20):
        write_events(tmp_path / f"run {i:02}" / NAME, [event(1)])
    log = LogDirectory(tmp_path)
    listing = log.place.event_files

    def slow(*arguments: object) -> object:
        time.sleep(0.3)
        return listing(*arguments)

    monkeypatch.setattr(log.place, "event_files", slow)
    log.poll(seconds=0.1)
    assert len(log.runs) > 1  # it was one a look


def test_a_run_is_shown_as_it_was_until_its_new_file_is_read(tmp_path: Path) -> None:
    path = write_events(tmp_path / NAME, [event(s, 1.0) for s in range(400)])
    log = LogDirectory(tmp_path, bounded=Limits(batch_records=64))
    log.poll()
    os.replace(write_events(tmp_path / "new", [event(s, 2.0) for s in range(500)]), path)
    sizes = []
    while log.poll(seconds=0.0):
        sizes.append(len(log.runs["."]["loss"]))
    assert set(sizes) == {400, 500}
    assert values_of(log.runs["."]) == [(s, 2.0) for s in range(500)]


def test_a_copy_in_transfer_beside_the_log_changes_nothing(tmp_path: Path) -> None:
    path = write_events(tmp_path / NAME, [event(s) for s in range(50)])
    log = LogDirectory(tmp_path)
    log.poll()
    half = path.read_bytes()[:500]
    coming = tmp_path / f".{NAME}.Xy12Za"
    coming.write_bytes(half)
    assert log.poll() == set()
    write_events(coming, [event(s) for s in range(60)])
    os.replace(coming, path)
    assert log.poll() == {"."}
    assert len(log.runs["."]["loss"]) == 60


def test_a_hole_that_is_filled_in_place_is_no_damage(tmp_path: Path) -> None:
    whole = b"".join(frame(event(s).SerializeToString()) for s in range(100))
    path = tmp_path / NAME
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    log = LogDirectory(tmp_path)
    log.poll()
    assert len(log.runs["."]["loss"]) == 50
    with path.open("r+b") as file:
        file.write(whole)
    log.poll()
    with path.open("ab") as file:
        file.write(frame(event(100).SerializeToString()))
    log.poll()
    assert log.runs["."]["loss"].steps.tolist() == list(range(101))
    assert log.finish()["."].damage == ()


# ---------------------------------------------------------------------------- names and places


def test_every_name_of_a_directory_is_a_run(tmp_path: Path) -> None:
    write_run(tmp_path / "run5", steps=50)
    write_run(tmp_path / "run5" / "sub", steps=20)
    with next((tmp_path / "run5").glob("*tfevents*")).open("ab") as file:
        file.write(b"torn")
    (tmp_path / "latest").symlink_to("run5")
    (tmp_path / "best").symlink_to("run5")
    log = LogDirectory(tmp_path)
    log.poll()
    assert list(log.runs) == ["best", "best/sub", "latest", "latest/sub", "run5", "run5/sub"]
    assert log.runs["latest"].name == "latest"
    assert snapshot(log.runs["latest"]) == snapshot(log.runs["run5"])
    assert log.runs["latest"].bytes_read == 0  # its bytes were read once
    for runs in (log.finish(), read(tmp_path)):  # whichever of its names one looks at
        assert [len(runs[name].damage) for name in ("best", "latest", "run5")] == [1, 1, 1]
    assert log.poll() == set()
    write_run(tmp_path / "run6", steps=30)
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").symlink_to("run6")
    assert log.poll() == {"run6", "latest", "latest/sub"}
    assert log.runs["latest"].last_step == 30


def test_an_unreadable_file_is_warned_of_and_is_damage(tmp_path: Path) -> None:
    write_run(tmp_path / "a", steps=50)
    (path,) = (tmp_path / "a").iterdir()
    (tmp_path / "a" / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.warns(UnreadWarning, match="not read: .*gz: it is compressed with gzip"):
        runs = read(tmp_path)
    (damage,) = runs["a"].damage
    assert "decompress it first, as with gunzip" in str(damage)
    assert len(runs["a"]["loss"]) == 5


def test_a_misspelt_path_names_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "runs" / "mnist").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=f"did you mean {tmp_path}/runs/mnist?"):
        read(tmp_path / "run" / "mnsit")
    with pytest.raises(FileNotFoundError, match="give the directory of the logs"):
        read(tmp_path / "something else")


def test_a_home_directory_and_other_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_run(tmp_path / "runs", steps=20)
    assert list(read("~/runs")) == ["."]
    with pytest.raises(OSError, match="ssh -t me@server tbgrad watch /data/runs"):
        read("me@server:/data/runs")
    (tmp_path / "a:b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert read("a:b") == {}


# ---------------------------------------------------------------------------- remote places
