"""Planes of the loss beside a loop over `model.evaluate`, and searches for critical points.

    python -m tests.benchmarks.landscape [--rounds 5] [--points 51] [--peers PYTHON]

One run measures, in turns: a plane of 51 × 51 points of the digits CNN in `tbgrad.analysis.plane`,
and the seconds of `model.evaluate` at some of its points, at the batch size of Keras and with all
samples in one batch, for as many points. With `--peers` also the seconds of tools for PyTorch, of
the same network on the same samples (see `landscape_peers`).

Then Hessian–vector products spent until ‖∇L‖ has fallen to a share of 1e-4 of what it was: by
`find_critical_point`, and by gradient descent on ½‖∇L‖² with a step found by halving (its gradient
is one product, H ∇L), which is ended at ten times as many.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

SAMPLED = 12
"""Points at which `model.evaluate` is timed a round."""

PEERS = ("loss-landscapes", "landscaper")

PATIENCE = 10
"""So many times the products of the search gradient descent may spend."""


def digits():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x / 16).reshape(-1, 8, 8, 1).astype(np.float32), y


def planes(rounds: int, points: int, python: str | None) -> None:
    import keras

    from tbgrad import hessian
    from tbgrad.analysis import plane

    x, y = digits()
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=3, verbose=0)
    loss = hessian.model_loss(model, x, y)
    ours: list[float] = []
    others: dict[str, list[float]] = {}
    for turn in range(rounds):
        begun = time.perf_counter()
        plane(loss, model.trainable_variables, points=points, seed=turn, progress=False)
        ours.append(time.perf_counter() - begun)
        for batch_size in (32, len(x)):
            begun = time.perf_counter()
            for _ in range(SAMPLED):
                model.set_weights(model.get_weights())
                model.evaluate(x, y, batch_size=batch_size, verbose=0)
            seconds = (time.perf_counter() - begun) / SAMPLED * points**2
            others.setdefault(f"model.evaluate, {batch_size:,} a batch", []).append(seconds)
        if python is not None:
            for name, seconds in peers(python, model, x, y, points, float(loss())).items():
                others.setdefault(f"{name} (PyTorch)", []).append(seconds)
    print(f"plane of {points} × {points} points, {len(x):,} samples, {rounds} rounds, medians")
    print(f"  tbgrad.analysis.plane          {statistics.median(ours):8.1f} s")
    for name, seconds in others.items():
        ratios = [other / mine for other, mine in zip(seconds, ours, strict=True)]
        print(
            f"  {name:30} {statistics.median(seconds):8.1f} s, "
            f"{statistics.median(ratios):5.1f} times ({min(ratios):.1f} to {max(ratios):.1f})"
        )


def peers(python: str, model, x, y, points: int, loss: float) -> dict[str, float]:
    """Seconds of tools for PyTorch, of the same network; a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "net.npz"
        np.savez(file, x=x, y=y, **{f"w{i}": w for i, w in enumerate(model.get_weights())})
        command = [python, "-m", "tests.benchmarks.landscape_peers", str(file), str(points)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines() if line)
    assert abs(float(told.pop("loss")) - loss) < 1e-4 * loss, "another network than ours"
    return {name: float(seconds) for name, seconds in told.items() if name in PEERS}


def searches() -> None:
    import keras
    import tensorflow as tf

    from tbgrad import hessian
    from tbgrad.analysis import find_critical_point

    w = tf.Variable(np.linspace(-0.5, 0.6, 10), dtype=tf.float64)

    def rosenbrock():
        return tf.reduce_sum(100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2)

    x, y = digits()
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(32, "tanh"),
            keras.layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = x.reshape(len(x), -1)
    model.fit(x, y, epochs=5, verbose=0)
    print("products until ‖∇L‖ is 1e-4 of what it was")
    for name, loss, variables in (
        ("Rosenbrock, 10 variables", rosenbrock, [w]),
        ("digits, 2,410 weights", hessian.model_loss(model, x, y), model.trainable_variables),
    ):
        operator = hessian.HessianOperator(loss, variables)
        operator.prepare()
        products = until(
            operator, lambda op: find_critical_point(op, max_products=50_000, progress=False), 1e-4
        )
        descent, reached = gradient_descent(operator, 1e-4, PATIENCE * products)
        least = "" if reached <= 1e-4 else f" at least (‖∇L‖ at {reached:.2g} of it)"
        print(f"  {name:26} search {products:6,}, gradient descent {descent:8,}{least}: "
              f"{products / descent:.3f}")  # fmt: skip


def until(operator, search, share: float) -> int:
    """Products that a search had spent when the norm first was that small."""
    spent: list[tuple[int, float]] = []
    before = operator.products
    inner = operator.loss_and_gradient

    def watched():
        loss, gradient = inner()
        norm = float(np.linalg.norm(gradient.astype(np.float64)))
        spent.append((operator.products - before, norm))
        return loss, gradient

    operator.loss_and_gradient = watched
    try:
        search(operator)
    finally:
        del operator.loss_and_gradient
    return next(count for count, norm in spent if norm <= share * spent[0][1])


def gradient_descent(operator, share: float, most: int) -> tuple[int, float]:
    """Products of plain descent on ½‖∇L‖², and the share that the norm came to."""
    before = operator.products
    with operator.variables.moving() as move_by:
        at = np.zeros(operator.size, operator.dtype)

        def norm_at(offset):
            move_by(offset)
            gradient = operator.loss_and_gradient()[1]
            return float(np.linalg.norm(gradient.astype(np.float64))), gradient

        first, gradient = norm_at(at)
        norm, step = first, 1.0
        while norm > share * first and operator.products - before < most:
            downhill = np.asarray(operator.apply(gradient)[0])
            step *= 4
            while step > 1e-30:
                coming, there = norm_at(at - step * downhill)
                if coming < norm:
                    break
                step /= 2
            else:
                break
            at = (at - step * downhill).astype(operator.dtype)
            norm, gradient = coming, there
        move_by(np.zeros_like(at))
    return operator.products - before, norm / first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--points", type=int, default=51)
    parser.add_argument(
        "--peers", metavar="PYTHON", help="an interpreter with the tools for PyTorch"
    )
    arguments = parser.parse_args()
    searches()
    planes(arguments.rounds, arguments.points, arguments.peers)


if __name__ == "__main__":
    main()
