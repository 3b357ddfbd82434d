"""What a report says about the curvature of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tbgrad.diagnosis import standing
from tbgrad.log import encode
from tbgrad.log.records import (
    CurvatureEstimate,
    Eigenvalue,
)
from tbgrad.log.share import Share
from tbgrad.report.summary import to_json
from tests.support.reports import (
    at,
    line_of,
    manifest,
    report_of,
    text_of,
)


def estimate(*, converged=True, threshold: float | None = 50.0) -> CurvatureEstimate:
    return CurvatureEstimate(
        eigenvalues=(Eigenvalue(70.0, 1.4), Eigenvalue(-1.5, 0.05)),
        converged=converged,
        hvps=9,
        seconds=0.2,
        loss=1.0,
        samples=256,
        stability_threshold=threshold,
        threshold_formula="2 / η",
    )


def test_curvature_shows_its_error_and_its_threshold(tmp_path):
    text = text_of(
        report_of(
            tmp_path,
            at(0, encode.manifest(manifest())),
            at(10, encode.curvature(estimate(converged=False))),
            at(20, encode.curvature(estimate())),
        )
    )
    assert "Hessian at step 20, on 256 samples" in text
    assert line_of(text, "λmax").split(maxsplit=1)[1] == "70.0 ± 1.4"
    assert line_of(text, "λmin").split(maxsplit=1)[1] == "-1.500 ± 0.050"
    assert line_of(text, "threshold").split(maxsplit=1)[1] == "50 = 2 / η"
    assert line_of(text, "stability").split(maxsplit=1)[1] == (
        "1.4 (λmax / threshold): beyond the limit: unstable"
    )
    assert line_of(text, "converged").split(maxsplit=1)[1] == "yes, 9 products"
    assert line_of(text, "estimates").split(maxsplit=1)[1] == "2, 1 of them not converged"


def test_curvature_of_an_adaptive_optimizer(tmp_path):
    adaptive = replace(
        estimate(), preconditioned=Eigenvalue(40.0, 0.5), trace=123.0, trace_error=4.0
    )
    events = [at(0, encode.manifest(manifest())), at(20, encode.curvature(adaptive))]
    text = text_of(report_of(tmp_path, *events))
    assert "above zero" not in text
    assert line_of(text, "preconditioned").split(maxsplit=1)[1] == "40.00 ± 0.50"
    assert line_of(text, "trace").split(maxsplit=1)[1] == "123.0 ± 4.0"
    stability = line_of(text, "stability").split(maxsplit=1)[1]
    assert stability == "0.8 (preconditioned / threshold): below the limit"


def test_shares_of_eigenvalues_have_their_intervals(tmp_path):
    counted = replace(
        estimate(),
        minimum_ratio=Share(0.123, 0.11, 0.136),
        negative_fraction=Share(0.5, 0.2, 0.8),
        zero_fraction=Share(0.4, 0.3, 0.5),
    )
    values = [at(0, encode.manifest(manifest())), at(20, encode.curvature(counted))]
    report = report_of(tmp_path, *values, at(30, encode.curvature(estimate())))
    text = text_of(report)
    words = "of all eigenvalues, step 20"
    assert line_of(text, "above zero").split(maxsplit=2)[2] == f"12.3 % (11.0 to 13.6) {words}"
    assert line_of(text, "below zero").split(maxsplit=2)[2] == f"between 20 and 80 % {words}"
    assert line_of(text, "near zero").split(maxsplit=2)[2] == f"40 % (30 to 50) {words}"
    told = to_json({"a": report})["runs"]["a"]["curvature"]["counted"]["minimum_ratio"]
    assert told == {"value": 0.123, "low": 0.11, "high": 0.136}


@pytest.mark.parametrize(
    ("stability", "words"),
    [(0.5, "below the limit"), (0.9, "at the edge of stability"),
     (1.0016, "at the edge of stability"), (1.1, "at the edge of stability"),
     (1.11, "beyond the limit: unstable")],
)  # fmt: skip
def test_where_a_training_stands_is_said_as_the_alert_sees_it(tmp_path, stability, words):
    top = CurvatureEstimate((Eigenvalue(50 * stability, 0.1),), True, 9, 0.2, 1.0, 256, 50.0)
    events = [at(0, encode.manifest(manifest())), at(20, encode.curvature(top))]
    text = text_of(report_of(tmp_path, *events))
    assert line_of(text, "stability").endswith(f"(λmax / threshold): {words}")
    assert standing(stability) == ("beyond" if "beyond" in words else words.split()[0])


def test_curvature_that_is_unsure_says_so(tmp_path):
    events = [
        at(0, encode.manifest(manifest())),
        at(10, encode.curvature(estimate(converged=False, threshold=None))),
    ]
    text = text_of(report_of(tmp_path, *events))
    assert line_of(text, "converged").endswith("not converged after 9 products")
    assert "no threshold is known for this optimizer" in text
