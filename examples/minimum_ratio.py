"""Loss against minimum ratio: are points of low loss more like minima than those of high loss?

Small networks (1,086 weights) learn sin(5 π x) / (5 π x) and stop early or late, at random. From
where each has come to, `find_critical_points` goes to where the gradient is almost zero. There the
minimum ratio, the share of the Hessian's eigenvalues that are positive, comes from the whole
Hessian, and beside it from its diagonal blocks alone, one a kernel or bias.

What to look for: whether low losses go with high ratios, and how far the blocks are off. What came
of a hundred trainings is in examples/minimum_ratio.md; here are eight, in three minutes. The points
are a table in both faces (terminal: `8`; tab: Landscape).
"""

import argparse
import itertools
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tbgrad import analysis, hessian

INPUTS = np.linspace(0, 1, 256)[:, np.newaxis]
TARGETS = np.sinc(5 * INPUTS)
COLUMNS = "loss,gradient_norm,gradient_norm_before,minimum_ratio,minimum_ratio_of_blocks"


def network(width):
    """In float64, as what is near zero takes all digits."""
    layers = [keras.layers.Dense(width, "tanh", dtype="float64") for _ in range(2)]
    last = keras.layers.Dense(1, dtype="float64")
    model = keras.Sequential([keras.layers.Input((1,), dtype="float64"), *layers, last])
    model.compile(keras.optimizers.Adam(3e-3), "mse", steps_per_execution=20)
    return model


def trained(seed, width, steps):
    """The weights that a training came to, which stopped early or late."""
    keras.utils.set_random_seed(seed)
    model = network(width)
    whole = tf.data.Dataset.from_tensors((INPUTS, TARGETS)).repeat()
    some = int(np.exp(np.random.default_rng(seed).uniform(np.log(20), np.log(steps))))
    model.fit(whole, steps_per_epoch=20 * (some // 20), shuffle=False, verbose=0)
    return model.get_weights()


def positive_shares(matrix, shapes):
    """Share of the eigenvalues of a matrix, and of its blocks alone, that are above rounding."""
    zero = 1e-12 * np.abs(matrix).max() * len(matrix)
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    blocks = [np.linalg.eigvalsh(matrix[a:b, a:b]) for a, b in itertools.pairwise(ends)]
    whole = np.linalg.eigvalsh(matrix)
    return (whole > zero).mean(), (np.concatenate(blocks) > zero).mean()


def main(logdir="runs/minimum_ratio", seed=0, trainings=8, width=31, steps=4000, products=4000):
    starts = [trained(seed + i, width, steps) for i in range(trainings)]
    model = network(width)
    loss = hessian.model_loss(model, INPUTS, TARGETS)
    operator = hessian.HessianOperator(loss, model.trainable_variables)
    found = analysis.find_critical_points(operator, starts=starts, max_products=products)
    analysis.log_analysis(logdir, found, step=0)
    rows = []
    for point in found:
        model.set_weights(point.point)
        matrix = hessian.matrix(operator, progress=False)
        shares = positive_shares(matrix, [array.shape for array in point.point])
        rows.append((point.loss, point.gradient_norm, point.norms[0], *shares))
        print(f"{point}: minimum ratio {shares[0]:.3f}, of blocks {shares[1]:.3f}", flush=True)
    table = Path(logdir) / "minimum_ratio.csv"
    np.savetxt(table, rows, fmt="%.6g", delimiter=",", header=COLUMNS, comments="")
    print(f"table: {table}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/minimum_ratio")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trainings", type=int, default=8)
    main(**vars(parser.parse_args()))
