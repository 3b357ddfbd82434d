"""Long runs in bounded memory: the same peaks, the same window, whatever the zoom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tbgrad.log import encode
from tbgrad.log.records import STATISTICS
from tbgrad.log.tags import CURVATURE, HISTOGRAM_PREFIX, PARAMETERS, Kind
from tbgrad.reading.columns import Limits
from tbgrad.reading.directory import LogDirectory, read
from tbgrad.report import summary
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.events import snapshot
from tests.support.logs import manifest, write_run

STEPS, PEAK = 3000, 1234


FEW = Limits(scalars=50, packed=(20, 20), batch_records=100)


def write_long(directory: Path, first: int = 1, last: int = STEPS, scale: float = 1.0) -> None:
    """A log with one peak; the manifest has another order of rows from the middle on."""
    described = manifest(1)
    with EventFileWriter(directory, start_step=first) as file:
        file.add(first - 1, [encode.manifest(described)])
        for step in range(first, last + 1):
            table = np.full((2, len(STATISTICS)), scale * step, np.float32)
            table[1] *= -1
            norm = 1e6 if step == PEAK else scale * step
            file.add(
                step,
                [
                    encode.scalar("gradient/norm", norm),
                    encode.parameters(table),
                    *([encode.scalar("late", norm)] if step > 2900 else []),
                ],
                float(step),
            )
            if step % 500 == 0:
                file.flush()


def test_a_short_run_is_whole(tmp_path: Path) -> None:
    write_run(tmp_path / "a", steps=400)
    whole, bounded = (read(tmp_path, bounded=bounded)["a"] for bounded in (False, FEW))
    said = snapshot(whole)
    told_twice = {tag for tag in said if tag.startswith(HISTOGRAM_PREFIX)}
    assert told_twice
    assert snapshot(bounded) == {tag: said[tag] for tag in said.keys() - told_twice}


def test_a_long_run_keeps_its_peak_at_its_step(tmp_path: Path) -> None:
    write_long(tmp_path)
    log = LogDirectory(tmp_path, bounded=FEW)
    log.poll()
    norm = log.runs["."]["gradient/norm"]
    assert len(norm.buckets) <= 100
    assert norm.total == STEPS
    assert (norm.values.max(), norm.steps[norm.values.argmax()]) == (1e6, PEAK)
    packed = log.runs["."][PARAMETERS]
    assert len(packed) <= 40
    assert packed.newest[:, 0].tolist() == [STEPS, -STEPS]
    norms = log.runs["."].statistic("norm")
    assert norms.shape == (len(packed), 2)
    assert norms[-1].tolist() == [STEPS, -STEPS]
    for first, last, buckets in ((1, STEPS, 7), (1200, 1300, 10), (PEAK, PEAK, 5)):
        window = log.window(".", "gradient/norm", first, last, buckets)
        assert len(window) <= buckets
        assert window.maximum.max() == 1e6


def test_a_narrow_window_has_every_value(tmp_path: Path) -> None:
    write_long(tmp_path)
    log, whole = LogDirectory(tmp_path, bounded=FEW), read(tmp_path)["."]
    log.poll()
    for tag in ("gradient/norm", PARAMETERS):
        series = whole[tag]
        for first, last in ((1230, 1240), (1, 5), (STEPS - 3, STEPS + 50), (1999, 2001)):
            window = log.window(".", tag, first, last, 200)
            inside = (series.steps >= first) & (series.steps <= last)
            assert window.first_steps.tolist() == series.steps[inside].tolist()
            assert window.counts.tolist() == [1] * inside.sum()
            for values in (window.minimum, window.maximum, window.last):
                np.testing.assert_array_equal(values, series.values[inside])
            np.testing.assert_array_equal(window.wall_times, series.wall_times[inside])
    assert len(log.window(".", "gradient/norm", 5000, 6000)) == 0


def test_a_window_shows_what_replaced_a_former_session(tmp_path: Path) -> None:
    write_long(tmp_path, last=2000)
    write_long(tmp_path, first=1000, last=1500, scale=-1.0)
    log = LogDirectory(tmp_path, bounded=FEW)
    log.poll()
    assert log.runs["."].last_step == 1500
    window = log.window(".", "gradient/norm", 990, 1010)
    assert window.last_steps.tolist() == list(range(990, 1011))
    assert (window.last[:10] > 0).all()
    assert (window.last[10:] < 0).all()
    assert len(log.window(".", "gradient/norm", 1600, 1700)) == 0  # gone with the former session


def test_a_window_says_what_it_cannot_show(tmp_path: Path) -> None:
    write_run(tmp_path)
    run = read(tmp_path)["."]
    with pytest.raises(ValueError, match="holds curvature"):
        run[CURVATURE].window(0, 10)
    with pytest.raises(ValueError, match="at least 1"):
        run["loss"].window(0, 10, buckets=0)
    window = run["loss"].window(0, 1000, buckets=3)
    values = run["loss"].values.reshape(-1)
    assert window.counts.sum() == len(values)
    assert window.maximum.max() == values.max()
    np.testing.assert_allclose(
        (window.mean * window.counts).sum() / window.counts.sum(), values.mean()
    )


def test_following_in_slices_ends_where_one_look_does(tmp_path: Path) -> None:
    write_long(tmp_path)
    sliced, whole = LogDirectory(tmp_path, bounded=FEW), LogDirectory(tmp_path, bounded=FEW)
    while sliced.poll(seconds=0.0):
        pass
    whole.poll()
    for tag, series in whole.runs["."].items():
        other = sliced.runs["."][tag]
        assert other.total == series.total
        assert other.steps[-1] == series.steps[-1]
        if series.kind is Kind.SCALAR:
            assert np.nanmax(other.values) == np.nanmax(series.values)


def test_the_report_of_a_long_run_counts_all_of_it(tmp_path: Path) -> None:
    write_long(tmp_path)
    built = summary.build(read(tmp_path, bounded=FEW)["."])
    norm = built.scalars["gradient/norm"]
    assert (norm.first.step, norm.first.value) == (1, 1.0)
    assert (norm.count, norm.largest.step, norm.largest.value) == (STEPS, PEAK, 1e6)
    assert built.logged_steps == STEPS


def test_a_closer_look_has_every_value_of_what_was_merged(tmp_path: Path) -> None:
    write_long(tmp_path)
    log, whole = LogDirectory(tmp_path, bounded=FEW), read(tmp_path)["."]
    log.poll()
    closer = log.closer(".", 1230, 1240)
    assert closer is not None
    near, series = closer.run["gradient/norm"], whole["gradient/norm"]
    inside, found = ((each.steps >= 1230) & (each.steps <= 1240) for each in (series, near))
    assert near.steps[found].tolist() == series.steps[inside].tolist() == list(range(1230, 1241))
    np.testing.assert_array_equal(near.values[found], series.values[inside])
    assert log.closer("none", 0, 10) is None
    log = LogDirectory(tmp_path, bounded=False)
    log.poll()
    assert log.closer(".", 1230, 1240) is None  # all of it is there


def test_a_closer_look_reads_no_more_than_a_second_takes(tmp_path: Path, monkeypatch) -> None:
    write_long(tmp_path)
    log = LogDirectory(tmp_path, bounded=FEW)
    log.poll()
    monkeypatch.setattr("tbgrad.reading.directory.CLOSER_BYTES", 1000)
    assert log.closer(".", 0, STEPS) is None
