"""The terminal app on logs with every step: what happened between logged steps is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from tbgrad_tui.chart.heat import FINITE, NONFINITE, NOTHING, bin_maxima

from tbgrad.log.norm_codes import MAX_ERROR
from tbgrad.log.tags import GRADIENT_NORM, LOSS, STEPS
from tbgrad.reading.directory import read
from tests.plugin.conftest import Api, python_provider
from tests.support.logs import EPOCH, manifest
from tests.support.steps import StepWriter, synthetic
from tests.tui.support import app_on, loaded

ROWS = 8
SPIKE = 777


def write(directory, count: int):
    steps = synthetic(count, ROWS)
    steps.norms[SPIKE - 1, 5] = 4e4
    steps.scalars[GRADIENT_NORM][SPIKE - 1] = 4e4
    steps.norms[200, 2] = np.inf
    with StepWriter(directory / "a") as writer:
        writer.write(steps)
    return steps


@pytest.mark.parametrize("count", [1000, 30_000])
async def test_a_spike_between_two_logged_steps_is_drawn(tmp_path, count):
    steps = write(tmp_path, count)
    app = app_on(tmp_path, now=EPOCH + 0.01 * count)
    async with app.run_test(size=(160, 50)) as pilot:
        await loaded(pilot)
        layers = app.run_screen.panel("layers")
        bins = layers._binned[1]
        norm = "\n".join(app.run_screen.panel("norm").lines())
        rows = layers.lines()
    at = (SPIKE - bins.start) // bins.width
    assert bins.values[at, 5] == pytest.approx(4e4, rel=MAX_ERROR)
    assert bins.states[(201 - bins.start) // bins.width, 2] == NONFINITE
    assert (bins.states != NOTHING).all()
    assert "peak since the record before" not in norm
    assert any("dense_2/bias" in row for row in rows)
    for i in range(len(bins.values)):
        first = bins.start + i * bins.width
        inside = np.where(np.isinf(steps.norms), -np.inf, steps.norms)
        inside = inside[first - 1 : first - 1 + bins.width]
        assert (bins.values[i] >= inside.max(axis=0) * (1 - MAX_ERROR)).all()


async def test_both_faces_show_the_same_steps(tmp_path):
    write(tmp_path, 900)
    api = Api(python_provider(tmp_path))
    app = app_on(tmp_path)
    async with app.run_test(size=(160, 50)) as pilot:
        await loaded(pilot)
    run = app.run_shown
    for series in api.get("scalars", run="a", tag=[LOSS, GRADIENT_NORM])["series"]:
        ours = run[series["tag"]]
        assert series["steps"] == ours.steps.tolist()
        np.testing.assert_array_equal(np.float32(series["values"]), np.float32(ours.values))
    layers = api.get("layers", run="a", columns=900)
    assert layers["steps"] == run[STEPS].steps.tolist()
    values = np.array([[float(v) for v in row] for row in layers["values"]], np.float32)
    np.testing.assert_array_equal(values.T, run[STEPS].values)
    for name in run.names:
        norms = api.get("parameter", run="a", parameter=name)["norms"]
        ours = run.norm(name)
        assert norms["steps"] == ours.steps.tolist()
        np.testing.assert_array_equal(np.float32(norms["values"]), np.float32(ours.values))
    assert run[LOSS].values.tolist() == read(tmp_path)["a"][LOSS].values.tolist()
    assert manifest().names == run.names


@pytest.mark.parametrize("most", [1, 3, 10, 64])
def test_bins_over_stretches_of_steps(most):
    """Entries that cover several steps each, a gap among them, against a plain loop."""
    rng = np.random.default_rng(most)
    lengths = rng.integers(1, 9, 40)
    first = 5 + np.concatenate([[0], np.cumsum(lengths)[:-1]])
    first[20:] += 30
    last = first + lengths - 1
    values = rng.random((40, 3)).astype(np.float32)
    bins = bin_maxima(last, values, np.zeros(values.shape, bool), most, first)
    assert len(bins.values) <= most
    for i in range(len(bins.values)):
        low = bins.start + i * bins.width
        inside = (first < low + bins.width) & (last >= low)
        expected = values[inside].max(axis=0) if inside.any() else np.full(3, -np.inf)
        np.testing.assert_array_equal(bins.values[i], expected)
        assert (bins.states[i] == (FINITE if inside.any() else NOTHING)).all()
