"""Preconditioned thresholds against the optimizers themselves, iterated on a quadratic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
hessian = pytest.importorskip("tbgrad.hessian")

SHARPNESS = np.array([5.0, 0.2, 1.0])
START = 1e-12  # so small that its squares do not move the moments
SCALES = np.array([0.5, 2.0, 0.03])
SETTINGS = {
    "Adam": (keras.optimizers.Adam, {"beta_2": 1 - 1e-7}),
    "Adam, slow": (keras.optimizers.Adam, {"beta_1": 0.5, "beta_2": 1 - 1e-7}),
    "Adam, no mean": (keras.optimizers.Adam, {"beta_1": 0.0, "beta_2": 1 - 1e-7}),
    "AdamW": (keras.optimizers.AdamW, {"beta_2": 1 - 1e-7, "weight_decay": 0.8}),
    "AMSGrad": (keras.optimizers.Adam, {"amsgrad": True, "beta_2": 1 - 1e-7}),
    "RMSprop": (keras.optimizers.RMSprop, {"rho": 1 - 1e-7}),
    "RMSprop, momentum": (keras.optimizers.RMSprop, {"rho": 1 - 1e-7, "momentum": 0.7}),
    "RMSprop, centered": (keras.optimizers.RMSprop, {"rho": 1 - 1e-7, "centered": True}),
}


def after_an_update(kind: Any, settings: dict[str, Any], rate: float) -> tuple[Any, Any]:
    """An optimizer that holds its moments still from now on, far from their start at zero."""
    optimizer = kind(rate, **settings)
    w = keras.Variable(np.full(3, START), dtype="float64")
    optimizer.build([w])
    optimizer.iterations.assign(10**9)  # the bias corrections are done
    for name in ("_velocities", "_velocity_hats"):
        for squares in getattr(optimizer, name, ()):
            squares.assign(SCALES**2)
    return optimizer, w


def sizes(optimizer: Any, w: Any, curvature: np.ndarray) -> np.ndarray:
    """The largest weight after each of 300 steps of Keras' own optimizer on ½ Σ λᵢ wᵢ²."""

    @tf.function(autograph=False)
    def step() -> Any:
        optimizer.apply([tf.constant(curvature) * w.value], [w])
        return tf.reduce_max(tf.abs(w.value))

    return np.array([float(step()) for _ in range(300)])


@pytest.mark.parametrize("name", SETTINGS)
def test_the_optimizer_diverges_above_and_converges_below(name: str) -> None:
    kind, settings = SETTINGS[name]
    paths = {}
    for factor in (0.97, 1.03):
        optimizer, w = after_an_update(kind, settings, 0.01)
        found = hessian.preconditioner(optimizer, [w])
        np.testing.assert_allclose(found.diagonal, SCALES, rtol=1e-4)
        sharpest = (SHARPNESS / found.diagonal).max()
        if settings.get("weight_decay"):  # which bounds the product of rate and sharpness
            curvature = SHARPNESS * factor * found.threshold / sharpest
        else:
            optimizer.learning_rate = 0.01 * factor * found.threshold / sharpest
            curvature = SHARPNESS
            again = hessian.preconditioner(optimizer, [w])
            assert again.threshold == pytest.approx(sharpest / factor, rel=1e-6)
        paths[factor] = sizes(optimizer, w, curvature) / START
    assert paths[0.97].max() < 20
    assert paths[0.97][-20:].max() < 0.9
    assert paths[1.03].max() > 1e3  # until the squares feel it


def test_the_figure_of_the_paper() -> None:
    optimizer, w = after_an_update(keras.optimizers.Adam, {}, 0.01)
    found = hessian.preconditioner(optimizer, [w])
    assert found.threshold == pytest.approx(38 / 0.01)
    assert "(2+2β₁)/((1−β₁)η)" in found.formula


def test_early_steps_are_those_of_keras() -> None:
    """−η D⁻¹ m is the step that Keras makes, bias corrections and all."""
    for kind in (keras.optimizers.Adam, keras.optimizers.RMSprop):
        optimizer = kind(0.01)
        w = keras.Variable(np.ones(3), dtype="float64")
        for _ in range(3):
            before = w.numpy()
            gradient = SHARPNESS * before
            optimizer.apply([tf.constant(gradient)], [w])
        moment = optimizer._momentums[0].numpy() if kind is keras.optimizers.Adam else gradient
        found = hessian.preconditioner(optimizer, [w])
        np.testing.assert_allclose(w.numpy() - before, -0.01 * moment / found.diagonal, rtol=1e-4)


def test_the_preconditioned_operator_has_the_eigenvalues_of_the_quotient() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 6))
    a, diagonal = a + a.T, rng.uniform(0.1, 3, 6)
    w = tf.Variable(np.zeros((6, 1)))
    plain = hessian.HessianOperator(lambda: tf.reduce_sum(w * (a @ w)) / 2, [w])
    operator = hessian.PreconditionedOperator(plain, diagonal)
    expected = np.sort(np.linalg.eigvals(a / diagonal[:, None]).real)
    found = hessian.spectrum(operator).eigenvalues
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert plain.products == operator.products
    operator.precondition(2 * diagonal)
    np.testing.assert_allclose(hessian.spectrum(operator).eigenvalues, expected / 2, atol=1e-10)
    for wrong, sentence in ((np.ones(5), "shape"), (np.zeros(6), "above zero")):
        with pytest.raises(hessian.HessianError, match=sentence):
            operator.precondition(wrong)


def test_where_there_is_none() -> None:
    class Own(keras.optimizers.Adam):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            pass

    w, stranger = keras.Variable([1.0]), keras.Variable([1.0])
    for optimizer in (keras.optimizers.SGD(), keras.optimizers.Nadam(), Own()):
        optimizer.build([w])
        optimizer.iterations.assign(3)
        assert hessian.preconditioner(optimizer, [w]) is None
    adam = keras.optimizers.Adam()
    assert hessian.preconditioner(adam, [w]) is None  # not built
    adam.build([w])
    assert hessian.preconditioner(adam, [w]) is None  # no update yet
    adam.iterations.assign(3)
    assert hessian.preconditioner(adam, [w, stranger]) is None
    scaled = keras.optimizers.LossScaleOptimizer(adam)
    assert hessian.preconditioner(scaled, [w]).threshold == pytest.approx(38 / 0.001, rel=1e-5)
    adam.learning_rate = 0.0
    assert hessian.preconditioner(adam, [w]) is None
