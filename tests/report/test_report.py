"""What a report says about a run, and how it says it."""

from __future__ import annotations

import json
import math

import pytest

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import (
    Alert,
    Damage,
    Manifest,
    Parameter,
)
from tbgrad.log.tags import GRADIENT_NORM, GRADIENT_NORM_MAX, LEARNING_RATE, LOSS
from tbgrad.reading.directory import read
from tbgrad.report.summary import Point, RunReport, build, to_json
from tests.report.test_report_curvature import estimate
from tests.support.events import event
from tests.support.logs import write_run
from tests.support.reports import (
    BIAS,
    BROKEN,
    COLUMNS,
    NAN,
    NO_GRADIENT,
    PARAMETERS,
    SOUND,
    at,
    cells,
    line_of,
    manifest,
    report_of,
    statistics,
    text_of,
)


def test_first_and_last_and_extremes(tmp_path):
    norms = {1: 2.0, 2: 0.5, 3: NAN, 4: 8.0, 5: 1.0}
    peaks = {1: 2.0, 2: 9.0, 3: math.inf, 4: 8.0, 5: 1.0}
    report = report_of(
        tmp_path,
        at(0, encode.manifest(manifest())),
        *(
            at(
                step,
                encode.scalar(LOSS, 10.0 - step),
                encode.scalar(LEARNING_RATE, 0.5),
                encode.scalar(GRADIENT_NORM, norms[step]),
                encode.scalar(GRADIENT_NORM_MAX, peaks[step]),
            )
            for step in norms
        ),
    )
    assert (report.first_step, report.last_step, report.logged_steps) == (1, 5, 5)
    assert report.seconds == 4.0
    norm = report.scalars[GRADIENT_NORM]
    assert (norm.smallest, norm.largest, norm.nonfinite) == (Point(2, 0.5), Point(4, 8.0), 1)
    text = text_of(report)
    assert line_of(text, "steps").split(maxsplit=1)[1] == "1 to 5, 5 logged in 4.0 s"
    assert line_of(text, "loss").split(maxsplit=1)[1] == "9 at first, 5 at last"
    assert line_of(text, "learning rate").endswith("  0.5 at first, 0.5 at last")
    assert line_of(text, "optimizer").split(maxsplit=1)[1] == "SGD (learning_rate 0.1)"
    assert line_of(text, "smallest").split(maxsplit=1)[1] == "0.5 at step 2"
    assert line_of(text, "largest").split(maxsplit=1)[1] == "8 at step 4"
    assert line_of(text, "peak").endswith(" 9 at step 2")
    assert line_of(text, "not finite").split(maxsplit=2)[2] == "1 of 5 logged steps"


def test_norms_that_are_never_finite_have_no_extremes(tmp_path):
    report = report_of(
        tmp_path,
        at(0, encode.manifest(manifest())),
        at(1, encode.scalar(GRADIENT_NORM, NAN)),
    )
    assert "largest         never finite" in text_of(report)


def test_final_figures_of_parameters_and_layers(tmp_path):
    report = report_of(
        tmp_path,
        at(0, encode.manifest(manifest())),
        at(1, statistics(*[[9.0] * len(COLUMNS)] * 4)),
        at(2, statistics(SOUND, BIAS, NO_GRADIENT, BROKEN)),
    )
    kernel, bias, silent, broken = report.parameters
    assert report.parameters_step == 2
    assert (kernel.norm, kernel.norm_max, kernel.abs_max) == (3.0, 3.5, 2.0)
    assert kernel.update_ratio == pytest.approx(0.01)
    assert bias.update_ratio is None  # a ratio to weights that are all zero says nothing
    assert (silent.state, silent.norm, silent.norm_max) == ("no gradient", None, None)
    assert broken.state == "trained"
    assert broken.norm is not None
    assert math.isnan(broken.norm)
    assert broken.nonfinite == 7
    layer, silent_layer, broken_layer = report.layers
    assert layer.norm == 5.0
    assert layer.abs_max == 4.0
    assert layer.zero_fraction == pytest.approx((3 * 0.5 + 0.1) / 4)
    assert layer.update_ratio == pytest.approx(math.hypot(0.1, 0.2) / 10)
    assert silent_layer.state == "no gradient"
    assert broken_layer.nonfinite == 7
    text = text_of(report)
    assert cells(text, "a/kernel") == "3 3.5 2 50.0 % 0.01 0"
    assert cells(text, "b/kernel") == "no gradient - - - 0 0"
    assert cells(text, "c/kernel") == "nan inf nan 0.0 % - 7"


def test_a_layer_without_gradient_and_a_layer_with_a_broken_one_say_so(tmp_path):
    text = text_of(
        report_of(
            tmp_path,
            at(0, encode.manifest(manifest())),
            at(2, statistics(SOUND, BIAS, NO_GRADIENT, BROKEN)),
        )
    )
    assert line_of(text, "b ").split()[:3] == ["b", "no", "gradient"]
    assert line_of(text, "c ").split()[1] == "nan"


def test_what_is_not_finite_in_a_layer_is_not_hidden_by_the_rest(tmp_path):
    report = report_of(
        tmp_path,
        at(0, encode.manifest(manifest())),
        at(1, statistics(SOUND, BROKEN, SOUND, SOUND)),
    )
    layer = report.layers[0]
    assert layer.norm is not None
    assert layer.abs_max is not None
    assert math.isnan(layer.norm)
    assert math.isnan(layer.abs_max)


def test_a_parameter_that_is_frozen_says_so(tmp_path):
    report = report_of(
        tmp_path,
        at(0, encode.manifest(manifest())),
        at(1, statistics(SOUND, BIAS, SOUND, SOUND)),
        at(2, encode.manifest(manifest(parameters=PARAMETERS[:2]))),
        at(3, statistics(SOUND, BIAS)),
    )
    assert [p.state for p in report.parameters] == ["trained"] * 2 + ["not trained now"] * 2
    assert [layer.path for layer in report.layers] == ["a"]
    assert line_of(text_of(report), "b/kernel").split()[1:4] == ["not", "trained", "now"]


def test_what_was_not_logged_is_said(tmp_path):
    text = text_of(report_of(tmp_path, at(0, encode.manifest(manifest())), event(1)))
    for sentence in (
        "no curvature logged",
        "no statistics of parameters logged",
        "learning rate   not logged",
        "gradient norm (global L2, before clipping)\nnot logged",
    ):
        assert sentence in text


def test_a_run_without_our_series_shows_its_scalars(tmp_path):
    numbers = [3.0, 1.0, NAN, 2.0]
    report = report_of(
        tmp_path, *(event(i, number, "accuracy") for i, number in enumerate(numbers))
    )
    assert not report.monitored
    text = text_of(report)
    assert "GradientMonitor" in text
    assert line_of(text, "accuracy").split() == ["accuracy", "4", "3", "2", "1", "3", "1"]


def alert(rule: str, severity="warning", state="open", last_step=9) -> Alert:
    return Alert(
        rule, severity, ("a/kernel",), 5, last_step, state, "evidence", ("cause",), "advice"
    )


def test_alerts_stand_at_the_top_in_their_newest_state(tmp_path):
    report = report_of(
        tmp_path,
        at(0, encode.manifest(manifest())),
        at(5, encode.alerts([alert("dead_units"), alert("loss_stuck", "info")])),
        at(6, encode.alerts([alert("nonfinite", "error")])),
        at(9, encode.alerts([alert("dead_units", state="closed", last_step=8)])),
    )
    assert report.story is not None
    assert [(a.rule, a.state) for a in report.alerts] == [
        ("nonfinite", "open"),  # what began it
        ("dead_units", "closed"),  # what followed
        ("loss_stuck", "open"),
    ]
    lines = text_of(report).splitlines()
    assert lines[0] == "run ."
    assert lines[1] == (
        "error: non-finite in a from step 5; dead units at step 5 and a loss that is stuck at step "
        "5 follow"
    )
    assert lines[2:4] == ["    change first: advice", "    likely cause: cause"]
    assert lines[4] == "    error (open) nonfinite in a/kernel, steps 5 to 9: evidence"
    assert any(line.startswith("not judged: no loss (") for line in lines)
    story = to_json({".": report})["runs"]["."]["story"]
    assert (story["headline"], story["advice"]) == (report.story.headline, "advice")
    assert [effect["rule"] for effect in story["effects"]] == ["dead_units", "loss_stuck"]


def test_a_run_without_a_grave_alert_says_by_what_it_is_well(tmp_path):
    write_run(tmp_path / "a", steps=400)
    write_run(tmp_path / "b", steps=400)
    with EventFileWriter(tmp_path / "b") as file:
        file.add(401, [encode.alerts([alert("loss_stuck")])])
    well, ill = (build(run) for run in read(tmp_path).values())
    norm = well.scalars[GRADIENT_NORM].last.value
    assert f" in the last quarter, norm falling to {norm:.3g}, update/weight " in well.healthy
    assert text_of(well).splitlines()[1] == f"healthy: {well.healthy}"
    assert ill.healthy == ""
    assert "healthy" not in text_of(ill)


def test_notes_and_damage_are_counted_and_capped(tmp_path):
    events = [at(s, encode.note(f"note {s}")) for s in range(25)]
    report = report_of(tmp_path, at(0, encode.manifest(manifest())), *events)
    damage = tuple(Damage("file", 10 * i, "bad") for i in range(30))
    text = text_of(RunReport(**{**vars(report), "damage": damage}))
    assert "step 19: note 19\n… and 5 more" in text
    assert "damage: 30 places could not be read" in text
    assert "file, byte 190: bad\n… and 10 more" in text


def test_a_newer_format_is_announced(tmp_path):
    report = report_of(tmp_path, at(0, encode.manifest(manifest(version=3))))
    assert report.newer_format
    assert "format version 3 by a newer tbgrad" in text_of(report)


def test_names_are_data(tmp_path):
    hostile = "[bold]x[/bold]\x1b[2J\n\u202e\udc80:smile:"
    parameters = (Parameter(hostile, hostile, (1,), 1, "float32", "other"),)
    record = Manifest(parameters, COLUMNS, optimizer={"name": hostile})
    alarm = Alert(hostile, "info", (hostile,), 1, 1, "open", hostile, (), "")
    report = report_of(
        tmp_path,
        at(0, encode.manifest(record)),
        at(1, statistics(SOUND), encode.note(hostile), encode.scalar(hostile, 1.0)),
        at(2, encode.alerts([alarm])),
    )
    text = text_of(RunReport(**{**vars(report), "name": hostile}), problems={hostile: hostile})
    assert all(c.isprintable() or c == "\n" for c in text)
    assert text.count("[bold]x[/bold]\\x1b[2J") >= 7
    assert ":smile:" in text
    text.encode()


def test_json_is_strict_and_complete(tmp_path):
    events = [
        at(0, encode.manifest(manifest())),
        at(1, statistics(SOUND, BIAS, NO_GRADIENT, BROKEN), encode.scalar("loss", NAN)),
        at(2, encode.alerts([alert("dead_units")]), encode.note("hello")),
        at(3, encode.curvature(estimate()), encode.scalar("loss", math.inf)),
    ]
    report = report_of(tmp_path, *events)
    text = json.dumps(to_json({"a": report}), allow_nan=False)
    content = json.loads(text)["runs"]["a"]
    assert "dead_units" in {each["rule"] for each in content["alerts"]}
    assert content["scalars"]["loss"]["first"] == {"step": 1, "value": None}
    assert content["scalars"]["loss"]["last"] == {"step": 3, "value": "inf"}
    assert content["parameters"][0]["norm"] == 3.0
    assert content["parameters"][3]["norm"] is None
    assert content["curvature"]["last"]["stability"] == 1.4
    assert content["curvature"]["last"]["eigenvalues"][0] == {"value": 70.0, "residual": 1.4}
    assert content["notes"] == [{"step": 2, "text": "hello"}]
    assert content["damage"] == {"count": 0, "listed": []}


def test_columns_of_a_piped_table_are_aligned(tmp_path):
    write_run(tmp_path, steps=100)
    (run,) = read(tmp_path).values()
    lines = text_of(build(run)).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("parameter "))
    rows = lines[start : start + 9]
    assert "update/weight  not finite" in rows[0]
    assert len({len(row.rstrip()) for row in rows}) == 1
    assert all(len(line) < 200 and line.isprintable() for line in lines)
    assert not any(c in "─│┌━╭" for line in lines for c in line)
