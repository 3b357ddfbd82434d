"""The routes of findings and trajectories, against the records that were logged and a NumPy PCA."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.landscape import Axis, Landscape, PathPoint
from tbgrad.log.tags import LOSS
from tbgrad.plugin import listing
from tbgrad.plugin.views.landscape import MAX_LINE, MAX_ROWS, MAX_SIDE
from tbgrad.plugin.views.paths import MAX_RUNS
from tests.plugin import logs
from tests.plugin.conftest import PROVIDERS, Api, poll, python_provider
from tests.plugin.test_provider_calls import MOST, Counting
from tests.reading.test_trajectories import LARGE, SMALL, plane_of, walk, write
from tests.support import findings
from tests.support.logs import manifest
from tests.support.steps import StepWriter, part, synthetic

WALKS = {"a": 1, "b": 2, "c": 3}
ALL = [*WALKS, "other", "every step", *(f"seed{i}" for i in range(3)), logs.EVIL]
MOST_BYTES = 300_000
"""Of an answer, compressed."""


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("findings")
    findings.write_findings(root)
    for name, seed in WALKS.items():
        write(root / name, SMALL, walk(SMALL, seed))
    write(root / "other", LARGE, walk(LARGE, 4, 20))
    logs.write_evil_findings(root / logs.EVIL)
    logs.write_plain(root / "plain")
    described, steps = manifest(2), synthetic(299, 4)
    size = sum(parameter.size for parameter in described.parameters)
    with StepWriter(root / "every step", manifest=described) as writer:
        for step, start, end in ((0, 0, 1), (149, 1, 149), (299, 149, 299)):
            writer.write(part(steps, start, end), 1000)
            writer.file.add(step, [encode.trajectory(np.full((1, size), step, np.float32))])
    return root


@pytest.fixture(scope="module", params=list(PROVIDERS))
def api(request: pytest.FixtureRequest, logdir: Path) -> Api:
    api = Api(PROVIDERS[request.param](logdir))
    poll(lambda: len(api.get("runs")["runs"]) == len(ALL) + 1, "all runs are known")
    poll(lambda: len(api.get("findings", run="seed0")["findings"]) == 4, "the findings are read")
    ends = {"a": 59, "c": 59, "other": 19, "every step": 299, "seed2": 96, logs.EVIL: 1}
    for run, step in ends.items():
        poll(lambda r=run, s=step: api.get("status", run=r)["last_step"] == s, f"{run} is read")
    return api


def test_findings_are_listed_with_their_kinds(api: Api) -> None:
    answer = api.get("findings", run="seed0")
    assert {one["name"]: one["kind"] for one in answer["findings"]} == {
        "critical points": "critical points", "gradient check": "gradient check",
        "line to seed1": "line", "plane of the path": "plane",
    }  # fmt: skip
    assert [one["step"] for one in answer["findings"]] == [findings.LAST] * 4
    assert answer["trajectories"]
    other = api.get("findings", run="plain")
    assert (other["findings"], other["trajectories"]) == ([], "")
    assert "log_analysis" in other["nothing"][-1]


def test_a_plane_is_what_was_logged(api: Api) -> None:
    found, answer = findings.plane(), api.get("finding", run="seed0", name="plane of the path")
    loss = np.array([[math.inf if v == "inf" else v for v in row] for row in answer["loss"]], float)
    np.testing.assert_allclose(loss, found.loss, rtol=1e-6)
    for axis, told in zip(found.axes, answer["axes"], strict=True):
        np.testing.assert_allclose(told["coordinates"], axis.coordinates, rtol=1e-8)
        assert (told["label"], told["length"]) == (axis.label, axis.length)
    assert answer["interpolated"] == np.argwhere(~found.evaluated).tolist()
    assert answer["log"] == {"loss": True, "gradient_norm": False}
    path = np.array([point.place for point in found.path])
    np.testing.assert_allclose(answer["path"]["places"], path, rtol=1e-8)
    assert answer["path"]["steps"] == [point.step for point in found.path]
    lowest, where = found.lowest
    assert answer["lowest"]["loss"] == pytest.approx(lowest)
    assert answer["lowest"]["place"] == pytest.approx(list(where))


def test_a_line_is_what_was_logged(api: Api) -> None:
    found, answer = findings.line(), api.get("finding", run="seed0", name="line to seed1")
    np.testing.assert_allclose(answer["loss"], found.loss, rtol=1e-6)
    assert found.gradient_norm is not None
    np.testing.assert_allclose(answer["gradient_norm"], found.gradient_norm, rtol=1e-6, atol=1e-12)
    assert answer["barrier"] == pytest.approx(0.5)
    assert [phrase["text"] for phrase in answer["words"]][-1] == "barrier 0.5"


def test_critical_points_are_what_was_logged(api: Api) -> None:
    found = findings.critical_points()
    answer = api.get("finding", run="seed0", name="critical points", point=2)
    assert [row["cells"][1] for row in answer["rows"]] == [point.kind for point in found]
    assert [row["loss"] for row in answer["rows"]] == [point.loss for point in found]
    assert answer["rows"][3]["minimum_ratio"] is None
    assert answer["rows"][2]["minimum_ratio"]["value"] == pytest.approx(0.75)
    assert answer["chosen"] == 2
    np.testing.assert_allclose(answer["spectrum"]["eigenvalues"], found[1].eigenvalues, rtol=1e-8)
    np.testing.assert_allclose(answer["spectrum"]["errors"], found[1].errors)


def test_the_noise_of_a_layer_is_that_of_its_parameters(api: Api) -> None:
    answer = api.get("finding", run="seed0", name="gradient check")
    assert [layer["name"] for layer in answer["layers"]] == ["out", "dense"]
    norms = {layer["name"]: (layer["norm"], layer["noise"]) for layer in answer["layers"]}
    assert norms["out"] == pytest.approx((0.04, 0.3))
    assert norms["dense"] == pytest.approx((math.hypot(0.03, 0.004), math.hypot(0.3, 0.3)))


@pytest.mark.parametrize("layer", ["", "b"])
def test_paths_are_those_of_a_numpy_pca(api: Api, layer: str) -> None:
    answer = api.get("trajectories", run="a", layer=layer, **{"with": ["b", "c"]})
    walks = [walk(SMALL, seed).astype(np.float32) for seed in WALKS.values()]
    if layer:
        walks = [walked[:, -6:] for walked in walks]
    places, shares = plane_of(walks)
    told = {run["name"]: np.array(run["places"]) for run in answer["runs"]}
    assert sorted(told) == ["a", "b", "c"]
    assert answer["explained"] == pytest.approx(list(shares[:2]), rel=1e-5)
    expected = np.array(places).reshape(3, -1, 2)
    got = np.array([told[name] for name in WALKS])
    signs = np.sign((got * expected).sum(axis=(0, 1)))
    np.testing.assert_allclose(got * signs, expected, rtol=1e-4, atol=1e-4)
    apart = np.linalg.norm(walks[0][-1] - walks[1][-1])
    order = [run["name"] for run in answer["runs"]]
    assert answer["distances"][order.index("a")][order.index("b")] == pytest.approx(apart, rel=1e-5)
    assert answer["layers"] == ["a", "b"]
    assert not answer["thinned"]


def test_without_names_all_runs_are_taken_and_those_left_out_are_named(api: Api) -> None:
    answer = api.get("trajectories", run="a")
    assert sorted(run["name"] for run in answer["runs"]) == ["a", "b", "c"]
    assert sorted(answer["with_path"]) == sorted(set(ALL) - {logs.EVIL})
    left = {one["name"]: one["reason"] for one in answer["left_out"]}
    assert left == dict.fromkeys(
        ("other", "every step", "seed0", "seed1", "seed2"), "is of another architecture than a"
    )
    alone = api.get("trajectories", run="a", **{"with": "a"})
    assert [run["name"] for run in alone["runs"]] == ["a"]


def test_losses_come_from_every_step_where_the_log_has_them(api: Api) -> None:
    (run,) = api.get("trajectories", run="every step")["runs"]
    assert run["steps"] == [0, 149, 299]
    losses = synthetic(299, 4).scalars[LOSS]
    np.testing.assert_allclose(run["losses"], losses[[0, 148, 298]], rtol=1e-6)


@pytest.mark.parametrize(
    ("route", "query", "code", "words"),
    [
        ("findings", {}, 400, "the argument 'run' is missing"),
        ("finding", {"run": "seed0"}, 400, "the argument 'name' is missing"),
        ("finding", {"run": "seed0", "name": "x"}, 404, "no finding 'x'; it has critical points"),
        ("finding", {"run": "seed0", "name": "x" * 3999}, 404, "no finding"),
        ("finding", {"run": "seed0", "name": "critical points", "point": "0"}, 400, "'point' must"),
        ("finding", {"run": "seed0", "name": "critical points", "point": "9" * 9999}, 400, "'poi"),
        ("finding", {"run": "seed0", "name": "critical points", "point": "6"}, 404, "5 points"),
        ("trajectories", {}, 400, "the argument 'run' is missing"),
        ("trajectories", {"run": "a", "layer": "x\n"}, 400, "no layer 'x\\n'; there are a, b"),
        ("trajectories", {"run": "a", "layer": "x" * 3999}, 400, "no layer"),
        ("trajectories", {"run": "a", "with": "gone"}, 404, "no run 'gone'"),
        ("trajectories", {"run": "a", "with": list(map(str, range(99)))}, 400, "40 times, not 99"),
        ("trajectories", {"run": "plain", "with": "plain"}, 400, "No run has a trajectory"),
        *[(route, {"run": "gone", "name": "x"}, 404, "no run 'gone'")
          for route in ("findings", "finding", "trajectories")],
    ],
)  # fmt: skip
def test_bad_requests_get_one_clear_sentence(
    api: Api, route: str, query: dict[str, Any], code: int, words: str
) -> None:
    got, sentence = api.error(route, **query)
    assert (got, "\n" in sentence, len(sentence) < 500) == (code, False, True)
    assert words in sentence


def test_a_look_at_paths_takes_few_calls(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "FRESH_SECONDS", math.inf)
    monkeypatch.setattr(listing, "WATCH_SECONDS", math.inf)  # no other thread lists anything
    counting = Counting(python_provider(logdir))
    api = Api(counting)
    for run in ("seed0", "every step"):
        for route in ("runs", "status", "findings", "trajectories"):
            counting.calls.clear()
            api.get(route, run=run)
            assert counting.calls.total() <= MOST, (route, counting.calls)
    counting.calls.clear()
    for name in ("critical points", "plane of the path", "line to seed1"):
        api.get("finding", run="seed0", name=name)
    api.get("trajectories", run="seed0")
    assert counting.calls.total() == 0


def test_large_findings_are_thinned_and_say_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    side, length = 300, 8_000
    x, y = np.linspace(-1, 1, side), np.linspace(-1, 1, length)
    norms = rng.random((side, side))
    path = tuple(PathPoint(i, tuple(rng.random(2)), rng.random()) for i in range(3000))
    axes = Axis("x", x, 1.0), Axis("y", x, 1.0)
    plane = Landscape(axes, rng.random((side, side)), norms > 0.5, 0.1, norms, path)
    line = Landscape((Axis("z", y, 1.0),), rng.random(length), y < 2, 0.1)
    points = tuple(findings.critical_points()[1] for _ in range(1100))
    layers = {f"a/rather/long/name/of/a/layer/{i}": rng.random() for i in range(1500)}
    check = GradientCheck(0.1, 0.5, layers, layers, 0.5, layers, 640, 32)
    logged = {"plane": plane, "line": line, "points": points, "check": check}
    with EventFileWriter(tmp_path / "a", start_step=0) as file:
        file.add(0, [encode.analysis(name, found) for name, found in logged.items()])
    api = Api(python_provider(tmp_path))
    for name in logged:
        answer = api.raw("finding", run="a", name=name)
        assert len(gzip.compress(answer.text.encode())) < MOST_BYTES, name
    drawn = api.get("finding", run="a", name="plane")
    assert np.shape(drawn["loss"]) == (MAX_SIDE, MAX_SIDE)
    assert drawn["points"] == [side, side]
    assert drawn["axes"][0]["coordinates"][-1] == 1
    assert len(api.get("finding", run="a", name="line")["loss"]) == MAX_LINE
    table = api.get("finding", run="a", name="points", point=1100)
    assert (len(table["rows"]), table["stored"], table["chosen"]) == (MAX_ROWS, 1100, 1100)


def test_of_many_runs_and_places_some_are_drawn(tmp_path: Path) -> None:
    for i in range(MAX_RUNS + 3):
        write(tmp_path / f"{i:02}", SMALL, walk(SMALL, i, 20), losses=False)
    answer = Api(python_provider(tmp_path)).get("trajectories", run="42")
    assert len(answer["runs"]) == MAX_RUNS
    assert "42" in {run["name"] for run in answer["runs"]}
    assert len(answer["with_path"]) == MAX_RUNS + 3
    assert answer["thinned"]
    assert {(run["steps"][0], run["steps"][-1]) for run in answer["runs"]} == {(0, 19)}
