"""What the routes answer, on real logs, through both of TensorBoard's readers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import tbgrad
from tbgrad.diagnosis import RULE_NAMES
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.encode import to_jsonable
from tbgrad.plugin.views.alerts import MAX_ALERTS, MAX_STORIES
from tests.plugin import logs
from tests.plugin.conftest import PROVIDERS, Api, python_provider, rust_provider
from tests.reading import test_rounding

ROUTES_OF_A_RUN = (
    "status", "scalars", "layers", "parameter", "histogram", "curvature", "alerts",
    "notes", "findings",
)  # fmt: skip


def column(values: list) -> np.ndarray:
    """Numbers as the browser reads them."""
    special = {None: np.nan, "inf": np.inf, "-inf": -np.inf}
    return np.array([special.get(v, v) for v in values], dtype=np.float64)


def test_runs_are_listed_and_those_with_gradients_are_marked(api: Api) -> None:
    runs = {run["name"]: run for run in api.get("runs")["runs"]}
    assert {name: run["gradients"] for name, run in runs.items()} == {
        "good": True, logs.EVIL: True, "nested/changing": True, "plain": False,
        logs.ALERTS: True,
    }  # fmt: skip
    assert runs["good"]["last_step"] == 1000
    assert runs["good"]["last_wall_time"] == pytest.approx(1_790_000_050)
    assert api.plugin.is_active()


def test_status_tells_where_the_run_stands(api: Api) -> None:
    status = api.get("status", run="good")
    assert (status["last_step"], status["gradients"]) == (1000, True)
    assert set(status["revisions"]) == {
        "scalars", "layers", "histograms", "curvature", "landscape", "alerts", "notes",
    }  # fmt: skip
    assert status == api.get("status", run="good")
    assert not api.get("status", run="plain")["gradients"]


def test_scalars_are_what_the_file_says(api: Api, logdir: Path) -> None:
    run = tbgrad.read(logdir)["good"]
    series = {one["tag"]: one for one in api.get("scalars", run="good", times=1)["series"]}
    assert "gradient/norm_max" in series
    for tag, one in series.items():
        assert one["steps"] == run[tag].steps.tolist()
        assert one["wall_times"] == run[tag].wall_times.tolist()
        np.testing.assert_array_equal(np.float32(one["values"]), np.float32(run[tag].values))
        assert not one["sampled"]


def test_any_tag_can_be_asked_for(api: Api) -> None:
    answer = api.get("scalars", run="plain", tag=["acc <b>uracy</b>", "absent"])
    assert [one["tag"] for one in answer["series"]] == ["acc <b>uracy</b>"]


@pytest.mark.parametrize("statistic", ["norm", "cosine", "snr"])
def test_layers_are_what_the_file_says(api: Api, logdir: Path, statistic: str) -> None:
    run = tbgrad.read(logdir)["good"]
    layers = api.get("layers", run="good", statistic=statistic)
    assert [p["name"] for p in layers["parameters"]] == [p.path for p in run.parameters]
    assert layers["steps"] == layers["first_steps"] == run["tbgrad/parameters"].steps.tolist()
    got = np.array([column(row) for row in layers["values"]], dtype=np.float32)
    np.testing.assert_array_equal(got, run.statistic(statistic).T)


def test_layers_thinned_keep_the_largest_of_every_bucket(api: Api) -> None:
    full = np.array(api.get("layers", run="good")["values"])
    thin = api.get("layers", run="good", columns=7)
    assert len(thin["steps"]) == 7
    assert thin["stored"] == 100
    for k, (first, last) in enumerate(zip(thin["first_steps"], thin["steps"], strict=True)):
        bucket = full[:, first // 10 - 1 : last // 10]
        np.testing.assert_array_equal(np.array(thin["values"])[:, k], bucket.max(axis=1))
    assert thin["first_steps"][0] == 10
    assert thin["steps"][-1] == 1000


def test_parameter_has_every_statistic(api: Api, logdir: Path) -> None:
    run = tbgrad.read(logdir)["good"]
    answer = api.get("parameter", run="good", parameter="dense_2/bias")
    assert answer["parameter"]["shape"] == [8]
    for name in run.manifest.statistics:
        expected = run.statistic(name)[:, 5]
        np.testing.assert_array_equal(np.float32(column(answer["statistics"][name])), expected)


def test_histogram_is_what_the_file_says(api: Api, logdir: Path) -> None:
    run = tbgrad.read(logdir)["good"]
    answer = api.get("histogram", run="good", parameter="dense_1/kernel")
    assert answer["edges"] == list(run.manifest.histogram_bins.edges)
    assert answer["steps"] == run["tbgrad/histograms"].steps.tolist()
    np.testing.assert_array_equal(answer["counts"], run["tbgrad/histograms"].values[:, 2])


def test_curvature_is_what_the_file_says(api: Api, logdir: Path) -> None:
    records = tbgrad.read(logdir)["good"]["tbgrad/curvature"].values
    estimates = api.get("curvature", run="good")["estimates"]
    assert [e["step"] for e in estimates] == [200, 400, 600, 800, 1000]
    for estimate, record in zip(estimates, records, strict=True):
        assert estimate["eigenvalues"][0]["value"] == record.lambda_max.value
        assert estimate["eigenvalues"][1]["residual"] == record.lambda_min.residual
        assert estimate["converged"] is record.converged
        assert estimate["stability"] == pytest.approx(record.stability)
        assert estimate["threshold_formula"] == "(2 + 2 β) / η"


def test_values_that_are_not_finite_survive(api: Api) -> None:
    series = {s["tag"]: s["values"] for s in api.get("scalars", run=logs.EVIL)["series"]}
    assert series["loss"][19] is None
    assert series["gradient/norm"][19] == "inf"
    layers = api.get("layers", run=logs.EVIL)
    at = layers["steps"].index(20)
    assert [row[at] for row in layers["values"]] == [0.0, pytest.approx(2e-5), None, "inf"]
    assert [2, at] in layers["nonfinite"]
    assert [0, at] not in layers["nonfinite"]
    estimate = api.get("curvature", run=logs.EVIL)["estimates"][0]
    assert estimate["eigenvalues"] == [
        {"value": 3.0, "residual": "inf"}, {"value": None, "residual": 0.1},
    ]  # fmt: skip


def test_rows_follow_the_manifest_of_their_step(api: Api) -> None:
    layers = api.get("layers", run="nested/changing")
    assert [p["name"] for p in layers["parameters"]] == ["b", "c", "a"]
    assert layers["values"] == [
        [21, 22, 23, 24, 25, 26, 27, 28, 29],
        [None, None, None, None, 35, 36, 37, 38, 39],
        [11, 12, 13, 14, None, None, None, None, None],
    ]
    mean = api.get("parameter", run="nested/changing", parameter="b")["statistics"]["mean"]
    assert mean == [None] * 4 + [-1.0] * 5
    counts = api.get("histogram", run="nested/changing", parameter="b")["counts"]
    assert [row[0] for row in counts] == [101, 102, 103, 104, 5, 6, 7, 8, 9]
    assert api.get("histogram", run="nested/changing", parameter="a")["steps"] == [1, 2, 3, 4]


def test_a_record_that_fits_no_manifest_is_told_and_the_rest_is_shown(api: Api) -> None:
    layers = api.get("layers", run=logs.EVIL)
    assert len(layers["steps"]) == 59
    assert 30 not in layers["steps"]
    assert layers["problems"] == [
        "step 30: parameters of shape (3, 2) do not fit the manifest, "
        "which has 4 parameters and 12 columns"
    ]


def test_equal_names_are_told_apart(api: Api) -> None:
    names = [p["name"] for p in api.get("layers", run=logs.EVIL)["parameters"]]
    assert names[2:] == ["same", "same (2)"]
    second = api.get("parameter", run=logs.EVIL, parameter="same (2)")
    assert second["statistics"]["norm"][0] == 5.0


def test_alerts_are_told_once_in_their_newest_state_by_their_causes(api: Api) -> None:
    answer = api.get("alerts", run=logs.ALERTS)
    assert [(a["severity"], a["state"], a["first_step"]) for a in answer["alerts"]] == [
        ("info", "closed", 20), ("warning", "open", 40), ("error", "open", 300),
    ]  # fmt: skip
    assert answer["stored"] == 3
    assert not answer["sampled"]
    assert answer["rules"] == list(RULE_NAMES)
    _, warning, error = answer["alerts"]
    told = to_jsonable(asdict(logs.alert("nonfinite", "error", 300, last=320)))
    assert error == {**told, "shows": "loss"}
    assert warning["last_step"] == 700
    assert warning["causes"] == ["the first cause", "the second cause"]
    told = [alert for story in answer["stories"] for alert in story["alerts"]]
    assert sorted(told) == sorted([a["rule"], a["first_step"]] for a in answer["alerts"])
    first = answer["stories"][answer["headlined"]]
    assert (first["severity"], first["is_open"]) == ("error", True)
    assert first["headline"].startswith("non-finite")
    assert first["advice"] == "what to do about nonfinite"


def test_alerts_that_cannot_be_read_are_told_and_the_others_are_shown(api: Api) -> None:
    answer = api.get("alerts", run=logs.EVIL)
    assert [a["rule"] for a in answer["alerts"]] == [logs.EVIL, "nonfinite"]
    assert [said.partition(":")[0] for said in answer["problems"]] == ["step 10", "step 15"]
    assert all("does not hold what the format says" in said for said in answer["problems"])


def test_what_the_writer_did_not_watch_is_looked_for_here(api: Api) -> None:
    for run in ("good", "plain"):
        assert api.get("alerts", run=run) == {
            "run": run, "rules": list(RULE_NAMES), "alerts": [], "stored": 0, "sampled": False,
            "problems": [], "not_judged": [], "stories": [], "headlined": None, "watched": False,
            "names_left_out": 0, "complete": True,
        }  # fmt: skip
    assert api.get("alerts", run=logs.ALERTS)["watched"]


def test_what_the_writer_told_is_answered_ahead_of_what_it_did_not_watch(logdir: Path) -> None:
    api = Api(PROVIDERS["python"](logdir))
    told = api.raw("alerts", run=logs.EVIL)
    asked = {"If-None-Match": told.headers["ETag"]}
    found = api.raw("alerts", headers=asked, run=logs.EVIL)
    assert found.status_code == 200
    first, second = json.loads(told.text), json.loads(found.text)
    assert (first["complete"], second["complete"]) == (False, True)
    assert [a["rule"] for a in first["alerts"]] == [logs.EVIL]
    assert [a["rule"] for a in second["alerts"]] == [logs.EVIL, "nonfinite"]
    assert len(first["stories"]) == 1


def test_of_very_many_alerts_the_closed_ones_are_left_out_first(tmp_path: Path) -> None:
    closed = [logs.alert("r", "error", i, state="closed") for i in range(MAX_ALERTS)]
    with EventFileWriter(tmp_path / "run", start_step=0) as writer:
        writer.add(9, [encode.alerts([*closed, logs.alert("r", "info", 1000)])])
    api = Api(PROVIDERS["python"](tmp_path))
    answer = api.get("alerts", run="run")
    assert answer["stored"] == MAX_ALERTS + 1
    assert len(answer["alerts"]) == MAX_ALERTS
    assert [a["first_step"] for a in answer["alerts"]] == [*range(1, MAX_ALERTS), 1000]
    assert answer["alerts"][-1]["state"] == "open"  # a hint, and so the last


def test_of_very_many_stories_the_one_that_is_headlined_is_told(tmp_path: Path) -> None:
    told = [logs.alert(f"rule {i}", "warning", i) for i in range(1, 30)]
    with EventFileWriter(tmp_path / "run", start_step=0) as writer:
        writer.add(99, [encode.alerts([*told, logs.alert("the gravest", "error", 90)])])
    answer = Api(PROVIDERS["python"](tmp_path)).get("alerts", run="run")
    assert len(answer["stories"]) == MAX_STORIES
    assert answer["stories"][answer["headlined"]]["alerts"] == [["the gravest", 90]]


def test_clocks_of_other_units_are_known(tmp_path: Path) -> None:
    with EventFileWriter(tmp_path / "run") as writer:
        for step in (1, 2):
            writer.add(step, [encode.scalar("loss", 1.0)], 1.79e12 + step)
    api = Api(PROVIDERS["python"](tmp_path))
    assert api.get("status", run="run")["last_wall_time"] == pytest.approx(1.79e9)
    (series,) = api.get("scalars", run="run", tag=["loss"], times=1)["series"]
    assert series["wall_times"] == pytest.approx([1.79e9, 1.79e9])


def test_notes(api: Api) -> None:
    notes = api.get("notes", run=logs.EVIL)["notes"]
    assert [n["step"] for n in notes] == [20, 40, 60]
    assert notes[0]["text"] == f"disk full {logs.EVIL} at 20"
    assert api.get("notes", run="good") == {
        "run": "good", "ended": None, "notes": [], "stored": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("route", "query", "code", "words"),
    [
        ("layers", {}, 400, "the argument 'run' is missing"),
        ("layers", {"run": "good", "columns": "0"}, 400, "'columns' must be a whole number"),
        ("layers", {"run": "good", "columns": "9" * 5000}, 400, "'columns' must be"),
        ("layers", {"run": "good", "columns": "²"}, 400, "'columns' must be"),
        ("layers", {"run": "good", "statistic": "beauty"}, 404, "no statistic 'beauty'; it has"),
        ("parameter", {"run": "good"}, 400, "the argument 'parameter' is missing"),
        ("parameter", {"run": "good", "parameter": "x"}, 404, "no parameter 'x'"),
        ("histogram", {"run": "good", "parameter": "x"}, 404, "no parameter 'x'"),
        ("histogram", {"run": "plain", "parameter": "x"}, 404, "no parameter 'x'"),
        *[
            (route, {"run": "../absent", "parameter": "x"}, 404, "no run '../absent'")
            for route in ROUTES_OF_A_RUN
        ],
    ],
)  # fmt: skip
def test_bad_requests_get_one_clear_sentence(
    api: Api, route: str, query: dict[str, str], code: int, words: str
) -> None:
    got, sentence = api.error(route, **query)
    assert got == code
    assert words in sentence
    assert "\n" not in sentence


def test_a_run_without_our_series_has_empty_views(api: Api) -> None:
    assert api.get("layers", run="plain")["parameters"] == []
    assert api.get("curvature", run="plain")["estimates"] == []


def test_an_empty_log_directory_is_no_error(tmp_path: Path) -> None:
    api = Api(rust_provider(tmp_path))
    assert api.get("runs") == {"runs": []}
    assert not api.plugin.is_active()


def test_a_reader_that_fails_is_one_sentence_not_a_traceback() -> None:
    api = Api(object())
    code, sentence = api.error("runs")
    assert code == 500
    assert "reading the log failed" in sentence
    assert not api.plugin.is_active()


@pytest.mark.parametrize("every_step", [True, False])
def test_rows_that_are_rounding_are_told(every_step: bool, tmp_path: Path) -> None:
    test_rounding.write(tmp_path / "a", every_step=every_step)
    api = Api(python_provider(tmp_path))
    layers = api.get("layers", run="a", statistic="norm")
    names = [layers["parameters"][row]["name"] for row in layers["rounding"]]
    assert names == ["attention/key/bias"]
    assert api.get("layers", run="a", statistic="weight_norm")["rounding"] == []
