"""Gradients that are zero but for rounding are known, and hide no others."""

from __future__ import annotations

import numpy as np
import pytest
from tbgrad_tui.widgets.layer_bins import bins_of, scale_of

from tbgrad.figures import drawing
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import STATISTICS, Manifest, Parameter
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, LEARNING_RATE, LOSS
from tbgrad.reading.directory import read
from tbgrad.reading.layer_history import MEASURES, history_of
from tbgrad.reading.rounding import is_rounding
from tbgrad.report.summary import build
from tests.support.reports import text_of
from tests.support.steps import StepWriter

STEPS = 60
NORMS = {
    "attention/key/kernel": 0.3,
    "attention/key/bias": 3e-8,
    "attention/query/kernel": 0.2,
    "attention/query/bias": 4e-3,
    "dead/kernel": 0.1,
    "dead/bias": 0.0,
    "out/kernel": 2.0,
    "out/bias": np.nan,
    "scale/gamma": 1e-3,
}
"""By parameter. Of one bias the gradient is zero for good, and none reaches another."""


def parameter(path):
    layer, _, role = path.rpartition("/")
    role = role if role in ("kernel", "bias") else "normalization"
    return Parameter(path, layer, (8,), 8, "float32", role)


@pytest.fixture(scope="module", params=[True, False], ids=["every step", "logged steps"])
def run(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    write(directory, every_step=request.param)
    return read(directory)["."]


def write(directory, *, every_step):
    known = Manifest(tuple(parameter(path) for path in NORMS), first_step=1)
    rng = np.random.default_rng(0)
    norms = np.array(list(NORMS.values())) * rng.uniform(0.5, 1, (STEPS, len(NORMS)))
    if every_step:
        scalars = dict.fromkeys((LOSS, LEARNING_RATE, GRADIENT_NORM), np.ones(STEPS, np.float32))
        with StepWriter(directory, manifest=known) as writer:
            writer.write(Steps(1, scalars, norms.astype(np.float32)))
    else:
        with EventFileWriter(directory, start_step=1) as file:
            file.add(0, [encode.manifest(known)])
            for step, row in enumerate(norms, start=1):
                table = np.full((len(NORMS), len(STATISTICS)), np.nan, np.float32)
                table[:, STATISTICS.index("norm")] = table[:, STATISTICS.index("abs_max")] = row
                file.add(step, [encode.parameters(table), encode.scalar(GRADIENT_NORM, 1.0)])


def test_it_is_the_bias_of_the_keys_alone(run):
    found = [name for name, blank in zip(run.names, is_rounding(run), strict=True) if blank]
    assert found == ["attention/key/bias"]


def test_the_colours_of_a_map_are_of_the_others(run):
    history = history_of(run, MEASURES["norm"])
    bins = bins_of(history, MEASURES["norm"], 40)
    scale = scale_of(bins, MEASURES["norm"], is_rounding(run))
    assert (scale.low, scale.high) == (1e-4, 10.0)
    assert scale_of(bins, MEASURES["norm"]).low < 1e-7


def test_the_smallest_layer_is_another(run):
    report = build(run)
    text = text_of(report)
    if report.extremes.every_step:
        assert "smallest layer  dead/bias: 0 at step" in text
        assert "zero            1 bias gradient, but for rounding: in brackets below" in text
        assert "(attention/key/bias)" in text
    assert report.extremes.smallest_parameter.path == "dead/bias"


def test_figures_of_parameters_have_colours_for_the_others(tmp_path):
    write(tmp_path, every_step=False)
    (panel,) = drawing(read(tmp_path)["."], "layers", statistic="abs_max").panels
    assert 4e-4 < panel.heat.low < 1e-3


def test_a_run_without_parameters_has_none(tmp_path):
    with EventFileWriter(tmp_path) as file:
        file.add(1, [encode.scalar(LOSS, 1.0)])
    assert is_rounding(read(tmp_path)["."]).tolist() == []
