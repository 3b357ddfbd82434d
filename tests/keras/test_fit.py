"""What `GradientMonitor` logs in `model.fit`, against the same training in NumPy float64."""

import itertools

import numpy as np
import pytest

import tbgrad
from tests.keras.conftest import BATCH, MOMENTUM, RATE, STEPS, fit
from tests.support.numpy_network import hessian

pytestmark = pytest.mark.tensorflow

MODES = {
    "graph": {"jit_compile": False},
    "eager": {"run_eagerly": True},
    "xla, steps_per_execution": {"steps_per_execution": 5, "jit_compile": True},
}
EVERY, HISTOGRAMS_EVERY = 3, 6
LOGGED = [1, 3, 6, 9, 12, 15, 18, 21, 24]
AT = np.array(LOGGED) - 1


def column(run, name):
    return run.statistic(name).astype(np.float64)


@pytest.mark.parametrize("mode", MODES)
def test_the_log_equals_numpy(mode, tmp_path, batches, tiny_model, oracle):
    curvature = tbgrad.Curvature(data=batches, every=10, budget=None, samples=64, tol=1e-4)
    monitor = tbgrad.GradientMonitor(tmp_path, EVERY, HISTOGRAMS_EVERY, curvature)
    fit(tiny_model(**MODES[mode]), batches, [monitor])
    run = tbgrad.read(tmp_path)["."]
    assert run.damage == ()
    assert "tbgrad/notes" not in run
    assert [p.path for p in run.parameters] == [
        "hidden/kernel",
        "hidden/bias",
        "logits/kernel",
        "logits/bias",
    ]
    check_scalars(run, oracle)
    check_statistics(run, oracle)
    check_cosines(run, oracle)
    check_histograms(run, oracle)
    check_curvature(run, oracle, batches)


def windows():
    """Of each logged step, the steps since the one before."""
    return np.split(np.arange(STEPS), AT[:-1] + 1)


def check_scalars(run, oracle):
    norms = np.linalg.norm(oracle.norms(), axis=1)
    for tag, expected in {
        "loss": oracle.losses,
        "learning_rate": np.full(STEPS, RATE),
        "gradient/norm": norms,
    }.items():
        np.testing.assert_array_equal(run[tag].steps, np.arange(1, STEPS + 1), err_msg=tag)
        np.testing.assert_allclose(run[tag].values, expected, rtol=2e-5, err_msg=tag)
    np.testing.assert_allclose(run["tbgrad/steps"].values, oracle.norms(), rtol=2e-3)
    peaks = [norms[window].max() for window in windows()]
    np.testing.assert_array_equal(run["gradient/norm_max"].steps, LOGGED)
    np.testing.assert_allclose(run["gradient/norm_max"].values, peaks, rtol=2e-5)
    assert "gradient/clip_factor" not in run


def check_statistics(run, oracle):
    norms = oracle.norms()
    gradients = [oracle.gradients[i] for i in AT]
    changes = [
        [np.linalg.norm(a - b) for a, b in zip(oracle.after[i], oracle.before[i], strict=True)]
        for i in AT
    ]
    weights = [[np.linalg.norm(w) for w in oracle.before[i]] for i in AT]
    for name, expected, tolerance in [
        ("norm", norms[AT], 5e-5),
        ("norm_max", [norms[window].max(0) for window in windows()], 5e-5),
        ("mean", [[g.mean() for g in step] for step in gradients], 2e-4),
        ("std", [[g.std() for g in step] for step in gradients], 5e-5),
        ("abs_max", [[np.abs(g).max() for g in step] for step in gradients], 5e-5),
        ("zero_fraction", np.zeros_like(norms[AT]), 0),
        ("dead_fraction", np.zeros_like(norms[AT]), 0),
        ("nonfinite", np.zeros_like(norms[AT]), 0),
        ("weight_norm", weights, 5e-5),
        ("update_norm", changes, 2e-4),
    ]:
        expected = np.array(expected)
        atol = tolerance * np.abs(expected).max()
        np.testing.assert_allclose(
            column(run, name), expected, rtol=tolerance, atol=atol, err_msg=name
        )
    ratio = np.linalg.norm(changes, axis=1) / np.linalg.norm(weights, axis=1)
    np.testing.assert_allclose(run["update/ratio"].values, ratio, rtol=2e-4)


def check_cosines(run, oracle):
    cosines = [
        [
            np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)
            for a, b in zip(one, two, strict=True)
        ]
        for one, two in itertools.pairwise(oracle.gradients[i] for i in AT)
    ]
    assert np.isnan(column(run, "cosine")[0]).all()
    np.testing.assert_allclose(column(run, "cosine")[1:], cosines, atol=1e-3)


def check_histograms(run, oracle):
    histograms = run["tbgrad/histograms"]
    bins = run.manifest.histogram_bins
    np.testing.assert_array_equal(histograms.steps, [1, 6, 12, 18, 24])
    for step, counts in zip(histograms.steps, histograms.values, strict=True):
        for row, gradient in enumerate(oracle.gradients[step - 1]):
            values = gradient.ravel()
            expected = [
                ((values >= low) & (values < high)).sum()
                if low >= 0
                else ((values > low) & (values <= high)).sum()
                for low, high in bins.bounds
            ]
            assert counts[row].sum() == values.size
            # A value within float32 rounding of an edge may fall on either side of it.
            difference = counts[row, :-1] - np.array(expected)
            assert np.abs(difference).sum() <= 2
            native = run[f"gradient_histogram/{run.parameters[row].path}"]
            index = list(native.steps).index(step)
            buckets = native.values[index]
            assert buckets[:, 2].sum() == values.size
            assert np.abs(buckets[:, :2]).max() == pytest.approx(np.abs(values).max(), rel=1)


def check_curvature(run, oracle, batches):
    estimates = run["tbgrad/curvature"]
    assert estimates.steps[0] == 0
    assert estimates.steps[-1] == STEPS
    chosen = np.sort(np.random.default_rng(0).choice(BATCH * STEPS, 64, replace=False))
    x, labels = batches[0][chosen].astype(np.float64), batches[1][chosen]
    weights = [oracle.before[0], *oracle.after]
    for step, estimate in zip(estimates.steps, estimates.values, strict=True):
        exact = np.linalg.eigvalsh(hessian(weights[step], x, labels))
        for found, value in ((estimate.lambda_max, exact[-1]), (estimate.lambda_min, exact[0])):
            assert found.value == pytest.approx(value, abs=found.residual + 1e-4 * exact[-1])
            assert found.residual < 1e-3 * exact[-1]
        assert estimate.converged
        assert estimate.samples == 64
        threshold = (2 + 2 * MOMENTUM) / RATE
        assert estimate.stability_threshold == pytest.approx(threshold, rel=1e-5)
    stability = [e.lambda_max.value / e.stability_threshold for e in estimates.values]
    np.testing.assert_allclose(run["curvature/stability"].values, stability, rtol=1e-6)
