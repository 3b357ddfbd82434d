"""Eight trainings from eight initialisations, in one picture; and whether two meet in one basin.

A small network learns handwritten digits eight times. Every training logs where its weights are
(`trajectory=True`), so that all eight are drawn on the two axes along which they moved most. Then
the loss is looked at on the plane of the first training's own path, and on the straight line
between the ends of the first two.

What to look for (terminal: `8`, then down; tab: Landscape):

* Trajectories: each goes its own way, and ends are as far apart as trainings from different starts
  can be: the two axes have a third of all movement, no more. One layer at a time with → and ←.
* The plane of the path has 98 % of it: down a slope, around a bend, along the floor of a valley.
* The line: a barrier of 0.28 between two ends of loss 0.01. They are different minima.
"""

import argparse

import keras
import numpy as np
from sklearn.datasets import load_digits

import tbgrad
from tbgrad import analysis, hessian


def network(seed):
    """Of 2,410 weights, few enough to be logged as they are."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.layers.Input((64,)),
            keras.layers.Dense(32, "relu", name="hidden"),
            keras.layers.Dense(10, "softmax", name="out"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    return model


def main(logdir="runs/trajectories", epochs=20, seed=0, trainings=8, points=41):
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    names, ends = [f"seed{seed + i}" for i in range(trainings)], []
    for i, name in enumerate(names):
        model = network(seed + i)
        monitor = tbgrad.GradientMonitor(
            f"{logdir}/{name}", trajectory=True, hparams={"seed": seed + i}
        )
        model.fit(x, y, epochs=epochs, verbose=0, callbacks=[monitor])
        ends.append(model.get_weights())
        print(f"{name}: loss {model.evaluate(x, y, verbose=0):.4f}", flush=True)

    runs = tbgrad.read(logdir)
    model.set_weights(ends[0])
    loss = hessian.model_loss(model, x, y)
    steps, path = analysis.weights_of(runs[names[0]])
    plane = analysis.plane(loss, model.trainable_variables, path=path, steps=steps, points=points)
    line = analysis.line(loss, model.trainable_variables, to=ends[1])
    analysis.log_analysis(f"{logdir}/{names[0]}", plane, "plane of the path")
    analysis.log_analysis(f"{logdir}/{names[0]}", line, f"line to {names[1]}")
    found = analysis.trajectories(runs)
    apart = found.distances[np.triu_indices(trainings, 1)]
    moved = found.from_start
    print(f"barrier from {names[0]} to {names[1]}: {line.barrier:.3g}")
    print(f"the first two axes have {sum(found.explained):.0%} of all movement")
    print(f"ends are {apart.min():.3g} to {apart.max():.3g} apart,", end=" ")
    print(f"and {moved.min():.3g} to {moved.max():.3g} from their starts")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/trajectories")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
