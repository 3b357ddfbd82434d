"""Products, seconds and memory of an estimate of both ends of the spectrum, by the size of a model.

    python -m tests.benchmarks.hessian_memory [--millions 0.5 5 50]

Each model and each allowance in a process of its own: by default (ten vectors of the size of the
weights, or 64 MiB if that is more), and with room for all the vectors there can be. "vectors" is
the most that NumPy held at a time, in vectors of the size of the weights: basis, what a step works
with, and the answer. "peak" is how far the process grew while it estimated, gradients and
TensorFlow's own included. Seconds come from whatever else the machine does: take them as ratios.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
import tracemalloc

import numpy as np


def estimate(millions: float, room: str) -> None:
    import keras

    from tbgrad import hessian

    keras.utils.set_random_seed(0)
    width = round((millions * 1e6 / 4) ** 0.5)
    layers = [keras.layers.Dense(width, "gelu") for _ in range(3)]
    model = keras.Sequential([keras.Input((width,)), *layers, keras.layers.Dense(width)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(32, width)).astype("f")
    y = np.random.default_rng(1).normal(size=(32, width)).astype("f")
    loss = hessian.model_loss(model, x, y)
    operator = hessian.HessianOperator(loss, model.trainable_variables)
    operator.prepare()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    started = time.perf_counter()
    found = hessian.eigenvalues(
        operator, k=2, which="BE", progress=False, max_bytes=None if room == "default" else 2**50
    )
    seconds = time.perf_counter() - started
    vectors = tracemalloc.get_traced_memory()[1] / (4 * operator.size)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    values = " ".join(
        f"{value:.4g}±{bound:.1g}"
        for value, bound in zip(found.values, found.residuals, strict=True)
    )
    print(
        f"{operator.size / 1e6:8.2f} M  {room:8}  {found.hvps:4} products  {seconds:7.1f} s  "
        f"{seconds / found.hvps / operator.last_seconds:5.2f} × their own time  "
        f"{vectors:6.1f} vectors  peak {grown:6.2f} GiB  "
        f"{'' if found.converged else 'not '}converged  {values}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, nargs="+", default=[0.5, 5, 50])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        estimate(float(arguments.one[0]), arguments.one[1])
        return
    for millions in arguments.millions:
        for room in ("default", "all"):
            command = [sys.executable, "-m", "tests.benchmarks.hessian_memory"]
            subprocess.run([*command, "--one", str(millions), room], check=False)


if __name__ == "__main__":
    main()
