"""What curvature costs along a training: eigenvalues, trace, and the training itself.

    python -m tests.benchmarks.curvature [--momentum 0.9] [--estimates 12] [--trainings 5]

Trains on scikit-learn's digits and estimates λmax every 50 steps on the same 256 samples with every
method. The truth is ARPACK at 1e-8 on a float64 twin of the model. "products" is where the method
stops by its own rule, "to 1 %" the first product at which its value is within 1 % of the truth,
"wrong" how many answers that were reported as converged are off by more than 1 %. Seconds come from
whatever else the machine does: take them as ratios.

Then the trace to 5 % at the same weights, by Hutch++ and by Hutchinson; and whole trainings with
and without `tbgrad.Curvature` at its defaults, in turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.ndimage import zoom
from scipy.sparse.linalg import eigsh
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

import tbgrad
from tbgrad.hessian import HessianOperator, eigenvalues, model_loss, trace

TOLERANCE = 1e-2
SAMPLES, BATCH, STEPS = 256, 64, 50


@dataclass
class Rows:
    """What one method did at each estimate."""

    products: list[int] = field(default_factory=list)
    to_one_percent: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    converged: list[bool] = field(default_factory=list)
    within: list[bool] = field(default_factory=list)


def mlp_2722() -> tuple[Any, Any]:
    inputs = keras.Input((64,))
    return digits(), keras.Model(inputs, dense(inputs, 12, 84))


def mlp_16750() -> tuple[Any, Any]:
    images = zoom(digits().reshape(-1, 8, 8), (1, 3.5, 3.5), order=1).reshape(-1, 784)
    inputs = keras.Input((784,))
    return images, keras.Model(inputs, dense(inputs, 20, 20, 20))


def cnn_21546() -> tuple[Any, Any]:
    x = inputs = keras.Input((8, 8, 1))
    for filters in (16, 32):
        x = keras.layers.Conv2D(filters, 3, activation="relu")(x)
    x = keras.layers.Dense(32, activation="relu")(keras.layers.Flatten()(x))
    return digits().reshape(-1, 8, 8, 1), keras.Model(inputs, keras.layers.Dense(10)(x))


def transformer() -> tuple[Any, Any]:
    """Two blocks of width 32 with two heads; the rows of a picture are the tokens."""
    layers = keras.layers
    inputs = keras.Input((8, 8))
    x = layers.Dense(32)(inputs)
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 16)(y, y)])
        y = layers.Dense(64, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(32)(y)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return digits().reshape(-1, 8, 8), keras.Model(inputs, layers.Dense(10)(x))


MODELS = (mlp_2722, mlp_16750, cnn_21546, transformer)


def digits() -> Any:
    return (load_digits().data / 16).astype(np.float32)


def dense(x: Any, *widths: int) -> Any:
    for width in widths:
        x = keras.layers.Dense(width, activation="tanh")(x)
    return keras.layers.Dense(10)(x)


def build(make: Callable[[], tuple[Any, Any]], dtype: str, momentum: float) -> tuple[Any, Any, Any]:
    """The images, the compiled model and the Hessian of its loss on the probe batch."""
    keras.config.set_floatx(dtype)
    keras.utils.set_random_seed(1)
    x, model = make()
    model.compile(
        keras.optimizers.SGD(0.1, momentum=momentum),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    loss = model_loss(model, x[:SAMPLES], load_digits().target[:SAMPLES])
    operator = HessianOperator(loss, model.trainable_variables)
    operator.prepare()
    keras.config.set_floatx("float32")
    return x, model, operator


def weights_along_training(x: Any, model: Any, estimates: int) -> Iterator[list[Any]]:
    y, rng = load_digits().target, np.random.default_rng(0)
    yield model.get_weights()
    for _ in range(estimates):
        for _ in range(STEPS):
            batch = rng.choice(len(x), BATCH)
            model.train_on_batch(x[batch], y[batch])
        yield model.get_weights()


def arpack(operator: HessianOperator, tol: float, which: str) -> float:
    start = np.random.default_rng(0).standard_normal(operator.size).astype(operator.dtype)
    found = eigsh(
        operator.as_scipy(), k=1, which=which, tol=tol, v0=start, return_eigenvectors=False
    )
    return float(found[0])


def power_iteration(operator: HessianOperator, seed: int) -> tuple[list[float], bool]:
    """Rayleigh quotients until the relative change is below 1e-3, as in PyHessian and Cockpit."""
    v = np.random.default_rng(seed).standard_normal(operator.size)
    quotients: list[float] = []
    for _ in range(100):
        v /= np.linalg.norm(v)
        product = operator.product(v)
        quotients.append(float(v @ product))
        v = product.astype(np.float64)
        if len(quotients) > 1:
            old, new = quotients[-2:]
            if abs(new - old) / (abs(old) + 1e-6) < 1e-3:
                return quotients, True
    return quotients, False


def first_within(values: Iterator[float], truth: float) -> float:
    """The number of products at which a value is first within 1 % of the truth."""
    for count, value in enumerate(values, start=1):
        if abs(value - truth) <= TOLERANCE * abs(truth):
            return count
    return np.inf


def measure(
    operator: HessianOperator, twin: HessianOperator, seed: int, rows: dict[str, Rows], state: Any
) -> None:
    truth = {"LA": arpack(twin, 1e-8, "LA"), "SA": arpack(twin, 1e-8, "SA")}

    def note(
        name: str, begun: float, before: int, value: float, converged: bool, within: bool
    ) -> None:
        row = rows.setdefault(name, Rows())
        row.seconds.append(time.perf_counter() - begun)
        row.products.append(operator.products - before)
        row.errors.append(abs(value - truth["LA"]) / abs(truth["LA"]))
        row.converged.append(converged)
        row.within.append(within)

    for name in ("ours, cold", "ours, warm"):
        start = state.get("LA") if name == "ours, warm" else None
        begun, before = time.perf_counter(), operator.products
        found = eigenvalues(operator, tol=TOLERANCE, start=start, seed=seed)
        within = abs(found.values[0] - truth["LA"]) <= found.residuals[0]
        note(name, begun, before, float(found.values[0]), found.converged, bool(within))
        cut_short = (
            float(eigenvalues(operator, tol=1e-9, start=start, seed=seed, max_products=p).values[0])
            for p in range(1, 40)
        )
        rows[name].to_one_percent.append(first_within(cut_short, truth["LA"]))
    state["LA"] = found.vectors

    begun, before = time.perf_counter(), operator.products
    value = arpack(operator, TOLERANCE, "LA")
    note("eigsh, tol 1e-2", begun, before, value, True, abs(value / truth["LA"] - 1) <= TOLERANCE)

    begun, before = time.perf_counter(), operator.products
    quotients, stopped = power_iteration(operator, seed)
    value = quotients[-1]
    right = abs(value / truth["LA"] - 1) <= TOLERANCE
    note("power iteration", begun, before, value, stopped, right)
    rows["power iteration"].to_one_percent.append(first_within(iter(quotients), truth["LA"]))

    for name in ("ours, both ends, cold", "ours, both ends, warm"):
        start = state.get("BE") if name.endswith("warm") else None
        begun, before = time.perf_counter(), operator.products
        found = eigenvalues(operator, k=2, which="BE", tol=TOLERANCE, start=start, seed=seed)
        errors = np.abs(found.values - [truth["LA"], truth["SA"]])
        within = bool((errors <= found.residuals).all())
        note(name, begun, before, float(found.values[0]), found.converged, within)
    state["BE"] = found.vectors


def trace_products(operator: HessianOperator, seed: int, spent: dict[str, list[int]]) -> None:
    """Products until the standard error of the trace is 5 %, by both methods."""
    for method in ("hutch++", "hutchinson"):
        found = trace(operator, method=method, seed=seed, max_products=2000)
        spent.setdefault(method, []).append(found.hvps)


def training_ratios(pairs: int) -> list[float]:
    """Whole trainings of the larger MLP with curvature over those without, side by side."""
    x, y = mlp_16750()[0], load_digits().target

    def seconds(curvature: tbgrad.Curvature | None) -> float:
        keras.utils.set_random_seed(1)
        _, model = mlp_16750()
        model.compile(
            keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        with tempfile.TemporaryDirectory() as logdir:
            monitor = tbgrad.GradientMonitor(logdir, every=100, curvature=curvature)
            begun = time.perf_counter()
            model.fit(x, y, batch_size=32, epochs=300, verbose=0, callbacks=[monitor])
            return time.perf_counter() - begun

    seconds(None)  # whatever is done only once in a process
    found = []
    for _ in range(pairs):
        without = seconds(None)
        found.append(seconds(tbgrad.Curvature(data=(x, y))) / without)
    return found


def product_over_gradient(operator: HessianOperator, pairs: int = 60) -> tuple[float, float]:
    """Median ratio of paired, interleaved timings, and the median product in ms."""
    vector = np.random.default_rng(0).standard_normal(operator.size)
    timings = []
    for _ in range(pairs):
        t0 = time.perf_counter()
        operator.loss_and_gradient()
        t1 = time.perf_counter()
        operator.product(vector)
        timings.append((t1 - t0, time.perf_counter() - t1))
    gradient, product = np.array(timings[5:]).T
    return float(np.median(product / gradient)), float(1e3 * np.median(product))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--estimates", type=int, default=12)
    parser.add_argument("--trainings", type=int, default=5)
    arguments = parser.parse_args()

    columns = "model|method|products: median|max|to 1 %: median|max|error: worst|wrong|within|ms"
    table = Table(
        *columns.split("|"),
        title=f"λmax to 1 % every {STEPS} steps, SGD 0.1, momentum {arguments.momentum:g}",
    )
    ratios, traces = [], []
    for make in MODELS:
        x, model, operator = build(make, "float32", arguments.momentum)
        _, twin_model, twin = build(make, "float64", arguments.momentum)
        rows: dict[str, Rows] = {}
        state: dict[str, Any] = {}
        spent: dict[str, list[int]] = {}
        for seed, weights in enumerate(weights_along_training(x, model, arguments.estimates)):
            twin_model.set_weights(weights)
            measure(operator, twin, seed, rows, state)
            model.set_weights(weights)
            trace_products(operator, seed, spent)
        for name, row in rows.items():
            if name.endswith("warm"):  # the first has nothing to start from
                row = Rows(*(values[1:] for values in vars(row).values()))
            wrong = np.array(row.converged) & (np.array(row.errors) > TOLERANCE)
            goal = row.to_one_percent
            table.add_row(
                make.__name__,
                name,
                f"{np.median(row.products):g}",
                f"{max(row.products)}",
                f"{np.median(goal):g}" if goal else "",
                f"{max(goal):g}" if goal else "",
                f"{100 * max(row.errors):.2g} %",
                f"{wrong.sum()} of {len(wrong)}",
                f"{sum(row.within)} of {len(row.within)}",
                f"{1e3 * np.median(row.seconds):.0f}",
            )
        table.add_section()
        ratio, product = product_over_gradient(operator)
        ratios.append(
            f"{make.__name__}: {ratio:.2f} gradients ({product:.2f} ms, {operator.method})"
        )
        ours, plain = np.array(spent["hutch++"]), np.array(spent["hutchinson"])
        traces.append(
            f"{make.__name__}: {np.median(ours):g} against {np.median(plain):g} products, "
            f"ratio {np.median(ours / plain):.2f}"
        )
    console = Console(width=150)
    console.print(table)
    console.print(f"A Hessian–vector product costs: {'; '.join(ratios)}")
    console.print(f"The trace to 5 %, Hutch++ against Hutchinson: {'; '.join(traces)}")
    if arguments.trainings:
        found = training_ratios(arguments.trainings)
        console.print(
            f"A training with curvature at its defaults over one without: "
            f"{np.median(found):.3f} ({min(found):.2f}–{max(found):.2f}, {len(found)} pairs)"
        )


if __name__ == "__main__":
    # Two BLAS thread pools beside TensorFlow's would time one another, to ARPACK's disadvantage.
    with threadpool_limits(1, "blas"):
        main()
