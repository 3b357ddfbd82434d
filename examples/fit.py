"""Monitor `model.fit`: three lines, marked below."""

import argparse

import keras
from sklearn.datasets import load_digits

import tbgrad  # 1


def main(logdir="runs/fit", epochs=10, seed=0):
    keras.utils.set_random_seed(seed)
    x, y = load_digits(return_X_y=True)
    x = x.astype("float32") / 16
    model = keras.Sequential(
        [
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    monitor = tbgrad.GradientMonitor(  # 2
        logdir, every=10, curvature=tbgrad.Curvature(data=(x, y), every=200, budget=0.5)
    )
    model.fit(x, y, epochs=epochs, verbose=2, callbacks=[monitor])  # 3
    print(f"Look at it: tbgrad watch {logdir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/fit")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
