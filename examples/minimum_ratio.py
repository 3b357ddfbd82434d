"""Loss against minimum ratio: are points of low loss more like minima than those of high loss?

Many small networks learn sin(5 π x) / (5 π x) and stop early or late, at random. From where each
has come to, `find_critical_points` goes to where the gradient is almost zero. There the minimum
ratio, the share of the Hessian's eigenvalues that are positive, comes from the whole Hessian, and
beside it from its diagonal blocks alone, one a weight matrix or bias.

Look for: whether low losses go with high ratios, and how far the blocks are off. In the faces the
points are in the list of critical points. Read examples/minimum_ratio.md for what came of it.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tbgrad import hessian
from tbgrad.analysis import find_critical_points, log_analysis

INPUTS = np.linspace(0, 1, 256)[:, np.newaxis]
TARGETS = np.sinc(5 * INPUTS)


def network(width: int) -> keras.Model:
    """Of 1,086 weights at a width of 31, in float64: eigenvalues near zero need all digits."""
    layers = [keras.layers.Dense(width, "tanh", dtype="float64") for _ in range(2)]
    last = keras.layers.Dense(1, dtype="float64")
    model = keras.Sequential([keras.Input((1,), dtype="float64"), *layers, last])
    model.compile(keras.optimizers.Adam(3e-3), "mse", steps_per_execution=20)
    return model


def trained(count: int, width: int, longest: int) -> list[list[np.ndarray]]:
    """The weights that so many trainings came to, each from a start of its own."""
    whole = tf.data.Dataset.from_tensors((INPUTS, TARGETS)).repeat()
    ends = []
    for seed in range(count):
        keras.utils.set_random_seed(seed)
        model = network(width)
        steps = int(np.exp(np.random.default_rng(seed).uniform(np.log(20), np.log(longest))))
        model.fit(whole, steps_per_epoch=20 * (steps // 20), verbose=0)
        ends.append(model.get_weights())
        keras.backend.clear_session()
        print(f"\r{seed + 1} of {count} trained", end="", flush=True)
    print()
    return ends


def positive_shares(matrix: np.ndarray, shapes: list[tuple[int, ...]]) -> tuple[float, float]:
    """Share of positive eigenvalues of a matrix, and of its diagonal blocks alone.

    What is zero within rounding is not positive.
    """
    zero = 1e-12 * np.abs(matrix).max() * len(matrix)
    whole = np.linalg.eigvalsh(matrix)
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    pairs = itertools.pairwise(ends)
    blocks = np.concatenate([np.linalg.eigvalsh(matrix[a:b, a:b]) for a, b in pairs])
    return float((whole > zero).mean()), float((blocks > zero).mean())


def main() -> None:
    """Train, search, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logdir", nargs="?", default="runs/minimum_ratio", type=Path)
    parser.add_argument("--trainings", type=int, default=100)
    parser.add_argument("--width", type=int, default=31)
    parser.add_argument("--steps", type=int, default=4000, help="of the longest training")
    parser.add_argument("--products", type=int, default=4000, help="a search may take")
    options = parser.parse_args()

    starts = trained(options.trainings, options.width, options.steps)
    model = network(options.width)
    operator = hessian.HessianOperator(
        hessian.model_loss(model, INPUTS, TARGETS), model.trainable_variables
    )
    found = find_critical_points(operator, starts=starts, max_products=options.products)
    log_analysis(options.logdir, found, step=0)

    shapes = [array.shape for array in starts[0]]
    rows = []
    for point in found:
        model.set_weights(point.point)
        whole, blocks = positive_shares(hessian.matrix(operator, progress=False), shapes)
        rows.append((point.loss, point.gradient_norm, point.norms[0], whole, blocks))
        print(f"{point}\n  minimum ratio {whole:.3f}, of blocks {blocks:.3f}")
    header = "loss,gradient_norm,gradient_norm_before,minimum_ratio,minimum_ratio_of_blocks"
    np.savetxt(
        options.logdir / "minimum_ratio.csv", rows, delimiter=",", header=header, comments=""
    )
    print(f"tbgrad watch {options.logdir}; the table is {options.logdir / 'minimum_ratio.csv'}")


if __name__ == "__main__":
    main()
