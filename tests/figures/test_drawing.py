"""What figures show, held against what was logged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tbgrad
from tbgrad.figures import FIGURES, NothingToDrawError, drawing
from tbgrad.figures.drawing import COLOURS, Heat, shown
from tbgrad.log import encode
from tbgrad.log.norm_codes import MAX_ERROR
from tbgrad.log.scalars import SCALARS
from tbgrad.log.statistics import STATISTICS
from tbgrad.log.tags import GRADIENT_NORM, HISTOGRAMS, LOSS, VALIDATION_LOSS
from tests.reading.test_run import summary_event
from tests.support import findings
from tests.support.events import NAME, event, write_events
from tests.support.findings import write_findings
from tests.support.logs import write_run
from tests.support.steps import StepWriter, synthetic

STEPS, ROWS, PEAK = 3000, 8, 1234


@pytest.fixture(scope="module")
def steps():
    made = synthetic(STEPS, ROWS)
    made.scalars[GRADIENT_NORM][PEAK - 1] = 1e6
    made.scalars[GRADIENT_NORM][2000:2010] = np.inf
    made.scalars[LOSS][2000] = np.nan
    made.norms[100, 3] = 1e5
    made.norms[2000:2010, 5] = np.inf
    made.norms[1000:1500, 6:] = np.nan
    return made


@pytest.fixture(scope="module")
def runs(steps, tmp_path_factory):
    """One of every step, and one with all else."""
    directory = tmp_path_factory.mktemp("runs")
    with StepWriter(directory / "every") as writer:
        writer.write(steps, 500)
    write_run(directory / "full", steps=1000)
    write_run(directory / "adaptive", steps=1000, adaptive=True)
    return tbgrad.read(directory)


# --------------------------------------------------------------------------------------- scalars


def test_loss_and_gradient_norm_at_every_step_with_their_peaks(runs, steps):
    made = drawing(runs["every"])
    loss, norm = made.panels
    assert (loss.label, norm.label) == (SCALARS[LOSS].label, SCALARS[GRADIENT_NORM].label)
    assert (loss.scale, norm.scale) == ("linear", "log")
    faint, means = norm.lines
    assert (faint.style, means.style) == ("faint", "line")
    assert len(faint.x) <= 2100
    values = steps.scalars[GRADIENT_NORM].astype(np.float64)
    finite = np.isfinite(faint.y)
    np.testing.assert_array_equal(faint.y[finite], values[faint.x[finite] - 1])
    assert faint.y[faint.x == PEAK] == 1e6
    assert np.nanmin(faint.y) == np.nanmin(values[np.isfinite(values)])
    assert made.note == "pale: every value; lines: means of about 30"
    usual = np.array([values[i * 30 : i * 30 + 30].mean() for i in range(100)])
    np.testing.assert_allclose(means.y[:30], usual[:30], rtol=1e-6)
    np.testing.assert_allclose(means.x[:3], [15.5, 45.5, 75.5])
    assert [(marks.label, marks.x.tolist()) for marks in norm.marks] == [
        ("not finite from here", [2001])
    ]


def test_a_smooth_line_is_itself(tmp_path):
    smooth = np.exp(-np.arange(1, 1001) / 100)
    write_events(tmp_path / NAME, [event(i, v) for i, v in enumerate(smooth, start=1)])
    (panel,) = drawing(tbgrad.read(tmp_path)).panels
    (line,) = panel.lines
    np.testing.assert_array_equal(line.y, smooth.astype(np.float32))
    assert (line.style, panel.scale) == ("line", "log")  # over more than two decades


def test_validation_loss_is_drawn_beside_the_loss_and_zeros_are_marked(tmp_path):
    events = [event(i, 1 / i) for i in range(1, 20)]
    events += [event(i, i / 100 - 0.1, VALIDATION_LOSS) for i in (10, 20)]
    events += [event(i, 0 if i > 5 else 10.0**-i, GRADIENT_NORM) for i in range(1, 20)]
    write_events(tmp_path / NAME, sorted(events, key=lambda e: e.step))
    loss, norm = drawing(tbgrad.read(tmp_path)).panels
    assert [line.label for line in loss.lines] == ["loss", "validation loss"]
    assert loss.scale == "linear"  # as one value is 0
    assert norm.scale == "log"
    assert [(marks.label, marks.x.tolist()) for marks in norm.marks] == [
        ("zero or less from here", [6])
    ]


def test_logs_of_other_writers_are_drawn_by_the_names_that_these_have():
    run = tbgrad.read(Path(__file__).parents[1] / "data" / "torch-2.13.0")["."]
    (panel,) = drawing(run).panels
    np.testing.assert_array_equal(panel.lines[0].y, run["loss/train"].values)


def test_runs_are_overlaid_by_name_in_colours_of_their_own(runs):
    made = drawing(runs, tags=["loss", "learning_rate"])
    for panel in made.panels:
        named = [line for line in panel.lines if line.label]
        assert [line.label for line in named] == list(runs)
        assert [line.colour for line in named] == list(COLOURS[:3])


def test_means_of_a_bounded_reader_are_those_of_every_step(tmp_path, steps):
    with StepWriter(tmp_path / "a") as writer:
        writer.write(steps, 500)
    bounded = tbgrad.read(tmp_path, bounded=True)["a"]
    assert bounded[LOSS].buckets is not None
    faint, means = drawing(bounded).panels[0].lines
    loss = steps.scalars[LOSS].astype(np.float64)
    assert np.nanmax(faint.y) == np.nanmax(loss)
    assert means.y[0] == pytest.approx(np.mean(loss[: int(2 * means.x[0] - 1)]), rel=1e-6)


# ---------------------------------------------------------------------------------------- layers


def test_layers_over_steps_with_their_peaks(runs, steps):
    (panel,) = drawing(runs["every"], "layers").panels
    heat = panel.heat
    assert [text for _, text in panel.ticks] == [f"dense_{i}" for i in range(4)]
    assert heat.values.shape == (4, 300)
    norms = np.sqrt(np.square(steps.norms.astype(np.float64)).reshape(STEPS, 4, 2).sum(axis=2))
    expected = norms.reshape(300, 10, 4).max(axis=1).T
    seen = ~np.isnan(expected)
    np.testing.assert_allclose(heat.values[seen], expected[seen], rtol=MAX_ERROR)
    assert heat.values[1, 10] == pytest.approx(1e5, rel=MAX_ERROR)
    assert np.isinf(heat.values[2, 200])
    assert np.isnan(heat.values[3, 100:150]).all()
    assert (heat.x_edges[0], heat.x_edges[1], heat.x_edges[-1]) == (0.5, 10.5, STEPS + 0.5)
    assert drawing(runs["every"], "layers").note == "grey: nothing logged; red: not finite"


@pytest.mark.parametrize("name", STATISTICS)
def test_every_statistic_of_the_table_can_be_drawn(runs, name):
    run = runs["full"]
    if np.isnan(run.statistic(name)).all():
        with pytest.raises(NothingToDrawError, match=name):
            drawing(run, "layers", statistic=name)
        return
    (panel,) = drawing(run, "layers", statistic=name).panels
    heat = panel.heat
    assert heat.label == STATISTICS[name].label
    table = run.statistic(name).astype(np.float64)
    if panel.label == "layer":
        table = np.sqrt(np.square(table).reshape(len(table), 4, 2).sum(axis=2))
    np.testing.assert_allclose(heat.values, table.T)
    low, high = heat.ends
    assert low < high
    assert all(low <= at <= high for at, _ in heat.ticks)
    assert len(heat.ticks) >= 2


# ------------------------------------------------------------------------------------- curvature


def test_the_largest_eigenvalue_with_its_error_against_the_limit(runs):
    run = runs["full"]
    (panel,) = drawing(run, "curvature").panels
    values, hollow, limit = panel.lines
    estimates = run["tbgrad/curvature"].values
    np.testing.assert_array_equal(values.y, [e.lambda_max.value for e in estimates])
    np.testing.assert_array_equal(values.error, [e.lambda_max.residual for e in estimates])
    assert hollow.x.tolist() == [600]  # the ones that have not converged
    assert (limit.label, limit.style) == ("limit of stability (2 + 2 β) / η", "limit")
    np.testing.assert_array_equal(limit.y, run.threshold.values)
    assert (panel.label, panel.low) == ("λmax", 0.0)


def test_an_adaptive_optimizer_is_compared_in_its_own_coordinates(runs):
    (panel,) = drawing(runs["adaptive"], "curvature").panels
    estimates = runs["adaptive"]["tbgrad/curvature"].values
    np.testing.assert_array_equal(panel.lines[0].y, [e.preconditioned.value for e in estimates])
    assert panel.label == "λmax in the optimizer's coordinates"


# --------------------------------------------------------------------------------- distributions


def test_shares_of_a_histogram_over_the_steps(runs):
    run, name = runs["full"], "dense_1/kernel"
    (panel,) = drawing(run, "distributions", parameter=name).panels
    heat = panel.heat
    assert panel.label == f"gradient of {name}"
    assert heat.values.shape[1] == len(run[HISTOGRAMS]) == 10
    np.testing.assert_allclose(heat.values.sum(axis=0), 1)
    found = run.histogram(name, 500)
    rows = dict(zip(heat.y_edges[:-1].tolist(), heat.values[:, 4], strict=True))
    ticks = {text: at for at, text in panel.ticks}
    assert ticks["0"] == 0
    middle = rows.pop(-0.5)
    outer = np.sort(np.array([share for share in rows.values() if share]))
    within = np.sort(found.counts[found.counts > 0] / found.size)[-len(outer) :]
    np.testing.assert_allclose(outer, within)
    assert middle == pytest.approx(1 - outer.sum())
    # An octave is one row: decades are log2(10) apart.
    powers = sorted(at for at, text in panel.ticks if text.startswith("10"))
    np.testing.assert_allclose(np.diff(powers) % np.log2(10), 0, atol=1e-9)


def test_what_is_beyond_the_bins_and_not_finite_is_not_lost(tmp_path):
    from tests.reading.test_questions import histogram_log

    histogram_log(tmp_path)
    (panel,) = drawing(tbgrad.read(tmp_path), "distributions", parameter="b").panels
    sums = panel.heat.values.sum(axis=0)
    np.testing.assert_allclose(sums, 508 / 510)  # but for two values
    assert panel.marks[0].label == "some not finite"
    assert panel.marks[0].x.tolist() == [1, 5, 9]


# ------------------------------------------------------------------------------------- bad input


def test_what_cannot_be_drawn_is_told_in_one_sentence(runs, tmp_path):
    every = runs["every"]
    for options, error, said in (
        ({"name": "lyers"}, ValueError, "no figure 'lyers'; did you mean 'layers'?"),
        ({"name": "loss", "tags": ["loss"]}, ValueError, "no figure 'loss'"),
        ({"name": "layers", "tags": ["loss"]}, ValueError, "tags is of the figure 'scalars'"),
        ({"tags": ["losss"]}, KeyError, "did you mean 'loss'"),
        ({"name": "layers", "statistic": "nrm"}, KeyError, "did you mean 'norm'"),
        ({"name": "curvature"}, NothingToDrawError, "curvature=tbgrad.Curvature"),
        ({"name": "distributions"}, NothingToDrawError, "one of dense_0/kernel, dense_0/bias"),
        ({"name": "distributions", "parameter": "x"}, KeyError, "no parameter 'x'"),
        ({"name": "distributions", "parameter": "dense_0/bias"}, NothingToDrawError, "histograms"),
    ):
        with pytest.raises(error) as raised:
            drawing(every, **options)
        assert said in raised.value.args[0]
    with pytest.raises(NothingToDrawError, match="there is no run"):
        drawing({})
    write_events(tmp_path / NAME, [event(1, 1.0, "accuracy")])
    with pytest.raises(NothingToDrawError, match="there are accuracy: choose with tags"):
        drawing(tbgrad.read(tmp_path))
    for asked in ({"tags": "accuracy"}, {"name": "accuracy"}):
        assert drawing(tbgrad.read(tmp_path), **asked).panels[0].label == "accuracy"


@pytest.mark.parametrize("name", FIGURES)
def test_logs_with_little_in_them(tmp_path, name):
    """One step, all of it not finite, is drawn or refused in a sentence."""
    run = {"nan": np.nan, "zero": 0.0, "one": 1.0}
    for text, value in run.items():
        values = [encode.scalar(LOSS, value), encode.scalar(GRADIENT_NORM, value)]
        write_events(tmp_path / text / NAME, [summary_event(1, *values)])
    parameter = "x" if name == "distributions" else None
    if name == "scalars":
        assert len(drawing(tbgrad.read(tmp_path), name).panels) == 2
    else:
        with pytest.raises((NothingToDrawError, KeyError)):
            drawing(tbgrad.read(tmp_path), name, parameter=parameter)


def test_numbers_on_axes_need_no_typesetting():
    texts = [shown(v) for v in (0.0, 0.02, -0.5, 1.0, 1500, 6.1e-5, -2e-12, 1e9)]
    assert texts == ["0", "0.02", "−0.5", "1", "1,500", "6.1×10⁻⁵", "−2×10⁻¹²", "1×10⁹"]
    heat = Heat("x", np.arange(2), np.arange(2.0), np.ones((1, 1)), 1e-9, 10.0, "log")
    assert [text for _, text in heat.ticks] == ["10⁻⁹", "10⁻⁷", "10⁻⁵", "10⁻³", "10⁻¹", "10¹"]
    texts = [text for _, text in replace(heat, low=0.013, high=0.02).ticks]
    assert texts == ["0.013", "0.02"]


# ------------------------------------------------------------------------------------- findings


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    directory = tmp_path_factory.mktemp("findings")
    write_findings(directory)
    return tbgrad.read(directory)


def test_lines_planes_and_critical_points_are_a_panel_each_with_axes_of_their_own(found):
    made = drawing(found, "landscape")
    panels = {panel.title: panel for panel in made.panels}
    names = "critical points", "line to seed1", "plane of the path"
    assert list(panels) == [f"seed0: {name}" for name in names]
    line, norm = made.panels[1:3]
    assert (line.label, norm.label) == ("loss", "gradient norm")
    np.testing.assert_allclose(line.lines[0].y, findings.line().loss, rtol=1e-12)
    assert made.x_labels[1] == line.x_label == "from these weights (0) to those (1)"
    plane, logged = panels["seed0: plane of the path"], findings.plane()
    np.testing.assert_allclose(plane.heat.values, logged.loss.T, rtol=1e-7)
    for axis, centres in zip(logged.axes, plane.heat.centres, strict=True):
        np.testing.assert_allclose(centres, axis.coordinates, atol=1e-12)
    assert len(plane.heat.levels) == plane.heat.contours > 0
    path = plane.lines[0]
    assert (path.x[0], path.y[0]) == pytest.approx(logged.path[0].place)
    points = panels["seed0: critical points"]
    assert [line.label for line in points.lines] == ["minimum", "saddle", "degenerate"]
    saddles = [point for point in findings.critical_points() if point.kind == "saddle"]
    np.testing.assert_allclose(points.lines[1].x, [point.loss for point in saddles])
    np.testing.assert_allclose(points.lines[1].error, 0.01)


def test_trajectories_are_those_of_the_analysis(found):
    told = tbgrad.analysis.trajectories(found)
    (panel,) = drawing(found, "trajectories").panels
    assert panel.square
    assert [line.label for line in panel.lines] == list(found)
    for line, path in zip(panel.lines, told.runs.values(), strict=True):
        np.testing.assert_array_equal(np.stack([line.x, line.y], axis=1), path.places)
    assert drawing(found, "trajectories", layer="out").panels[0].title == "out"


def test_what_was_not_found_is_said(found, runs):
    with pytest.raises(NothingToDrawError, match="nothing was logged of the surface"):
        drawing(runs, "landscape")
    with pytest.raises(NothingToDrawError, match="No run has a trajectory"):
        drawing(runs, "trajectories")
    with pytest.raises(NothingToDrawError, match="no layer 'dens'; there are dense, out"):
        drawing(found, "trajectories", layer="dens")
    with pytest.raises(KeyError, match="no finding 'plane'"):
        drawing(found, "landscape", finding="plane")
    with pytest.raises(NothingToDrawError, match="checks of the gradient alone"):
        drawing(found, "landscape", finding="gradient check")
