"""Critical points of Rosenbrock's function in ten variables from 100 starts: how many are right.

    python -m tests.benchmarks.critical_points [--starts 100] [--variables 10]

Kind and index are judged by gradient and eigenvalues in NumPy (the suite has fewer starts).
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--variables", type=int, default=10)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    from tbgrad.analysis import find_critical_points
    from tests.analysis.test_critical_points import rosenbrock, rosenbrock_derivatives

    w = tf.Variable(np.zeros(options.variables), dtype=tf.float64)
    shape = (options.starts, 1, options.variables)
    starts = np.random.default_rng(0).uniform(-2, 2, shape)
    begun = time.perf_counter()
    found = find_critical_points(lambda: rosenbrock(w), [w], starts=starts, progress=False)
    seconds = time.perf_counter() - begun
    right = 0
    for each in found:
        gradient, matrix = rosenbrock_derivatives(each.point[0])
        below = int((np.linalg.eigvalsh(matrix) < 0).sum())
        flat = np.linalg.norm(gradient) <= 1e-4 * each.norms[0]
        right += flat and (each.kind, each.index) == ("saddle" if below else "minimum", below)
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(f.kind for f in found).items())
    print(f"{right} of {options.starts} right ({kinds}), {seconds:.0f} s")


if __name__ == "__main__":
    main()
