"""A stretch of the steps: finer than the whole, exact where the log is, the same as bytes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tbgrad
from tbgrad.log import encode
from tbgrad.log.records import STATISTICS, Manifest, Parameter
from tbgrad.reading.layer_history import MEASURES, badness, change, history_of
from tests.plugin import logs
from tests.plugin.conftest import Api, python_provider
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH, manifest, write_run
from tests.support.steps import StepWriter, synthetic

LONG, SHORT = 20_000, 3_000
ROWS = 4


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ranges")
    for name, count in (("long", LONG), ("short", SHORT)):
        with StepWriter(root / name, manifest=manifest(2), every=500) as writer:
            writer.write(synthetic(count, ROWS), 250)
    write_run(root / "good")
    write_zeros(root / "zeros")
    return root


def write_zeros(directory: Path) -> None:
    """Norms that are zero for a while, not finite for another, and a network that died."""
    steps = synthetic(300, ROWS)
    steps.norms[100:150, 1] = 0
    steps.norms[200, 2] = np.inf
    steps.norms[250, 2] = np.nan
    with StepWriter(directory, manifest=manifest(2), every=0) as writer:
        writer.write(steps)


@pytest.fixture(scope="module")
def api(logdir: Path) -> Api:
    return Api(python_provider(logdir))


def numbers(values: list[Any]) -> np.ndarray:
    special = {None: np.nan, "inf": np.inf, "-inf": -np.inf}
    flat = [special.get(v, v) if not isinstance(v, list) else numbers(v) for v in values]
    return np.array(flat, np.float32)


def between(first: int, last: int) -> dict[str, int]:
    return {"from": first, "to": last}


@pytest.mark.parametrize(
    ("run", "first", "last"),
    [("short", 1, 50), ("short", 1234, 2345), ("long", LONG - 150, LONG), ("long", LONG, LONG)],
)
def test_what_the_log_holds_step_by_step_is_exact(
    api: Api, run: str, first: int, last: int
) -> None:
    whole = synthetic({"short": SHORT, "long": LONG}[run], ROWS)
    part = slice(first - 1, last)
    query = {"run": run, **between(first, last)}
    (loss,) = api.get("scalars", tag="loss", **query)["series"]
    assert loss["steps"] == list(range(first, last + 1))
    np.testing.assert_array_equal(numbers(loss["values"]), whole.scalars["loss"][part])
    layers = api.get("layers", columns=2000, **query)
    assert layers["first_steps"] == layers["steps"] == loss["steps"]
    np.testing.assert_allclose(numbers(layers["values"]).T, whole.norms[part], rtol=0.01)
    norms = api.get("parameter", parameter="dense_0/kernel", **query)["norms"]
    assert norms["steps"] == loss["steps"]
    np.testing.assert_allclose(numbers(norms["values"]), whole.norms[part, 0], rtol=0.01)


def test_a_zoom_is_finer_than_the_whole_and_ends_where_it_is_told(api: Api) -> None:
    whole = synthetic(LONG, ROWS)
    first, last = 4097, 8192
    (all_of_it,) = api.get("scalars", run="long", tag="loss")["series"]
    (zoom,) = api.get("scalars", run="long", tag="loss", **between(first, last))["series"]
    inside = [step for step in all_of_it["steps"] if first <= step <= last]
    assert len(zoom["steps"]) > 2 * len(inside)
    at = np.array(zoom["steps"]) - 1
    np.testing.assert_array_equal(numbers(zoom["values"]), whole.scalars["loss"][at])
    assert first <= zoom["steps"][0] <= zoom["steps"][-1] <= last
    values = whole.scalars["loss"][first - 1 : last]
    assert (min(zoom["values"]), max(zoom["values"])) == (
        pytest.approx(values.min()), pytest.approx(values.max()),
    )  # fmt: skip
    layers = api.get("layers", run="long", **between(first, last))
    peaks = numbers(layers["values"]).max(axis=1)
    np.testing.assert_allclose(peaks, whole.norms[first - 1 : last].max(axis=0), rtol=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_no_stretch_has_a_gap_or_loses_a_peak(api: Api, seed: int) -> None:
    whole, rng = synthetic(LONG, ROWS), np.random.default_rng(seed)
    for _ in range(5):
        first, last = np.sort(rng.integers(1, LONG, 2)).tolist()
        layers = api.get("layers", run="long", columns=40, **between(first, last))
        values = numbers(layers["values"]).T
        assert layers["first_steps"][0] <= first <= last <= layers["steps"][-1]
        for start, end, peaks in zip(layers["first_steps"], layers["steps"], values, strict=True):
            true = whole.norms[start - 1 : end].max(axis=0)
            assert (peaks >= 0.99 * true).all()


def test_other_statistics_and_histograms_of_a_stretch(api: Api, logdir: Path) -> None:
    run = tbgrad.read(logdir)["good"]
    query = {"run": "good", **between(300, 500)}
    layers = api.get("layers", statistic="cosine", **query)
    assert layers["steps"] == list(range(300, 501, 10))
    np.testing.assert_array_equal(numbers(layers["values"]), run.statistic("cosine")[29:50].T)
    parameter = api.get("parameter", parameter="dense_2/bias", **query)
    assert (parameter["steps"], parameter["stored"]) == (layers["steps"], 100)
    expected = run.statistic("norm")[29:50, 5]
    np.testing.assert_array_equal(numbers(parameter["statistics"]["norm"]), expected)
    histogram = api.get("histogram", parameter="dense_2/bias", **query)
    assert (histogram["steps"], histogram["stored"]) == ([300, 400, 500], 10)
    newest = api.get("histogram", run="good", parameter="dense_2/bias", most=1)
    assert newest["steps"] == [1000]
    two = api.get("histogram", run="good", parameter="dense_2/bias", most=2)
    assert two["steps"] == [100, 1000]
    (one,) = api.get("scalars", tag="update/ratio", **query)["series"]
    assert (one["steps"], one["stored"]) == (layers["steps"], 100)


def test_beyond_all_steps_there_is_nothing(api: Api) -> None:
    for run in ("good", "long"):
        query = {"run": run, **between(10**6, 10**7)}
        assert all(one["steps"] == [] for one in api.get("scalars", **query)["series"])
        layers = api.get("layers", **query)
        assert (layers["steps"], layers["values"][0]) == ([], [])
        assert len(layers["values"]) == len(layers["parameters"])
        name = layers["parameters"][0]["name"]
        assert api.get("parameter", parameter=name, **query)["steps"] == []
        assert api.get("histogram", parameter=name, **query)["counts"] == []


def test_zeros_are_told_apart_from_what_a_logarithm_has(api: Api) -> None:
    norms = api.get("parameter", run="zeros", parameter="dense_0/bias")["norms"]
    assert norms["zeros"] == [[101, 150]]
    true = synthetic(300, ROWS).norms[:, 1]
    assert norms["lowest"] == pytest.approx(min(true[:100].min(), true[150:].min()), rel=0.01)
    none = api.get("parameter", run="zeros", parameter="dense_0/kernel")["norms"]
    assert none["zeros"] == []


def unpacked(content: bytes) -> dict[str, Any]:
    """As http_api.md says."""
    (size,) = struct.unpack("<I", content[:4])
    head = json.loads(content[4 : 4 + size])
    for array in head.pop("arrays"):
        assert array["offset"] % 4 == 0
        rows, columns = array["shape"]
        values = np.frombuffer(content, "<f4", rows * columns, array["offset"])
        head[array["name"]] = values.reshape(rows, columns)
        end = array["offset"] + values.nbytes
    assert end == len(content)
    return head


@pytest.mark.parametrize(("route", "run"), [("layers", "zeros"), ("layers", "good"),
                                            ("compare", "long")])  # fmt: skip
def test_a_map_as_bytes_is_the_same(api: Api, route: str, run: str) -> None:
    query = {"run": run, "with": "zeros"}
    response = api.raw(route, **query, format="binary")
    assert response.headers["Content-Type"] == "application/octet-stream"
    told = unpacked(response.data)
    expected = api.get(route, **query)
    np.testing.assert_array_equal(told.pop("values"), numbers(expected.pop("values")))
    assert told == expected
    if run == "zeros":
        values = unpacked(response.data)["values"]
        assert np.isinf(values[2]).any()
        assert np.isnan(values[2]).any()
        assert (values[1] == 0).any()


@pytest.mark.parametrize("statistic", ["norm", "update_ratio", "norm_over_median", "cosine"])
def test_rows_are_ordered_as_in_the_terminal(api: Api, logdir: Path, statistic: str) -> None:
    run, measure = tbgrad.read(logdir)["good"], MEASURES[statistic]
    history = history_of(run, measure)
    assert history is not None
    layers = api.get("layers", run="good", statistic=statistic)
    shown = run.statistic("norm") if statistic == "norm" else history.values
    np.testing.assert_allclose(numbers(layers["values"]), shown.T, rtol=1e-6)
    bad = badness(history.newest, measure, history.lost)
    assert layers["worst"] == np.argsort(-bad, kind="stable").tolist()
    far = change(history, measure)
    assert layers["change"] == np.argsort(-far, kind="stable").tolist()
    assert layers["measure"]["worst"] == measure.worst
    leaves = [row for node in layers["tree"] for row in node["rows"]]
    assert sorted(leaves) == list(range(len(run.names)))


def write_pair(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two runs of which one lacks a layer, logged at other steps; the norms of both."""
    names = ("a/kernel", "b/kernel", "c/kernel")
    rng = np.random.default_rng(5)
    norms = []
    for name, rows, every in (("A", (0, 1, 2), 10), ("B", (2, 0), 20)):
        parameters = tuple(Parameter(names[i], names[i][0], (2,), 2, "float32", "k") for i in rows)
        told = rng.lognormal(size=(200 // every, len(rows))).astype(np.float32)
        with EventFileWriter(root / name, start_step=0) as writer:
            optimizer = {"name": "SGD", "learning_rate": 0.1 if name == "A" else 0.01}
            writer.add(0, [encode.manifest(Manifest(parameters, optimizer=optimizer))], EPOCH)
            for i, row in enumerate(told):
                if name == "B" and i == 3:
                    row[0] = 0
                table = np.full((len(rows), len(STATISTICS)), np.nan, np.float32)
                table[:, STATISTICS.index("norm")] = row
                table[:, STATISTICS.index("cosine")] = row
                loss = encode.scalar("loss", 2.0 if name == "A" else 4.0)
                writer.add((i + 1) * every, [encode.parameters(table), loss], EPOCH + i)
        norms.append(told)
    return norms[0], norms[1]


def test_what_two_runs_differ_in(tmp_path: Path) -> None:
    a, b = write_pair(tmp_path)
    api = Api(python_provider(tmp_path))
    answer = api.get("compare", run="A", **{"with": "B"})
    assert answer["only"] == {"run": ["b/kernel"], "with": []}
    told = api.get("settings", run="A", **{"with": "B"})
    assert told["hparams"] == [{"name": "learning_rate", "values": [0.1, 0.01]}]
    assert told["same_hparams"] == 1
    (loss,) = told["scalars"]
    assert (loss["tag"], loss["values"], loss["steps"]) == ("loss", [2.0, 4.0], [200, 200])
    assert loss["ratio"] == 0.5
    steps = answer["first_steps"]
    assert steps == list(range(20, 201, 20))
    assert answer["steps"] == [*range(39, 200, 20), 200]
    # In each stretch the larger of A's records against the one of B.
    larger = np.maximum(a[1:-1:2], a[2::2]) if len(a) % 2 else None
    at = [[i for i in range(20) if s <= 10 * (i + 1) <= e] for s, e in zip(
        steps, answer["steps"], strict=True)]  # fmt: skip
    assert larger is None
    of_a = np.array([a[i].max(axis=0) for i in at], np.float64)
    with np.errstate(divide="ignore"):
        expected = {
            "c/kernel": np.log10(of_a[:, 2] / b[:, 0]), "a/kernel": np.log10(of_a[:, 0] / b[:, 1]),
        }  # fmt: skip
    for row, values in zip(answer["parameters"], answer["values"], strict=True):
        np.testing.assert_allclose(numbers(values), expected[row["name"]], rtol=1e-4, atol=1e-6)
        finite = expected[row["name"]][np.isfinite(expected[row["name"]])]
        assert row["median"] == pytest.approx(np.median(finite), rel=1e-4)
        assert row["apart"] == abs(row["median"])
    assert answer["values"][[r["name"] for r in answer["parameters"]].index("c/kernel")][3] == "inf"
    apart = [row["apart"] for row in answer["parameters"]]
    assert apart == sorted(apart, reverse=True)
    assert [layer["layer"] for layer in answer["layers"]] == [
        row["layer"] for row in answer["parameters"]
    ]
    cosine = api.get("compare", run="A", statistic="cosine", **{"with": "B"})
    assert cosine["difference"] == "difference"
    other = api.get("compare", run="B", **{"with": "A"})
    np.testing.assert_allclose(numbers(other["values"]), -numbers(answer["values"]), rtol=1e-5)


def _revision_of_curvature(api: Api, run: str) -> str:
    return str(api.get("status", run=run)["revisions"]["curvature"])


def test_an_estimate_over_a_network_that_was_lost_is_stale(tmp_path: Path) -> None:
    write_run(tmp_path / "well", steps=400)
    write_run(tmp_path / "lost", steps=400)
    with EventFileWriter(tmp_path / "lost") as writer:
        for step in range(410, 441, 10):
            writer.add(step, [encode.scalar("loss", np.nan)], EPOCH + step)
    api = Api(python_provider(tmp_path))
    assert api.get("curvature", run="well")["age"] == {"steps": 0, "stale": False}
    assert api.get("curvature", run="lost")["age"] == {"steps": 40, "stale": True}
    before = [_revision_of_curvature(api, run) for run in ("well", "lost")]
    api.get("overview")  # finds out how old they are
    after = [_revision_of_curvature(api, run) for run in ("well", "lost")]
    assert after == [before[0], f"{before[1]} 40"]
    logs.write_plain(tmp_path / "plain")
    assert Api(python_provider(tmp_path)).get("curvature", run="plain")["age"] is None
