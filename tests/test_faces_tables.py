"""A scalar or a statistic is one entry in its table, and every face shows it from there.

An alert of a rule that this version does not have is shown as those of its own.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tbgrad.commands.main import main
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.scalars import SCALARS, Scalar
from tbgrad.log.statistics import STATISTICS, Statistic
from tbgrad.log.tags import GRADIENT_NORM
from tests.plugin.conftest import Api, python_provider
from tests.support.logs import EPOCH, manifest
from tests.support.values import ALERT
from tests.tui.support import app_on, loaded, shown, until

DRIFT = Scalar("weights/drift", "drift of the weights", "", "log", "distance to the first weights")
KURTOSIS = Statistic("kurtosis", "tailedness", "fourth moment over squared variance", "log")


@pytest.fixture
def logdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of a version that has one entry more in each table."""
    monkeypatch.setitem(SCALARS, DRIFT.tag, DRIFT)
    monkeypatch.setitem(STATISTICS, KURTOSIS.name, KURTOSIS)
    described = replace(manifest(1), statistics=tuple(STATISTICS))
    with EventFileWriter(tmp_path / "runs" / "a", start_step=0) as writer:
        writer.add(0, [encode.manifest(described)], EPOCH)
        for step in (1, 2, 3):
            table = np.full((2, len(STATISTICS)), 0.5, np.float32)
            table[:, described.column(KURTOSIS.name)] = 7.25
            values = [encode.scalar("loss", 1 / step), encode.scalar("val_loss", 2 / step)]
            values += [encode.scalar(DRIFT.tag, 40.0 + step), encode.parameters(table)]
            writer.add(step, values, EPOCH + step)
    return tmp_path / "runs"


def test_a_report(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(logdir), "--json"]) == 0
    run = json.loads(capsys.readouterr().out)["runs"]["a"]
    assert run["scalars"][DRIFT.tag]["last"]["value"] == 43.0
    assert run["parameters"][0]["statistics"][KURTOSIS.name] == 7.25
    assert main(["report", str(logdir)]) == 0
    text = capsys.readouterr().out
    assert "validation loss 2 at first, 0.6667 at last" in text
    assert DRIFT.label in text


def test_an_export(logdir: Path, tmp_path: Path) -> None:
    assert main(["export", str(logdir), "-o", str(tmp_path / "x.csv")]) == 0
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["value"] for row in rows if row["statistic"] == KURTOSIS.name} == {"7.25"}
    assert [row["value"] for row in rows if row["tag"] == DRIFT.tag] == ["41.0", "42.0", "43.0"]


async def test_the_terminal(logdir: Path) -> None:
    app = app_on(logdir)
    async with app.run_test(size=(160, 60)) as pilot:
        await loaded(pilot)
        assert "validation loss" in shown(app)
        await pilot.press("6")
        assert f"{KURTOSIS.label} 7.25" in shown(app)
        await pilot.press("7")
        assert DRIFT.label in shown(app)


def test_the_tab(logdir: Path) -> None:
    api = Api(python_provider(logdir))
    tables = api.get("tables")
    assert {entry["tag"]: entry["label"] for entry in tables["scalars"]}[DRIFT.tag] == DRIFT.label
    assert tables["statistics"][-1]["label"] == KURTOSIS.label
    assert tables["vague"] == 0.3
    series = {one["tag"]: one["values"] for one in api.get("scalars", run="a")["series"]}
    assert series[DRIFT.tag] == [41.0, 42.0, 43.0]
    assert series["val_loss"][0] == 2.0
    layers = api.get("layers", run="a", statistic=KURTOSIS.name)
    assert layers["values"] == [[7.25] * 3] * 2


async def test_an_alert_of_a_rule_that_is_not_known_is_in_every_face(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swaying = replace(ALERT, rule="weights_sway", severity="error", evidence="to and fro")
    with EventFileWriter(tmp_path / "a", start_step=0) as writer:
        writer.add(0, [encode.manifest(replace(manifest(1), rules=("weights_sway",)))], EPOCH)
        writer.add(90, [encode.scalar(GRADIENT_NORM, 1.0), encode.alerts([swaying])], EPOCH)
    assert main(["report", str(tmp_path), "--json", "--check"]) == 1
    (reported,) = json.loads(capsys.readouterr().out)["runs"]["a"]["alerts"]
    (served,) = Api(python_provider(tmp_path)).get("alerts", run="a")["alerts"]
    assert reported["rule"] == served["rule"] == "weights_sway"
    assert reported["evidence"] == served["evidence"] == "to and fro"
    app = app_on(tmp_path)
    async with app.run_test(size=(160, 60)) as pilot:
        await loaded(pilot)
        await pilot.press("a")
        await until(pilot, lambda: "weights_sway" in shown(app) and "to and fro" in shown(app))
        await pilot.press("enter")  # to where it shows: somewhere, as nobody knows
        await until(pilot, lambda: "to and fro" not in shown(app))
