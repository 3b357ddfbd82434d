"""Report, terminal and tab on the same logs: the same alerts, in the same order."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from tbgrad_tui.screens.alerts import AlertsPage

from tbgrad.commands.main import main
from tbgrad.diagnosis import RULES, SHOWS
from tbgrad.judgement.replay import judge
from tbgrad.judgement.story import by_cause, story_of
from tbgrad.log import encode
from tbgrad.log.encode import to_jsonable
from tbgrad.reading.directory import read
from tests.judgement.test_history import steps, write
from tests.plugin import logs
from tests.plugin.conftest import Api, python_provider
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH, manifest
from tests.tui.support import app_on, loaded, shown, until


def write_other_writer(directory: Path) -> None:
    """Scalars as any script logs them: a loss that diverges, and is NaN in the end."""
    with EventFileWriter(directory) as writer:
        for step in range(400):
            loss = 1.0 if step < 100 else 1.02 ** (step - 100)
            values = [
                encode.scalar("loss", math.nan if step > 350 else loss),
                encode.scalar("val_loss", 2.0 + step / 100),
                encode.scalar("accuracy", 0.1),
            ]
            writer.add(step, values, EPOCH + step)


def write_thousands(directory: Path) -> None:
    """More alerts than are kept one by one in bounded memory; one of three is open at the end."""
    with EventFileWriter(directory) as writer:
        writer.add(0, [encode.manifest(replace(manifest(), rules=logs.RULES))], EPOCH)
        for step in range(1, 9_001):
            first = 30 * (step // 30)
            severity = ("info", "warning", "error")[step // 30 % 3]
            over = step % 30 == 29 and step // 30 % 3 > 0
            told = logs.alert(
                "edge_of_stability", severity, first, last=step,
                state="closed" if over else "open", parameters=(f"layer {step % 3}",),
            )  # fmt: skip
            writer.add(step, [encode.alerts([told])], EPOCH + step)


def write_missing(directory: Path) -> None:
    """A log whose writer watched nothing: gradients are missing, and now and then they are not."""
    described = manifest(2)
    with EventFileWriter(directory) as writer:
        writer.add(0, [encode.manifest(described)], EPOCH)
        for step in range(1, 60):
            table = logs.table(4, norm=1.0, weight_norm=1.0, update_norm=1e-3, cosine=np.nan)
            if step % 20:
                table[1, described.column("norm")] = np.nan
            writer.add(step, [encode.parameters(table)], EPOCH + step)


async def test_what_no_rule_looked_at_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = [encode.manifest(replace(manifest(), rules=logs.RULES))]
    for name, first in (("long", []), ("ours", watched)):
        with EventFileWriter(tmp_path / name) as writer:
            writer.add(0, first, EPOCH)
            for step in range(5000):
                writer.add(step, [encode.scalar("loss", 0.5 ** (step / 1000))], EPOCH + step)
    assert main(["report", str(tmp_path), "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert runs["ours"]["not_judged"] == []  # its writer saw every step
    (sentence,) = runs["long"]["not_judged"]
    assert sentence.startswith("30 rules that the writer did not watch saw ")
    assert " of 5,000 logged steps" in sentence
    assert main(["report", str(tmp_path), "--run", "long"]) == 0
    assert f"not judged: {sentence}" in capsys.readouterr().out
    api = Api(python_provider(tmp_path))
    assert api.get("alerts", run="long")["not_judged"] == [sentence]
    assert api.get("alerts", run="ours")["not_judged"] == []
    app = app_on(tmp_path)
    async with app.run_test(size=(200, 40)) as pilot:
        await loaded(pilot)
        app.show_run("long")
        await pilot.press("d")
        await until(pilot, lambda: f"not judged: {sentence}"[:60] in shown(app))


def test_a_rule_that_fails_is_named(tmp_path: Path) -> None:
    write_missing(tmp_path)
    failing = replace(RULES[0], applies=lambda moment: moment.nothing)
    found = judge(read(tmp_path)["."], rules=(failing, *RULES[1:]))
    assert found.not_judged[0].startswith("a rule failed and was left out: nonfinite: Attribute")
    assert [alert.rule for alert in found.alerts] == ["no_gradient"]


WRITERS: dict[str, tuple[Callable[[Path], None], int]] = {
    "ours": (logs.write_alerts, 3),
    "hostile": (logs.write_hostile, 2),
    "another": (write_other_writer, 2),
    "thousands": (write_thousands, 300),
    "missing": (write_missing, 1),
    "every step": (lambda directory: write(directory, steps(1000, bad=437), logged=250), 1),
}


@pytest.mark.parametrize("name", WRITERS)
async def test_all_faces_list_the_same_alerts(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, least = WRITERS[name]
    write(tmp_path / name)
    assert main(["report", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["runs"][name]
    reported = report["alerts"]
    answer = Api(python_provider(tmp_path)).get("alerts", run=name)
    app = app_on(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AlertsPage))
        listed = [to_jsonable(asdict(alert)) for alert in app.screen.panel.alerts]
    assert len(reported) >= least
    arranged = by_cause(story_of(app.run_shown.alerts))
    assert listed == [to_jsonable(asdict(alert)) for alert, _ in arranged]
    shows = [alert.pop("shows") for alert in answer["alerts"]]  # where the tab shows it
    assert shows == [SHOWS.get(alert["rule"], "") for alert in reported]
    assert answer["alerts"] == reported == listed
    told = [tuple(key) for story in answer["stories"] for key in story["alerts"]]
    assert told == list(map(itemgetter("rule", "first_step"), listed))[: len(told)]
    assert answer["stories"][answer["headlined"]]["headline"] == report["story"]["headline"]
    assert not any("nan" in alert["evidence"] for alert in reported if alert["rule"] != "nonfinite")
