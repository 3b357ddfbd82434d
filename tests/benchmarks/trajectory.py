"""What a trajectory costs: the training that logs one beside the same without, and its sketches.

    python -m tests.benchmarks.trajectory [--rounds 5] [--steps 2560] [--weights 100000000]

Every round trains the MLP of the benchmarks with a monitor at its defaults, with a trajectory and
without, in random order; the ratio is that of two trainings of one round. Places are logged most
densely at first, so that a longer training pays less. Then the seconds and the bytes of one sketch
of a model of many weights, which the thread that writes the log makes, and the errors of distances
between places beside the documented one.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from tbgrad.log.records import Parameter
from tbgrad.log.weight_sketch import WeightSketch, standard_error

LAYER = 1_000_000
"""Weights of each layer of the large model."""


def trainings(rounds: int, steps: int) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    import tbgrad
    from tests.benchmarks.models import MODELS

    make, data = MODELS["MLP"]
    variants: dict[bool, keras.Model] = {}
    for trajectory in (False, True):
        keras.utils.set_random_seed(0)
        variants[trajectory] = make(keras.Model)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        variants[trajectory].compile("adam", loss)
    ratios = []
    with tempfile.TemporaryDirectory() as directory:
        for turn in range(-1, rounds):  # the first is not counted: it traces
            seconds = {}
            for trajectory in random.sample((False, True), 2):
                run = Path(directory) / f"{turn}{trajectory}"
                monitor = tbgrad.GradientMonitor(run, trajectory=trajectory)
                model = variants[trajectory]
                begun = time.perf_counter()
                model.fit(data(), steps_per_epoch=steps, verbose=0, callbacks=[monitor])
                seconds[trajectory] = time.perf_counter() - begun
            if turn >= 0:
                ratios.append(seconds[True] / seconds[False])
    print(
        f"training of {steps:,} steps with a trajectory: {statistics.median(ratios):.3f} times as "
        f"long ({min(ratios):.3f} to {max(ratios):.3f}, {rounds} rounds)"
    )


def sketches(weights: int) -> None:
    layers = max(1, weights // LAYER)
    rows = [
        Parameter(f"layer_{i}/kernel", f"layer_{i}", (LAYER,), LAYER, "float32", "kernel")
        for i in range(layers)
    ]
    rng = np.random.default_rng(0)
    first = [rng.standard_normal(LAYER, np.float32) for _ in rows]
    sketch = WeightSketch(rows)
    at_first = sketch.of(first)
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        sketch.of(first)
        times.append(time.perf_counter() - begun)
    print(
        f"a sketch of {layers * LAYER:,} weights in {layers:,} layers: {min(times):.2f} s on the "
        f"thread that writes the log, {at_first.nbytes:,} bytes"
    )
    errors = []
    for _ in range(10):
        moved = [rng.standard_normal(LAYER, np.float32) for _ in rows]
        far = math.sqrt(sum(float(np.square(m, dtype=np.float64).sum()) for m in moved))
        there = sketch.of([a + b for a, b in zip(first, moved, strict=True)])
        seen = float(np.linalg.norm((there - at_first).astype(np.float64)))
        errors.append(seen / far - 1)
    allowed = standard_error(at_first.shape[1])
    print(
        f"distances to 10 other places: off by {np.std(errors):.2%} (one standard error of one "
        f"layer: {allowed:.2%})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2560)
    parser.add_argument("--weights", type=int, default=100_000_000)
    options = parser.parse_args()
    trainings(options.rounds, options.steps)
    sketches(options.weights)


if __name__ == "__main__":
    main()
