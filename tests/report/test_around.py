"""Whether the gradient norm has converged, and what was found around the weights."""

from __future__ import annotations

import io

import numpy as np
import pytest

import tbgrad
from tbgrad.log import encode
from tbgrad.report.print import print_reports
from tbgrad.report.summary import build, to_json
from tests.support.events import PatientEventFileWriter
from tests.support.findings import write_findings
from tests.support.logs import write_run


def norms(rate, noise, steps=1000):
    rng = np.random.default_rng(0)
    return np.exp(rate * np.arange(steps) / steps + noise * rng.standard_normal(steps))


def written(directory, values):
    with PatientEventFileWriter(directory) as writer:
        for step, value in enumerate(values):
            writer.add(step, [encode.scalar("gradient/norm", float(value))])
    return build(tbgrad.read(directory)["."])


@pytest.mark.parametrize(
    ("values", "trend"),
    [
        (norms(-3, 0.3), "falling"),
        (norms(3, 0.3), "rising"),
        (norms(0, 0.3), "steady"),
        (norms(-0.2, 0.01), "steady"),  # by 2 % from one tenth to the next
        (norms(-0.8, 2.0), "steady"),  # by 8 %, which the noise hides
        (np.append(norms(-3, 0.3)[:-2], [np.nan, np.inf]), "falling"),
    ],
)
def test_whether_the_norm_still_falls(values, trend, tmp_path):
    end = written(tmp_path, values).convergence
    assert end.trend == trend
    finite = values[np.isfinite(values)].astype(np.float32)
    tenth = len(finite) // 10
    assert end.last == pytest.approx(np.median(finite[-tenth:]), rel=0.01)
    assert end.before == pytest.approx(np.median(finite[-2 * tenth : -tenth]), rel=0.01)


def test_of_few_steps_nothing_is_said(tmp_path):
    assert written(tmp_path, norms(-3, 0.1, 99)).convergence is None


def text_of(report):
    file = io.StringIO()
    print_reports([report], {}, file)
    return file.getvalue()


def test_what_was_found_is_told(tmp_path):
    write_findings(tmp_path)
    report = build(tbgrad.read(tmp_path)["seed0"])
    assert [finding.name for finding in report.findings] == [
        "critical points", "gradient check", "line to seed1", "plane of the path", "trajectory",
    ]  # fmt: skip
    text = text_of(report)
    for words in (
        "around the weights",
        "critical points, step 96: minimum: loss 0.012, gradient norm 2e-8 (from 0.03)",
        "    saddle of index at least 1: loss 0.31",
        "a batch of 32 is 0.5 off it, 9.96 times its norm",
        "barrier 0.5",
        "2 of 315 interpolated",
        "95 % of the path is in the plane",
        "trajectory, step 96: 33 places, loss 0.23, 7.11 from its start",
    ):
        assert words in text, words
    (told,) = [
        each
        for each in to_json({"seed0": report})["runs"]["seed0"]["findings"]
        if each["name"] == "line to seed1"
    ]
    assert told["step"] == 96
    assert "barrier 0.5" in told["text"]


def test_other_runs_have_no_such_section(tmp_path):
    write_run(tmp_path)
    report = build(tbgrad.read(tmp_path)["."])
    assert report.findings == ()
    assert "around the weights" not in text_of(report)
    assert f"in the last tenth, {report.convergence.before:.4g} in that before" in text_of(report)
