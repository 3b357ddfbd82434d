"""What people ask of a run, held against NumPy: layers, histograms, alerts, extremes, tables."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest

import tbgrad
from tbgrad.commands.main import main
from tbgrad.log import encode
from tbgrad.log.batches import Batches
from tbgrad.log.norm_codes import MAX_ERROR
from tbgrad.log.records import Eigenvalue, HistogramBins, Manifest, Parameter
from tbgrad.log.share import Share
from tbgrad.log.statistics import STATISTICS
from tbgrad.log.tags import GRADIENT_NORM, LAMBDA_MAX, LOSS
from tbgrad.reading.columns import Limits
from tests.reading.test_run import summary_event
from tests.support.events import NAME, write_events
from tests.support.logs import manifest, write_run
from tests.support.steps import StepWriter, synthetic
from tests.support.values import ALERT, ESTIMATE

ROWS = 8


def rooted(norms: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(norms.astype(np.float64)).sum(axis=1))


# ---------------------------------------------------------------------------------------- layers


def test_the_norm_of_a_layer_at_every_step(tmp_path):
    steps = synthetic(1003, ROWS)
    steps.norms[10, 2] = np.nan  # no gradient of the kernel
    steps.norms[11, 2:4] = np.nan
    steps.norms[12, 3] = np.inf
    with StepWriter(tmp_path / "a") as writer:
        writer.write(steps)
    run = tbgrad.read(tmp_path)["a"]
    layer = run.layer("dense_1")
    assert layer.parameters == ("dense_1/kernel", "dense_1/bias")
    np.testing.assert_array_equal(layer.norm.steps, np.arange(1, 1004))
    expected = rooted(np.nan_to_num(steps.norms[:, 2:4], posinf=np.inf))
    expected[11] = np.nan
    np.testing.assert_allclose(layer.norm.values, expected, rtol=MAX_ERROR)
    np.testing.assert_array_equal(layer.statistic("norm"), run.statistic("norm")[:, 2:4])
    layers = [run.layer(f"dense_{i}").norm.values for i in range(4)]
    whole = run[GRADIENT_NORM].values
    np.testing.assert_allclose(rooted(np.array(layers).T)[20:], whole[20:], rtol=MAX_ERROR)


def test_bounds_of_the_norm_of_a_layer_where_steps_are_merged(tmp_path):
    steps = synthetic(5000, ROWS)
    with StepWriter(tmp_path / "a") as writer:
        writer.write(steps)
    run = tbgrad.read(tmp_path, bounded=Limits(scalars=64, norms=(64, 64)))["a"]
    norm = run.layer("dense_1").norm
    whole = norm.buckets
    assert whole is not None
    true = rooted(steps.norms[:, 2:4])
    for i in range(len(whole)):
        inside = true[whole.first_steps[i] - 1 : whole.last_steps[i]]
        assert whole.minimum[i] <= inside.min() * (1 + MAX_ERROR)
        assert whole.maximum[i] >= inside.max() * (1 - MAX_ERROR)
        assert whole.last[i] == pytest.approx(inside[-1], rel=MAX_ERROR)


def test_the_norm_of_a_layer_where_only_some_steps_are_logged(tmp_path):
    write_run(tmp_path, steps=100)
    run = tbgrad.read(tmp_path)["."]
    norm = run.layer("dense_3").norm
    assert norm.steps.tolist() == list(range(10, 101, 10))
    np.testing.assert_allclose(norm.values, rooted(run.statistic("norm")[:, 6:8]))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda run: run.layer("dens_1"), "no layer 'dens_1'; did you mean 'dense_1'"),
        (lambda run: run.layer("x"), "no layer 'x'; there are dense_0, dense_1, dense_2, dense_3"),
        (lambda run: run.norm("dense_1/kernl"), "did you mean 'dense_1/kernel'"),
        (lambda run: run.histogram("dense_1/kernl"), "did you mean 'dense_1/kernel'"),
        (lambda run: run.smallest("gradient/nrm"), "no series 'gradient/nrm'; did you mean"),
        (lambda run: run.to_pandas("tbgrad/step"), "no series 'tbgrad/step'"),
        (lambda run: run.statistic("zero_frction"), "did you mean 'zero_fraction'"),
    ],
)
def test_a_wrong_name_is_told_the_right_ones(tmp_path, asked, said):
    write_run(tmp_path, steps=100)
    with pytest.raises(KeyError) as error:
        asked(tbgrad.read(tmp_path)["."])
    assert said in error.value.args[0]


def test_help_lists_the_statistics():
    said = inspect.getdoc(tbgrad.Run.statistic)
    assert all(f"- `{one.name}`: {one.meaning}" in said for one in STATISTICS.values())


# ------------------------------------------------------------------------------------ histograms

BINS = HistogramBins.powers_of_two(-6, 3)


def packed(sample: np.ndarray) -> np.ndarray:
    """The columns of a sample, each counted on its own by its definition."""
    finite = sample[np.isfinite(sample)]
    counts = []
    for left, right in BINS.bounds:
        if left == right:
            counts.append((finite == 0).sum())
        elif left >= 0:
            counts.append(((finite >= left) & (finite < right) & (finite > 0)).sum())
        else:
            counts.append(((finite > left) & (finite <= right) & (finite < 0)).sum())
    return np.array([*counts, len(sample) - len(finite)], np.int32)


def samples() -> dict[int, np.ndarray]:
    rng = np.random.default_rng(0)
    special = [0, 0, 0, 1e-9, -1e-9, 100, -100, -1000, np.nan, np.inf]
    return {s: np.concatenate([rng.standard_normal(500) / s, special]) for s in (1, 5, 9)}


def histogram_log(directory) -> None:
    def named(*paths: str) -> Manifest:
        rows = tuple(Parameter(p, p, (510,), 510, "float32", "other") for p in paths)
        return Manifest(rows, histogram_bins=BINS)

    taken = {step: packed(sample) for step, sample in samples().items()}
    events = [
        summary_event(0, encode.manifest(named("a", "b"))),
        summary_event(1, encode.histograms(np.stack([taken[1], taken[9]]))),
        summary_event(5, encode.histograms(np.stack([taken[5], taken[9]]))),
        summary_event(6, encode.manifest(named("b"))),
        summary_event(9, encode.histograms(np.stack([taken[9]]))),
    ]
    write_events(directory / NAME, events)


def test_a_histogram_against_numpy(tmp_path):
    histogram_log(tmp_path)
    run = tbgrad.read(tmp_path)["."]
    for asked, step in ((1, 1), (4, 1), (5, 5), (8, 5), (9, 5), (None, 5)):
        found = run.histogram("a", asked)
        assert (found.parameter, found.step) == ("a", step)  # 9 does not have it any more
        sample = samples()[step]
        edges = np.concatenate([-(2.0 ** np.arange(3, -7, -1)), 2.0 ** np.arange(-6, 4)])
        np.testing.assert_array_equal(found.edges, edges)
        counts, _ = np.histogram(sample[np.isfinite(sample)], edges)
        np.testing.assert_array_equal(found.counts, counts)
        tiny = (np.abs(sample) < 2.0**-6) & (sample != 0)
        assert (found.zero, found.underflow) == (3, tiny.sum())
        assert (found.overflow, found.nonfinite, found.size) == (3, 2, len(sample))
    assert run.histogram("b").step == 9


def test_a_histogram_that_is_not_there(tmp_path):
    histogram_log(tmp_path / "a")
    write_events(tmp_path / "b" / NAME, [summary_event(0, encode.manifest(manifest()))])
    runs = tbgrad.read(tmp_path)
    with pytest.raises(ValueError, match="step 0 is before the first histogram of 'a', of step 1"):
        runs["a"].histogram("a", 0)
    with pytest.raises(ValueError, match=r"run 'b' has no histograms.*histograms_every"):
        runs["b"].histogram("dense_0/kernel")


# ------------------------------------------------------------------------- extremes, thresholds


def test_extremes_know_their_epoch_and_loss_and_pass_over_short_batches(tmp_path, capsys):
    steps = synthetic(400, ROWS)
    short = np.arange(400) % 40 == 39
    steps.scalars[GRADIENT_NORM][short] *= 1e-3
    batches = (Batches(1, batch_size=32, samples=31 + 32 * 39, steps_per_epoch=40),)
    with StepWriter(tmp_path / "a", manifest=replace(manifest(), batches=batches)) as writer:
        writer.write(steps)
    run = tbgrad.read(tmp_path)["a"]
    norms = np.where(short, np.nan, steps.scalars[GRADIENT_NORM])
    for found, order in (
        (run.smallest(GRADIENT_NORM, 5), np.argsort(norms)),
        (run.largest(GRADIENT_NORM, 5), np.argsort(-norms)),
    ):
        for one, at in zip(found, order.tolist(), strict=False):
            assert one.step == at + 1
            assert one.value == norms[at]
            assert one.epoch == at // 40 + 1
            assert one.loss == steps.scalars[LOSS][at]
    assert run[GRADIENT_NORM].smallest()[0].step % 40 == 0  # a series knows no batches
    assert main(["report", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["runs"]["a"]["extremes"]["smallest"]
    assert [(one["step"], one["loss"]) for one in told] == [
        (one.step, one.loss) for one in run.smallest(GRADIENT_NORM, 3)
    ]
    with pytest.raises(ValueError, match="count is at least 1, not 0"):
        run.smallest(LOSS, 0)
    with pytest.raises(ValueError, match="only numbers have extremes"):
        run.smallest("tbgrad/parameters")


def curvature_log(directory) -> list:
    estimates = [
        replace(ESTIMATE, minimum_ratio=Share(0.5, 0.4, 0.6), trace=7.0, trace_error=0.5),
        replace(ESTIMATE, stability_threshold=None, threshold_formula=""),
        replace(ESTIMATE, stability_threshold=40.0, preconditioned=Eigenvalue(36.0, 2.0)),
    ]
    events = [
        summary_event(
            10 * i, encode.curvature(one), encode.scalar(LAMBDA_MAX, one.lambda_max.value)
        )
        for i, one in enumerate(estimates)
    ]
    write_events(directory / NAME, events)
    return estimates


def test_the_threshold_of_stability_is_a_series(tmp_path):
    curvature_log(tmp_path / "a")
    write_run(tmp_path / "b", steps=100)
    runs = tbgrad.read(tmp_path)
    assert runs["a"].threshold.steps.tolist() == [0, 20]
    assert runs["a"].threshold.values.tolist() == [76.0, 40.0]
    assert len(runs["b"].threshold) == 0


# ---------------------------------------------------------------------------- alerts and tables


@pytest.fixture
def alerted(tmp_path):
    """Alerts that were told several times, one of them closed by now."""
    open_one = replace(ALERT, rule="frozen_parameter", first_step=50, last_step=60)
    events = [
        summary_event(0, encode.manifest(replace(manifest(), rules=("dead_units",)))),
        summary_event(20, encode.alerts([replace(ALERT, last_step=20)])),
        summary_event(60, encode.alerts([replace(ALERT, last_step=60), open_one])),
        summary_event(90, encode.alerts([replace(ALERT, state="closed")])),
    ]
    write_events(tmp_path / NAME, events)
    return tmp_path


def test_each_alert_once_as_the_report_has_it(alerted, capsys):
    run = tbgrad.read(alerted)["."]
    assert [(one.rule, one.state, one.last_step) for one in run.alerts] == [
        ("dead_units", "closed", 90),  # of which the other follows
        ("frozen_parameter", "open", 60),
    ]
    assert main(["report", str(alerted), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["runs"]["."]["alerts"]
    assert [(one["rule"], one["first_step"], one["state"], one["evidence"]) for one in told] == [
        (one.rule, one.first_step, one.state, one.evidence) for one in run.alerts
    ]


def test_tables_of_alerts_curvature_and_histograms(alerted, tmp_path):
    alerts = tbgrad.read(alerted)["."].to_pandas("tbgrad/alerts")
    assert alerts["rule"].tolist() == ["dead_units", "frozen_parameter"]
    assert alerts["parameters"].tolist() == [("dense/kernel",)] * 2

    curvature_log(tmp_path / "c")
    table = tbgrad.read(tmp_path / "c")["."].to_pandas("tbgrad/curvature")
    assert table.index.tolist() == [0, 10, 20]
    first, last = table.iloc[0], table.iloc[2]
    assert (first.lambda_max, first.lambda_max_error, first.lambda_min) == (70.0, 1.4, -1.5)
    assert (first.trace, first.trace_error, first.minimum_ratio_high) == (7.0, 0.5, 0.6)
    assert (first.hvps, first.seconds, first.converged) == (9, 0.25, True)
    assert table.stability_threshold.tolist()[::2] == [76.0, 40.0]
    assert (last.preconditioned, last.preconditioned_error, last.stability) == (36.0, 2.0, 0.9)
    assert np.isnan(
        table.iloc[1][["preconditioned", "stability_threshold", "trace"]].tolist()
    ).all()

    histogram_log(tmp_path / "h")
    run = tbgrad.read(tmp_path / "h")["."]
    table = run.to_pandas("tbgrad/histograms")
    found = table[(table.step == 5) & (table.parameter == "a")]
    assert found["count"].sum() == run.histogram("a", 5).size
    assert found[(found.left == 0) & (found.right == 0)]["count"].tolist() == [3]
    assert found[found.left.isna()]["count"].tolist() == [2]
    inside = found[(found.left >= 2.0**-6) & np.isfinite(found.right)]
    histogram = run.histogram("a", 5)
    for left, count in zip(inside.left, inside["count"], strict=True):
        assert histogram.counts[histogram.edges.tolist().index(left)] == count
