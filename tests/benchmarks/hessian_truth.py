"""Curvature against the truth: values, stated bounds, how often they hold, and products spent.

    python -m tests.benchmarks.hessian_truth [--seeds 100] [--only digits]

The truth is the whole matrix of a float64 twin of each net at the same weights, which for the small
ones is held against differences of the gradient first ("matrix off"). Everything else is computed
as users do, in float32 and at the defaults, from random vectors of so many seeds: the largest and
the smallest eigenvalue with their bounds, the trace with its standard error, the share of
eigenvalues above zero with its interval. Where PyTorch with pyhessian and curvlinops is installed,
they are asked for the same nets.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from tbgrad import hessian
from tests.benchmarks.hessian_peers import answers
from tests.hessian.differences import differenced
from tests.support.precision import precision

layers = keras.layers
Net = tuple[Any, Any, Any]
DIFFERENCES_UP_TO = 300


def normalised() -> Net:
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(7, "tanh"), layers.LayerNormalization(), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    return model, rng.normal(size=(40, 3)), rng.normal(size=(40, 1))


def transformer() -> Net:
    rng = np.random.default_rng(0)
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 2)(x, x))
    x = layers.LayerNormalization()(x + layers.Dense(4)(layers.Dense(5, "gelu")(x)))
    model = keras.Model(tokens, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, rng.integers(0, 7, (60, 5)), rng.integers(0, 3, 60)


def function_fit() -> Net:
    """One input, 1,090 parameters: the function fit of deep-learning courses."""
    widths = (10, 18, 24, 13, 7)
    model = keras.Sequential(
        [keras.Input((1,)), *(layers.Dense(width, "tanh") for width in widths), layers.Dense(1)]
    )
    x = np.linspace(0.01, 1, 256)[:, None]
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    return model, x, np.sinc(5 * x)


def digits() -> Net:
    """2,722 parameters on 256 pictures of handwritten digits."""
    data = load_digits()
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(12, "relu"),
            layers.Dense(84, "relu"),
            layers.Dense(10),
        ]
    )
    model.compile(
        keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model, data.data[:256] / 16, data.target[:256]


NETS: dict[str, Callable[[], Net]] = {
    "Dense-LayerNorm-Dense": normalised,
    "transformer": transformer,
    "function fit": function_fit,
    "digits MLP": digits,
}


class Case:
    """A trained net in float32, its operator, and the spectrum of its twin in float64."""

    def __init__(self, make: Callable[[], Net]) -> None:
        keras.utils.set_random_seed(1)
        self.model, self.x, self.y = make()
        self.model.fit(self.x, self.y, epochs=30, batch_size=64, verbose=0)
        with precision("float64"):
            wide, x, y = make()
            wide.set_weights([w.astype(np.float64) for w in self.model.get_weights()])
            loss = hessian.model_loss(wide, x, y)
            matrix = hessian.matrix(loss, wide.trainable_variables)
            self.off = np.nan
            if len(matrix) <= DIFFERENCES_UP_TO:
                true = differenced(loss, wide.trainable_variables)
                self.off = float(np.linalg.norm(matrix - true) / np.linalg.norm(true))
        self.true = np.linalg.eigvalsh(matrix)
        loss = hessian.model_loss(self.model, self.x, self.y)
        self.operator = hessian.HessianOperator(loss, self.model.trainable_variables)
        self.operator.prepare()


def eigenvalues(case: Case, table: Table, name: str, seeds: int) -> None:
    for which, true in (("LA", case.true[-1]), ("SA", case.true[0])):
        found = [
            hessian.eigenvalues(case.operator, which=which, seed=seed, progress=False)
            for seed in range(seeds)
        ]
        errors = np.array([abs(f.values[0] - true) for f in found])
        bounds = np.array([f.residuals[0] for f in found])
        add(
            table,
            name,
            "λmax" if which == "LA" else "λmin",
            true,
            [f.values[0] for f in found],
            bounds,
            errors <= bounds,
            [f.hvps for f in found],
        )


def traces(case: Case, table: Table, name: str, seeds: int) -> None:
    true = case.true.sum()
    found = [hessian.trace(case.operator, seed=seed, progress=False) for seed in range(seeds)]
    errors = np.array([abs(f.value - true) for f in found])
    bounds = np.array([f.standard_error for f in found])
    values, hvps = [f.value for f in found], [f.hvps for f in found]
    for words, times in (("trace, one standard error", 1), ("trace, two", 2)):
        add(table, name, words, true, values, times * bounds, errors <= times * bounds, hvps)


def shares(case: Case, table: Table, name: str, seeds: int) -> None:
    held, values, widths, products, true = [], [], [], [], []
    for seed in range(seeds):
        found = hessian.spectral_density(case.operator, seed=seed, progress=False)
        share, exact = found.minimum_ratio, float(np.mean(case.true > found.zero))
        held.append(share.low <= exact <= share.high)
        values.append(share.value)
        widths.append(share.high - share.low)
        products.append(found.hvps)
        true.append(exact)
    add(table, name, "minimum ratio", np.mean(true), values, np.array(widths) / 2, held, products)


def add(
    table: Table, name: str, what: str, true: Any, values: Any, bounds: Any, held: Any, hvps: Any
) -> None:
    table.add_row(
        name,
        what,
        f"{true:.5g}",
        f"{np.median(values):.5g}",
        f"{np.median(bounds):.2g}",
        f"{np.max(np.abs(np.array(values) - true)):.2g}",
        f"{np.mean(held):.0%}",
        f"{np.median(hvps):.0f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    console = Console(width=140)
    table = Table("net", "what", "truth", "value", "± bound", "worst error", "held", "products")
    with threadpool_limits(1, "blas"):
        for name, make in NETS.items():
            if arguments.only not in name:
                continue
            case = Case(make)
            off = "" if np.isnan(case.off) else f", matrix off by {case.off:.1e}"
            method = case.operator.method
            console.print(f"{name}: {case.operator.size:,} parameters{off}; {method}")
            eigenvalues(case, table, name, arguments.seeds)
            traces(case, table, name, arguments.seeds)
            shares(case, table, name, max(arguments.seeds // 4, 4))
            peers(case, table, name)
    console.print(table)


def peers(case: Case, table: Table, name: str) -> None:
    """What PyHessian and curvlinops say of the same net, where they are installed."""
    for what, value, true, products in answers(case):
        table.add_row(
            name,
            what,
            f"{true:.5g}",
            f"{value:.5g}",
            "-",
            f"{abs(value - true):.2g}",
            "-",
            products,
        )


if __name__ == "__main__":
    main()
