"""Exports, read back by other programs: the csv module, pandas, pyarrow, json and NumPy."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from tbgrad.commands import main
from tbgrad.export.files import ExportError, write
from tbgrad.export.table import COLUMNS
from tbgrad.log.tags import (
    CURVATURE,
    DENSITY,
    HISTOGRAM_PREFIX,
    HISTOGRAMS,
    MANIFEST,
    PARAMETERS,
    Kind,
)
from tbgrad.reading.directory import read, read_one_by_one
from tests.commands.conftest import COMMAND, refusal, run
from tests.plugin.logs import write_hostile
from tests.support.events import NAME, event, write_events
from tests.support.logs import write_groups, write_run
from tests.support.terminal import Terminal


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    write_run(root / "a", steps=200, density=True)
    write_run(root / "nested" / "b", steps=100)
    write_events(
        root / "plain" / NAME,
        [event(1, 0.1), event(2, float("nan")), event(3, float("inf")), event(4, 1e-40)],
    )
    return root


def exported(logdir: Path, target: Path, *arguments: str) -> Path:
    done = run("export", logdir, "-o", target, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"{target}: ")
    assert list(target.parent.glob(f".{target.name}.*")) == []
    return target


def frame_of(path: Path) -> pandas.DataFrame:
    if path.suffix == ".parquet":
        found = pandas.read_parquet(path)
        for name in ("parameter", "statistic", "text"):
            found[name] = found[name].fillna("")
        return found
    texts = ["run", "tag", "parameter", "statistic", "text"]
    return pandas.read_csv(
        path, dtype=dict.fromkeys(texts, str), keep_default_na=False,
        na_values={name: ["", "nan"] for name in COLUMNS if name not in texts},
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_long_table_holds_every_number(suffix: str, logdir: Path, tmp_path: Path) -> None:
    found = frame_of(exported(logdir, tmp_path / f"runs{suffix}"))
    assert list(found.columns) == list(COLUMNS)
    runs = read(logdir)
    assert set(found["run"]) == set(runs)
    by_tag = dict(iter(found.groupby(["run", "tag"])))
    for name, ours in runs.items():
        for tag, series in ours.items():
            rows = by_tag[name, tag]
            if series.kind is Kind.SCALAR:
                assert rows["step"].tolist() == series.steps.tolist()
                np.testing.assert_array_equal(rows["wall_time"], series.wall_times)
                np.testing.assert_array_equal(np.float32(rows["value"]), np.float32(series.values))
            elif tag == PARAMETERS:
                table = rows["value"].to_numpy(np.float32).reshape(series.values.shape)
                np.testing.assert_array_equal(table, series.values)
                first = rows.iloc[: series.values[0].size]
                assert first["statistic"].tolist() == [*ours.manifest.statistics] * len(ours.names)
                assert first["parameter"].iloc[:: series.values.shape[2]].tolist() == [*ours.names]
            elif tag == HISTOGRAMS:
                assert rows["value"].sum() == series.values.sum()
                last = rows[rows["step"] == series.steps[-1]]
                mine = last[last["parameter"] == ours.names[0]]
                used = np.flatnonzero(series.values[-1, 0])
                np.testing.assert_array_equal(mine["value"], series.values[-1, 0, used])
                edges = ours.manifest.histogram_bins.bounds[used]
                np.testing.assert_array_equal(mine[["left", "right"]].astype(float), edges)
            elif tag == CURVATURE:
                tops = rows[rows["statistic"] == "eigenvalue 1"]
                assert tops["value"].tolist() == [e.lambda_max.value for e in series.values]
            elif tag == DENSITY:
                grid = rows["left"].to_numpy(np.float32).reshape(len(series), -1)
                np.testing.assert_array_equal(grid, np.stack(list(series.values))[:, 0])


def test_json_lines_are_one_value_each(logdir: Path, tmp_path: Path) -> None:
    path = exported(logdir, tmp_path / "runs.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    ours = read(logdir)
    manifests = [line for line in lines if line["tag"] == MANIFEST]
    assert [line["run"] for line in manifests] == ["a", "nested/b"]
    assert manifests[0]["value"]["statistics"] == [*ours["a"].manifest.statistics]
    assert len(lines) == len(manifests) + sum(len(s) for r in ours.values() for s in r.values())
    plain = [line["value"] for line in lines if line["run"] == "plain"]
    assert plain[1:3] == [None, "inf"]
    last = [line for line in lines if (line["run"], line["tag"]) == ("a", "tbgrad/parameters")][-1]
    norm = last["value"]["dense_0/kernel"]["norm"]
    assert np.float32(norm) == ours["a"].statistic("norm")[-1, 0]


def test_numpy_loads_the_arrays(logdir: Path, tmp_path: Path) -> None:
    path = exported(logdir, tmp_path / "runs.npz")
    ours = read(logdir)["a"]
    with np.load(path, allow_pickle=False) as found:
        for tag, series in ours.items():
            np.testing.assert_array_equal(found[f"a//{tag}//steps"], series.steps)
            values = found[f"a//{tag}//values"]
            assert len(values) == len(series)
            if series.values.dtype != object:
                np.testing.assert_array_equal(values, series.values)
        assert found["a//tbgrad/parameters//parameters"].tolist() == [*ours.names]
        assert found["a//tbgrad/parameters//statistics"].tolist() == [*ours.manifest.statistics]
        assert json.loads(str(found["a//tbgrad/manifest"]))["format_version"] == 2


def test_runs_and_tags_are_chosen_by_pattern(logdir: Path, tmp_path: Path) -> None:
    chosen = ("--run", "nested/*", "--tag", "gradient/*", "--tag", "loss")
    found = frame_of(exported(logdir, tmp_path / "some.csv", *chosen))
    assert set(found["run"]) == {"nested/b"}
    assert set(found["tag"]) == {"gradient/norm", "gradient/norm_max", "loss"}


def test_groups_are_exported_as_runs(tmp_path: Path) -> None:
    write_groups(tmp_path / "gan")
    found = frame_of(exported(tmp_path / "gan", tmp_path / "gan.csv"))
    assert set(found["run"]) == set(read(tmp_path / "gan"))


def test_hostile_names_are_data(tmp_path: Path) -> None:
    write_hostile(tmp_path / "log")
    for suffix in (".csv", ".jsonl", ".npz", ".parquet"):
        exported(tmp_path / "log", tmp_path / f"hostile{suffix}")
    assert len(frame_of(tmp_path / "hostile.csv")) == len(frame_of(tmp_path / "hostile.parquet"))


def test_what_cannot_be_written_leaves_the_former_file(logdir: Path, tmp_path: Path) -> None:
    target = tmp_path / "runs.csv"
    target.write_text("former")
    said = refusal("export", logdir, "-o", target, "--run", "nothing*")
    assert said == (
        "nothing matches: no run 'nothing*' with a series like '*'; the runs are a, nested/b, plain"
    )
    assert "does not end in one of .csv, .parquet, .jsonl, .npz" in refusal(
        "export", logdir, "-o", tmp_path / "runs.xlsx"
    )
    assert refusal("export", logdir, "-o", tmp_path).startswith(f"{tmp_path} is a directory")
    assert "cannot be written" in refusal("export", logdir, "-o", tmp_path / "no" / "runs.csv")
    assert "does not exist" in refusal("export", tmp_path / "missing", "-o", target)

    def fails():
        yield from read_one_by_one(logdir, {})
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write(fails(), target)
    assert target.read_text() == "former"
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]
    assert os.stat(exported(logdir, target)).st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_what_cannot_be_read_is_named(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    write_run(tmp_path / "log" / "a", steps=100)
    scandir = os.scandir
    (tmp_path / "log" / "locked").mkdir()

    def refuse(path: Any) -> Any:
        if str(path).endswith("locked"):  # root may read everything: chmod proves nothing
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert main.main(["export", str(tmp_path / "log"), "-o", str(tmp_path / "x.csv")]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"not read: {tmp_path / 'log' / 'locked'}: Permission denied"
    assert said[1].endswith("rows of 1 run")


def test_an_empty_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="the runs are none"):
        write(read_one_by_one(tmp_path, {}), tmp_path / "x.csv")


def test_a_terminal_shows_progress_and_the_end(logdir: Path, tmp_path: Path) -> None:
    terminal = Terminal([*COMMAND, "export", str(logdir), "-o", str(tmp_path / "x.csv")])
    try:
        terminal.wait_for("rows of 3 runs")
        assert terminal.ends() == 0
    finally:
        if terminal.child.poll() is None:
            terminal.kill()


def test_without_pyarrow_it_says_what_to_install(logdir: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None; from tbgrad.commands.main import main\n"
        f"sys.exit(main(['export', {str(logdir)!r}, '-o', {str(tmp_path / 'x.parquet')!r}]))"
    )
    done = subprocess.run(
        [COMMAND[0].replace("tbgrad", "python"), "-c", code],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'tbgrad[parquet]'" in done.stderr


def test_a_run_as_pandas(logdir: Path) -> None:
    ours = read(logdir)["a"]
    scalars = ours.to_pandas()
    np.testing.assert_array_equal(scalars["loss"], ours["loss"].values)
    assert scalars.index.tolist() == ours["loss"].steps.tolist()
    assert scalars["curvature/lambda_max"].notna().sum() == len(ours["curvature/lambda_max"])
    table = ours.to_pandas(PARAMETERS)
    norms = table.xs("norm", axis=1, level="statistic")
    np.testing.assert_array_equal(norms, ours.statistic("norm"))
    assert norms.columns.tolist() == [*ours.names]
    with pytest.raises(ValueError, match="tbgrad export"):
        ours.to_pandas(HISTOGRAM_PREFIX + "dense_0/kernel")
