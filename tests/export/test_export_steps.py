"""Every step in exports: scalars always, norms where they are asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas
import pytest

from tbgrad.export.files import write
from tbgrad.log.norm_codes import MAX_ERROR
from tbgrad.log.steps import Steps
from tbgrad.log.tags import LOSS, STEPS
from tbgrad.monitoring.step_log import StepLog
from tbgrad.reading.directory import read, read_one_by_one
from tests.commands.conftest import run
from tests.support.steps import StepWriter, synthetic

ROWS = 8


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Steps]:
    root = tmp_path_factory.mktemp("steps")
    steps = synthetic(640, ROWS)
    with StepWriter(root / "a") as writer:
        writer.write(steps)
    with StepWriter(root / "windows", log=StepLog(bytes_per_minute=300)) as writer:
        writer.write(steps, 320)
    return root, steps


def test_scalars_of_every_step_by_default_and_what_is_left_out_is_said(logged, tmp_path) -> None:
    root, steps = logged
    target = tmp_path / "runs.csv"
    done = run("export", root, "-o", target, "--run", "a")
    assert done.returncode == 0
    assert "640 values of a: tbgrad/steps are written where --tag says so" in done.stderr
    table = pandas.read_csv(target)
    loss = table[table.tag == LOSS]
    np.testing.assert_array_equal(loss.step, np.arange(1, 641))
    np.testing.assert_array_equal(loss.value.astype(np.float32), steps.scalars[LOSS])
    assert STEPS not in set(table.tag)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_norms_in_rows(logged, tmp_path, suffix) -> None:
    root, steps = logged
    target = tmp_path / f"runs{suffix}"
    assert run("export", root, "-o", target, "--run", "a", "--tag", STEPS).returncode == 0
    table = pandas.read_csv(target) if suffix == ".csv" else pandas.read_parquet(target)
    assert set(table.statistic) == {"norm"}
    names = read(root)["a"].names
    wide = table.pivot(index="step", columns="parameter", values="value")[list(names)]
    np.testing.assert_allclose(wide.to_numpy(), steps.norms, rtol=MAX_ERROR)


def test_norms_as_arrays_and_lines(logged, tmp_path) -> None:
    root, steps = logged
    write(read_one_by_one(root, {}), tmp_path / "runs.npz", "a", ("*",))
    with np.load(tmp_path / "runs.npz") as arrays:
        np.testing.assert_allclose(arrays[f"a//{STEPS}//values"], steps.norms, rtol=MAX_ERROR)
        assert arrays[f"a//{STEPS}//parameters"].tolist() == list(read(root)["a"].names)
    write(read_one_by_one(root, {}), tmp_path / "runs.jsonl", "a", (STEPS,))
    lines = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    norms = np.array([list(line["value"].values()) for line in lines[1:]])
    np.testing.assert_allclose(norms, steps.norms, rtol=MAX_ERROR)


def test_windows_are_exported_as_such(logged, tmp_path) -> None:
    root, steps = logged
    write(read_one_by_one(root, {}), tmp_path / "runs.csv", "windows", ("*",))
    table = pandas.read_csv(tmp_path / "runs.csv")
    norms = table[table.tag == STEPS]
    assert set(norms.statistic) == {"minimum", "mean", "maximum"}
    largest = norms[norms.statistic == "maximum"].groupby("parameter", sort=False).value.max()
    names = read(root)["windows"].names
    np.testing.assert_allclose(largest[list(names)], steps.norms.max(axis=0), rtol=MAX_ERROR)


def test_a_table_of_pandas(logged) -> None:
    root, steps = logged
    frame = read(root)["a"].to_pandas(STEPS)
    assert frame.shape == (640, ROWS)
    np.testing.assert_allclose(frame["dense_0/kernel"], steps.norms[:, 0], rtol=MAX_ERROR)
