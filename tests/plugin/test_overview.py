"""The table of all runs: the same rows, words and numbers as in the terminal and in the report."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tbgrad
from tbgrad.commands.main import main
from tbgrad.diagnosis.rules import SHOWS
from tbgrad.judgement.overview import overview_of, worst_first
from tbgrad.judgement.replay import judge
from tbgrad.judgement.verdict import verdict_of
from tbgrad.log import encode
from tbgrad.log.short_names import short_names
from tbgrad.log.state import FAILED, FINISHED, RunState
from tbgrad.log.tags import ENDED
from tbgrad.plugin import listing, overviews
from tbgrad.reading.state import condition
from tests.plugin import logs
from tests.plugin.conftest import PROVIDERS, Api, poll
from tests.plugin.test_provider_calls import Counting
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH, manifest, write_run
from tests.support.steps import StepWriter, synthetic
from tests.support.sweep import write_sweep

DIVERGED, ENDED_EARLY, EVERY_STEP = "diverged", "ended", "every step"


def write_all(root: Path) -> None:
    """Runs of ours and of others, well and ill, over and not."""
    write_sweep(root)
    write_run(root / "good")
    logs.write_alerts(root / logs.ALERTS)
    with EventFileWriter(root / DIVERGED) as writer:
        for step in range(40):
            value = 2.0 if step < 30 else math.nan
            writer.add(step, [encode.scalar(tag, value) for tag in ("Train/Loss", "grad_norm")])
        writer.add(40, [encode.state(RunState(FAILED, exception="ValueError: no"))])
    watched = replace(manifest(2), rules=logs.RULES)
    with StepWriter(root / EVERY_STEP, manifest=watched, every=10) as writer:
        writer.write(synthetic(777, 4))
    with EventFileWriter(root / ENDED_EARLY, start_step=0) as writer:
        writer.add(0, [encode.manifest(watched)], EPOCH)
        for step in range(10, 100, 10):
            values = [encode.scalar("gradient/norm", 1.0), encode.scalar("loss", 1 / step)]
            writer.add(step, values, EPOCH + step)
        writer.add(90, [encode.note(f"it {ENDED}: no room")], EPOCH + 91)
        writer.add(90, [encode.state(RunState(FINISHED, hparams={"lr": 0.5}))], EPOCH + 92)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("overview")
    write_all(root)
    return root


@pytest.fixture(scope="module", params=list(PROVIDERS))
def provider(request: pytest.FixtureRequest, logdir: Path) -> Any:
    provider = PROVIDERS[request.param](logdir)
    api = Api(provider)
    poll(lambda: len(api.get("runs")["runs"]) == 9, "all runs are known")
    poll(lambda: api.get("status", run="good")["last_step"] == 1000, "all is read")
    poll(lambda: api.get("status", run=EVERY_STEP)["last_step"] == 777, "all is read")
    return provider


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is listed twice, and by no other thread."""
    monkeypatch.setattr(listing, "WATCH_SECONDS", math.inf)
    monkeypatch.setattr(listing, "FRESH_SECONDS", math.inf)


def complete(api: Api, **query: Any) -> Iterator[dict[str, Any]]:
    """The answers until all is known."""
    for _ in range(50):
        answer = api.get("overview", **query)
        yield answer
        if answer["complete"]:
            return
    raise AssertionError("it never is")


def whole(api: Api, **query: Any) -> dict[str, Any]:
    *_, last = complete(api, **query)
    return last


def same(told: object, value: object) -> bool:
    """Whether an answer has a number as the reader of files has it."""
    if isinstance(value, float) and math.isnan(value):
        return told is None
    if isinstance(value, float | np.floating):
        return told == pytest.approx(float(value), rel=1e-7)
    return told == value


def test_rows_and_verdicts_are_those_of_the_terminal(provider: Any, logdir: Path) -> None:
    api = Api(provider)
    answer = whole(api)
    assert (answer["judged"], answer["stored"]) == (9, 9)
    rows = {row["name"]: row for row in answer["runs"]}
    expected = []
    for name, run in tbgrad.read(logdir).items():
        line = overview_of(run, condition(run.state, 1e9), judge(run).story)
        expected.append(line)
        row = rows[name]
        for key, value in {
            "step": line.step, "steps": line.steps, "loss": line.loss, "norm": line.norm,
            "val_loss": line.validation_loss, "norm_course": line.norm_course,
            "update_ratio": line.update_ratio, "stability": line.stability,
            "stability_age": line.stability_age, "stale": line.stale, "health": line.health,
            "severity": line.severity, "since": line.since, "seconds_left": line.seconds_left,
        }.items():  # fmt: skip
            assert same(row[key], value), (name, key, row[key], value)
        assert (row["state"] or {}).get("words") == (line.condition and line.condition.words)
        if name != EVERY_STEP:  # of which a sample of the logged steps is read
            np.testing.assert_allclose(
                np.array(row["trend"], float), np.float32(line.losses), rtol=1e-5
            )
        verdict = api.get("overview", run=name)["verdict"]
        assert verdict["words"] == [told._asdict() for told in verdict_of(line)]
        told = verdict["stories"]
        assert [one["headline"] for one in told] == [one["headline"] for one in story(api, name)]
    order = [row.name for row in worst_first(expected)]
    assert [row["name"] for row in answer["runs"]] == order
    assert {row["name"]: row["short"] for row in answer["runs"]} == short_names(order)
    assert answer["ill"] == {
        look: sum(row.severity == look for row in expected) for look in ("error", "warning")
    }


def story(api: Api, name: str) -> list[dict[str, Any]]:
    return list(api.get("alerts", run=name)["stories"])


def test_numbers_are_those_of_the_report(
    provider: Any, logdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(logdir), "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)["runs"]
    api = Api(provider)
    answer = whole(api)
    assert set(reports) == {row["name"] for row in answer["runs"]}
    for row in answer["runs"]:
        report = reports[row["name"]]
        assert row["step"] == report["last_step"]
        for key, tag in (("loss", "loss"), ("norm", "gradient/norm"), ("val_loss", "val_loss")):
            if tag in report["scalars"]:
                assert np.float32(row[key]) == np.float32(report["scalars"][tag]["last"]["value"])
        if report["curvature"] is not None:
            assert row["stability"] == report["curvature"]["last"]["stability"]
        if report["story"] is not None and row["severity"]:
            assert row["headline"] == report["story"]["headline"]
        alerts = api.get("alerts", run=row["name"])["alerts"]
        shows = {alert["rule"]: alert.pop("shows") for alert in alerts}
        assert shows == {rule: SHOWS.get(rule, "") for rule in shows}
        assert alerts == report["alerts"]
        series = api.get("scalars", run=row["name"], tag=list(report["scalars"])[:100])["series"]
        for one in series:
            last = report["scalars"][one["tag"]]["last"]
            assert (one["steps"][-1], one["stored"]) == (
                last["step"], report["scalars"][one["tag"]]["count"],
            )  # fmt: skip


def test_settings_that_differ_and_a_filter(provider: Any) -> None:
    api = Api(provider)
    answer = whole(api, filter="sweep lr>=0.03")
    assert answer["hparams"] == ["lr"]
    assert [row["hparams"] for row in answer["runs"]] == [{"lr": 0.03}, {"lr": 0.1}, {"lr": 0.3}]
    assert {row["short"] for row in answer["runs"]} == {"lr0.03", "lr0.1", "lr0.3"}
    assert answer["stored"] == 9
    code, sentence = api.error("overview", filter="/(/")
    assert code == 400
    assert sentence.startswith("'filter': /(/ is no regular expression: ")
    assert api.error("overview", filter="/" + "(" * 3000 + "/")[0] == 400
    assert api.error("overview", run="gone") == (404, "TensorBoard knows no run 'gone'")


@pytest.mark.usefixtures("unwatched")
def test_runs_become_known_a_few_a_look_the_one_in_front_first(
    provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overviews, "BATCH", 2)
    monkeypatch.setattr(overviews, "PLAIN", 1)
    counting = Counting(provider)
    api = Api(counting)
    *_, last = (run["name"] for run in api.get("runs")["runs"])
    api.get("status", run="good")
    known = []
    for answer in complete(api, run=last):
        rows = {row["name"]: row for row in answer["runs"]}
        known.append(sum(bool(row["trend"]) for row in answer["runs"]))
        assert rows[last]["trend"]
        assert len(answer["runs"]) == 9
        if answer["verdict"] is None:
            assert not answer["complete"]
        reads = {name: n for name, n in counting.calls.items() if name.startswith("read")}
        assert sum(reads.values()) <= 6, reads
        counting.calls.clear()
    assert known[0] == 2
    assert known == sorted(known)
    assert len(known) >= 5
    api.get("overview")
    assert not counting.calls  # all are over, and nothing is asked for again


@pytest.mark.usefixtures("unwatched")
def test_a_run_is_read_again_when_it_has_gone_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FRESH_SECONDS", 0.0)
    write_run(tmp_path / "still")
    with EventFileWriter(tmp_path / "live", start_step=0) as writer:
        writer.add(1, [encode.scalar("loss", 2.0)])
        writer.flush()
        multiplexer = PROVIDERS["python"](tmp_path)
        counting = Counting(multiplexer)
        api = Api(counting)
        before = api.get("status", run="still")["overview"]
        assert whole(api)["runs"][0]["loss"] == 2.0
        writer.add(2, [encode.scalar("loss", math.nan), encode.state(RunState(FAILED))])
        writer.flush()
        multiplexer._multiplexer.Reload()
        assert api.get("status", run="still")["overview"] != before
        counting.calls.clear()
        answer = whole(api)
        (row,) = (row for row in answer["runs"] if row["name"] == "live")
        assert (row["step"], row["loss"], row["health"]) == (2, None, "nonfinite")
        assert counting.calls["read_scalars scalars"] <= 2


def test_nobody_waits_for_another_look_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overviews, "WAITING_SECONDS", 0.05)
    write_run(tmp_path / "a")
    api = Api(PROVIDERS["python"](tmp_path))
    looks = api.plugin._source.once("", overviews.Overviews)
    with looks._lock:
        answer = api.get("overview")
    assert not answer["complete"]
    assert [row["step"] for row in answer["runs"]] == [1000]
    assert whole(api)["runs"][0]["health"] == "healthy"
