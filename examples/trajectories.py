"""Eight trainings from eight initialisations, in one picture; and whether two meet in one basin.

A small network learns handwritten digits eight times. Every training logs where its weights are
(`trajectory=True`), so that all eight are drawn on the two axes along which they moved most. Then
the loss is looked at on the plane of the first training's own path, and on the straight line
between the ends of the first and the second.

Look for (8 in `tbgrad watch`, "Landscape" in the tab): ends as far apart as the starts; each layer
by itself (→); and a barrier on the line: the ends are different minima.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

import tbgrad
from tbgrad import hessian
from tbgrad.analysis import line, log_analysis, plane, weights_of


def network(seed: int) -> keras.Model:
    """Of 2,410 weights."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(32, "relu"),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    return model


def main() -> None:
    """Train, and look around."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logdir", nargs="?", default="runs/trajectories", type=Path)
    parser.add_argument("--trainings", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--points", type=int, default=41, help="of the plane, along either axis")
    options = parser.parse_args()

    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    ends = []
    for seed in range(options.trainings):
        model = network(seed)
        monitor = tbgrad.GradientMonitor(
            options.logdir / f"seed{seed}", trajectory=True, hparams={"seed": seed}
        )
        model.fit(x, y, epochs=options.epochs, verbose=0, callbacks=[monitor])
        ends.append(model.get_weights())
        print(f"seed {seed}: loss {model.evaluate(x, y, verbose=0):.4f}")

    first = options.logdir / "seed0"
    model.set_weights(ends[0])
    loss = hessian.model_loss(model, x, y)
    steps, path = weights_of(tbgrad.read(options.logdir)["seed0"])
    around = plane(loss, model.trainable_variables, path=path, steps=steps, points=options.points)
    log_analysis(first, around, "plane of the path")
    between = line(loss, model.trainable_variables, to=ends[1])
    log_analysis(first, between, "line to seed1")
    print(f"{around}\nbarrier between the ends of seed0 and seed1: {between.barrier:.3g}")

    found = tbgrad.analysis.trajectories(tbgrad.read(options.logdir))
    shares = " and ".join(f"{share:.0%}" for share in found.explained)
    apart = found.distances[np.triu_indices(len(found.runs), 1)]
    print(
        f"two axes have {shares} of the variance; ends are {apart.min():.2g} to "
        f"{apart.max():.2g} apart, and {found.from_start.min():.2g} to "
        f"{found.from_start.max():.2g} from their starts"
    )


if __name__ == "__main__":
    main()
