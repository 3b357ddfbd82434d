"""Runs put together from their events: restarts, manifests, snapshots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto import event_pb2, summary_pb2

import tbgrad
from tbgrad.log import encode
from tbgrad.log.framing import frame
from tbgrad.log.records import STATISTICS, HistogramBins, Manifest, Parameter
from tbgrad.log.tags import HISTOGRAMS, PARAMETERS, Kind
from tbgrad.reading.directory import LogDirectory, read
from tests.support.events import NAME, event, snapshot, write_events
from tests.support.logs import EPOCH, write_run


def summary_event(step: int, *values) -> event_pb2.Event:
    return event_pb2.Event(
        step=step, wall_time=EPOCH + step, summary=summary_pb2.Summary(value=values)
    )


def start(step: int) -> event_pb2.Event:
    session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    return event_pb2.Event(step=step, wall_time=EPOCH, session_log=session)


def model(*paths: str, statistics=("norm", "mean"), edges=(1.0, 2.0)) -> Manifest:
    return Manifest(
        parameters=tuple(Parameter(p, p.split("/")[0], (2,), 2, "float32", "other") for p in paths),
        statistics=statistics,
        histogram_bins=HistogramBins(edges),
    )


def table(*rows) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def only_run(directory: Path) -> tbgrad.Run:
    (run,) = read(directory).values()
    return run


def test_reads_what_was_written(tmp_path):
    manifest = write_run(tmp_path / "a", steps=100)
    runs = tbgrad.read(tmp_path)
    assert list(runs) == ["a"]
    run = runs["a"]
    assert run.manifest == manifest
    assert run.parameters == manifest.parameters
    assert run["loss"].steps.tolist() == list(range(10, 101, 10))
    assert run["loss"].wall_times[0] == EPOCH + 0.5
    assert run["loss"].values[0] == pytest.approx(2.3 * np.exp(-0.3) + 0.02, rel=1e-6)
    assert run[PARAMETERS].values.shape == (10, 8, len(STATISTICS))
    assert run[HISTOGRAMS].values.shape == (1, 8, 118)
    assert run["gradient_histogram/dense_0/kernel"].values[0].shape[1] == 3
    assert run.statistic("norm").shape == (10, 8)
    assert np.isnan(run.statistic("snr")).all()
    assert run.last_step == 100
    assert run.last_wall_time == EPOCH + 5
    assert run.bytes_read == sum(p.stat().st_size for p in (tmp_path / "a").iterdir())
    assert run.damage == ()


def test_what_a_notebook_shows_of_a_run_is_a_line(tmp_path):
    write_run(tmp_path / "a", steps=400)
    run = read(tmp_path)["a"]
    assert repr(run) == f"Run('a': steps 10 to 400, {len(run)} series, 8 parameters)"
    assert repr(run["loss"]) == "Series(scalar: 40 values, steps 10 to 400)"
    assert repr(tbgrad.Run("\x1b", {})) == "Run('\\x1b': 0 series, 0 parameters)"


def test_the_directory_itself_is_a_run(tmp_path):
    write_run(tmp_path, steps=20)
    assert list(read(tmp_path)) == ["."]


def test_scalars_keep_nan_and_infinities(tmp_path):
    numbers = [1.0, np.nan, np.inf, -np.inf]
    write_events(tmp_path / NAME, [event(i, number) for i, number in enumerate(numbers)])
    np.testing.assert_array_equal(only_run(tmp_path)["loss"].values, numbers)


# -------------------------------------------------------------------------------------- restarts


def test_a_new_session_replaces_what_lies_at_or_after_its_step(tmp_path):
    write_events(tmp_path / f"{NAME}.1", [event(s, 1.0) for s in range(1, 8)])
    write_events(
        tmp_path / f"{NAME}.2", [event(9, 1.0, "other"), start(4), *(event(s, 2.0) for s in (6, 8))]
    )
    run = only_run(tmp_path)
    assert run["loss"].steps.tolist() == [1, 2, 3, 6, 8]
    assert run["loss"].values.tolist() == [1, 1, 1, 2, 2]
    assert len(run["other"]) == 0


def test_a_step_that_goes_back_replaces_what_lies_at_or_after_it(tmp_path):
    events = [event(s, 1.0) for s in (1, 2, 3, 4)] + [event(9, 1.0, "other")]
    write_events(tmp_path / NAME, [*events, event(3, 2.0), event(3, 3.0), event(5, 3.0)])
    run = only_run(tmp_path)
    assert run["loss"].steps.tolist() == [1, 2, 3, 5]
    assert run["loss"].values.tolist() == [1, 1, 3, 3]
    assert run["other"].steps.tolist() == [9]


def test_other_session_events_replace_nothing(tmp_path):
    stop = event_pb2.Event(
        session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.STOP), step=0
    )
    write_events(tmp_path / NAME, [event(1), stop, event(2)])
    assert only_run(tmp_path)["loss"].steps.tolist() == [1, 2]


# ------------------------------------------------------------------------------------- manifests


def test_frozen_and_unfrozen_parameters_keep_their_history(tmp_path):
    write_events(
        tmp_path / NAME,
        [
            summary_event(0, encode.manifest(model("a/k", "b/k", "c/k"))),
            summary_event(1, encode.parameters(table([1, 10], [2, 20], [3, 30]))),
            summary_event(2, encode.manifest(model("c/k", "a/k"))),
            summary_event(3, encode.parameters(table([33, 0], [11, 0]))),
            summary_event(4, encode.manifest(model("b/k", "c/k", "d/k"))),
            summary_event(5, encode.parameters(table([222, 0], [333, 0], [444, 0]))),
        ],
    )
    run = only_run(tmp_path)
    assert [p.path for p in run.parameters] == ["b/k", "c/k", "d/k", "a/k"]
    nan = np.nan
    expected = [[2, 3, nan, 1], [nan, 33, nan, 11], [222, 333, 444, nan]]
    np.testing.assert_array_equal(run.statistic("norm"), expected)
    assert run.damage == ()


def test_columns_in_another_order_unknown_and_missing(tmp_path):
    write_events(
        tmp_path / NAME,
        [
            summary_event(0, encode.manifest(model("a"))),
            summary_event(1, encode.parameters(table([1, 10]))),
            summary_event(2, encode.manifest(model("a", statistics=("mean", "x", "norm")))),
            summary_event(3, encode.parameters(table([20, 7, 2]))),
        ],
    )
    run = only_run(tmp_path)
    np.testing.assert_array_equal(run.statistic("norm")[:, 0], [1, 2])
    np.testing.assert_array_equal(run.statistic("mean")[:, 0], [10, 20])
    np.testing.assert_array_equal(run.statistic("x")[:, 0], [np.nan, 7])
    np.testing.assert_array_equal(run.statistic("snr")[:, 0], [np.nan, np.nan])


def test_repeated_parameter_names_keep_their_rows_apart(tmp_path):
    write_events(
        tmp_path / NAME,
        [
            summary_event(0, encode.manifest(model("w", "w"))),
            summary_event(1, encode.parameters(table([1, 0], [2, 0]))),
            summary_event(2, encode.manifest(model("v", "w", "w"))),
            summary_event(3, encode.parameters(table([9, 0], [3, 0], [4, 0]))),
        ],
    )
    np.testing.assert_array_equal(only_run(tmp_path).statistic("norm"), [[np.nan, 1, 2], [9, 3, 4]])


def test_histograms_follow_the_manifest(tmp_path):
    first, second = np.arange(16).reshape(2, 8), np.arange(8).reshape(1, 8) + 100
    write_events(
        tmp_path / NAME,
        [
            summary_event(0, encode.manifest(model("a", "b"))),
            summary_event(1, encode.histograms(first.astype(np.int32))),
            summary_event(2, encode.manifest(model("b"))),
            summary_event(3, encode.histograms(second.astype(np.int32))),
        ],
    )
    values = only_run(tmp_path)[HISTOGRAMS].values
    np.testing.assert_array_equal(values[0], first[::-1])
    np.testing.assert_array_equal(values[1], [second[0], np.zeros(8)])


def test_other_histogram_edges_begin_the_histograms_anew(tmp_path):
    write_events(
        tmp_path / NAME,
        [
            summary_event(0, encode.manifest(model("a"))),
            summary_event(1, encode.histograms(np.ones((1, 8), np.int32))),
            summary_event(2, encode.manifest(model("a", edges=(1.0, 2.0, 3.0)))),
            summary_event(3, encode.histograms(np.ones((1, 10), np.int32))),
        ],
    )
    run = only_run(tmp_path)
    assert run[HISTOGRAMS].steps.tolist() == [3]
    assert [str(each) for each in run.left_out] == [
        "1 value of tbgrad/histograms left out: their bins are others than those of the newest"
    ]


def test_rows_of_a_lost_manifest_have_numbers_for_names(tmp_path):
    statistics = np.repeat(table([3], [4]), len(STATISTICS), axis=1)
    write_events(
        tmp_path / NAME,
        [
            summary_event(1, encode.parameters(statistics)),
            summary_event(1, encode.histograms(np.ones((2, 118), np.int32))),
        ],
    )
    run = only_run(tmp_path)
    assert [p.path for p in run.parameters] == ["parameter 0", "parameter 1"]
    np.testing.assert_array_equal(run.statistic("norm"), [[3, 4]])
    assert run[HISTOGRAMS].values.shape == (1, 2, 118)
    assert run.damage == ()


def test_a_lost_manifest_of_another_version_keeps_the_numbers(tmp_path):
    write_events(tmp_path / NAME, [summary_event(1, encode.parameters(table([1, 2, 3])))])
    run = only_run(tmp_path)
    assert run[PARAMETERS].values.tolist() == [[[1, 2, 3]]]
    assert np.isnan(run.statistic("norm")).all()


def test_what_does_not_fit_its_manifest_is_damage_with_its_place(tmp_path):
    events = [
        summary_event(0, encode.manifest(model("a"))),
        summary_event(1, encode.parameters(table([1, 2], [3, 4])), event(1).summary.value[0]),
        summary_event(2, encode.parameters(table([5, 6]))),
    ]
    path = write_events(tmp_path / NAME, events)
    run = only_run(tmp_path)
    assert run.statistic("norm").tolist() == [[5]]
    assert run["loss"].steps.tolist() == [1]
    (damage,) = run.damage
    assert damage.file == str(path)
    assert damage.offset == len(frame(events[0].SerializeToString()))
    assert "(2, 2)" in damage.reason


# ------------------------------------------------------------------------------------- snapshots


def test_a_snapshot_never_changes_again(tmp_path):
    parts = [
        [summary_event(0, encode.manifest(model("a", "b"))), event(1), event(2), event(5)],
        [summary_event(6, encode.parameters(table([1, 2], [3, 4])))],
        [event(s) for s in range(6, 90)],
        [summary_event(90, encode.manifest(model("b")))],
        [start(3), event(3, 9.0), event(4, 9.0)],
        [summary_event(s, encode.parameters(table([7, 8]))) for s in range(6, 60)],
        [event(2, 8.0)],
    ]
    path = tmp_path / NAME
    path.write_bytes(b"")
    log = LogDirectory(tmp_path)
    kept = []
    for part in parts:
        with path.open("ab") as file:
            file.write(b"".join(frame(e.SerializeToString()) for e in part))
        assert log.poll() == {"."}
        kept.append((log.runs["."], snapshot(log.runs["."])))
    for run, then in kept:
        assert snapshot(run) == then
    assert kept[-1][0]["loss"].values.tolist() == [0.5, 8.0, 9.0, 9.0]


def test_a_snapshot_cannot_be_written(tmp_path):
    write_run(tmp_path, steps=20)
    for series in only_run(tmp_path).values():
        for array in (series.steps, series.wall_times, series.values):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = array[-1]


def test_a_tag_keeps_the_kind_of_its_first_value(tmp_path):
    texts = [event(1), summary_event(2, note_under("loss")), event(3)]
    write_events(tmp_path / NAME, texts)
    series = only_run(tmp_path)["loss"]
    assert series.kind is Kind.SCALAR
    assert series.steps.tolist() == [1, 3]


def note_under(tag: str):
    value = encode.note("words")
    value.tag = tag
    return value
