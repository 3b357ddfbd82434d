"""Analyses through a real event file: what is read back is what was found."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import tbgrad
from tbgrad.analysis import log_analysis
from tbgrad.log import encode
from tbgrad.log.analyses import content_of
from tbgrad.log.critical_point import CriticalPoint
from tbgrad.log.gradient_check import GradientCheck
from tbgrad.log.landscape import Axis, Landscape, PathPoint
from tbgrad.log.share import Share
from tests.support.events import PatientEventFileWriter
from tests.support.logs import write_run


def plane():
    x, y = np.linspace(-1, 1, 5), np.linspace(0, 2, 3)
    loss = x[:, np.newaxis] ** 2 + y / 3
    loss[0, 0], loss[4, 2] = np.nan, np.inf
    evaluated = np.ones((5, 3), bool)
    evaluated[0, 0] = False
    return Landscape(
        axes=(Axis("first", x, 2.5), Axis("second", y, 1.0)),
        loss=loss,
        evaluated=evaluated,
        centre_loss=0.125,
        gradient_norm=np.abs(x[:, np.newaxis] * y),
        path=(PathPoint(3, (0.5, 0.25), 0.125), PathPoint(9, (0.0, 0.0), 0.0)),
        explained=(0.75, 0.125),
        samples=640,
    )


def critical_point(count=4, size=4):
    return CriticalPoint(
        kind="saddle",
        index=1,
        index_is_exact=True,
        gradient_norm=1e-7,
        norms=np.array([0.5, 1e-7]),
        loss=0.25,
        eigenvalues=np.linspace(3, -1, count),
        errors=np.full(count, 1e-3),
        minimum_ratio=Share(0.75, 0.7, 0.8),
        point=[],
        products=12,
        gradients=3,
        loss_steps=1,
        reason="converged",
        size=size,
    )


def check():
    return GradientCheck(
        loss=0.5, norm=0.25, norms={"dense/kernel": 0.2, "dense/bias": 0.15},
        layer_norms={"dense": 0.25}, noise=np.nan, noises={"dense/kernel": 1.0, "dense/bias": 2.0},
        samples=100, batch_size=10,
    )  # fmt: skip


def same(a, b):
    if dataclasses.is_dataclass(a):
        names = [field.name for field in dataclasses.fields(a)]
        return all(same(getattr(a, name), getattr(b, name)) for name in names)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray | float):
        return np.allclose(a, b, rtol=1e-8, atol=0, equal_nan=True)  # nine digits
    return a == b


@pytest.mark.parametrize(
    ("found", "name"),
    [(plane(), "plane"), ([critical_point()], "critical points"), (check(), "gradient check")],
    ids=["plane", "critical_points", "gradient_check"],
)
def test_what_was_found_is_read_back(found, name, tmp_path):
    write_run(tmp_path / "a")
    log_analysis(tmp_path / "a", found)
    run = tbgrad.read(tmp_path)["a"]
    assert run.damage == ()
    assert same(tuple(found) if isinstance(found, list) else found, run.analyses[name])
    series = run[f"tbgrad/analyses/{name}"]
    assert series.steps.tolist() == [run["gradient/norm"].steps[-1]]  # where the run has come to


def test_several_in_one_run_each_by_its_name(tmp_path):
    log_analysis(tmp_path / "a", plane(), "before", step=5)
    log_analysis(tmp_path / "a", plane(), "after", step=5)
    log_analysis(tmp_path / "a", critical_point(), step=5)
    log_analysis(tmp_path / "a", dataclasses.replace(plane(), centre_loss=7.0), "after", step=5)
    analyses = tbgrad.read(tmp_path)["a"].analyses
    assert list(analyses) == ["after", "before", "critical points"]
    assert analyses["after"].centre_loss == 7.0


def test_of_many_eigenvalues_some_are_kept_at_even_ranks(tmp_path):
    log_analysis(tmp_path, critical_point(1001, 1001))
    (kept,) = tbgrad.read(tmp_path)["."].analyses["critical points"]
    np.testing.assert_allclose(kept.eigenvalues, np.linspace(3, -1, 101))
    assert (len(kept.errors), kept.size, kept.index) == (101, 1001, 1)


def test_bad_arguments(tmp_path):
    with pytest.raises(TypeError, match="gradient_check"):
        log_analysis(tmp_path, "a picture")
    with pytest.raises(TypeError, match="not list"):
        log_analysis(tmp_path, [])
    with pytest.raises(ValueError, match="without a slash"):
        log_analysis(tmp_path, plane(), "a/b")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        log_analysis(tmp_path / "file", plane())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "nothing"},
        {"axes": []},
        {"loss": [1.0]},
        {"axes": [{"label": "", "coordinates": [0.0] * 2_000_000, "length": 1}]},
    ],
    ids=["kind", "axes", "loss", "too_many"],
)
def test_what_does_not_fit_is_damage(change, tmp_path):
    value = encode.analysis("plane", plane())
    content = encode.to_jsonable({**content_of(plane()), **change})
    value.tensor.string_val[0] = json.dumps(content).encode()
    with PatientEventFileWriter(tmp_path) as writer:
        writer.add(1, [value])
    run = tbgrad.read(tmp_path)["."]
    assert run.analyses == {}
    assert "does not hold what the format says" in run.damage[0].reason
