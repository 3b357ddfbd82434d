"""End a training when its gradient has become small, and see what point that is.

TODO
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

import tbgrad


def main(logdir="runs/early_stopping", epochs=300, seed=0, threshold=3e-4):
    keras.utils.set_random_seed(seed)
    x = np.linspace(-1, 1, 256, dtype=np.float32)[:, None]
    y = np.sin(3 * x + 1)
    decay = keras.regularizers.L2(1e-4)
    model = keras.Sequential(
        [
            keras.layers.Input((1,)),
            keras.layers.Dense(32, "tanh", kernel_regularizer=decay, name="hidden_1"),
            keras.layers.Dense(32, "tanh", kernel_regularizer=decay, name="hidden_2"),
            keras.layers.Dense(1, kernel_regularizer=decay, name="out"),
        ]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
    monitor = tbgrad.GradientMonitor(logdir, curvature=tbgrad.Curvature(data=(x, y)))
    stopping = tbgrad.GradientNormEarlyStopping(threshold=threshold, patience=500)
    whole = tf.data.Dataset.from_tensors((x, y)).repeat()  # each step sees all of the data
    model.fit(
        whole,
        steps_per_epoch=100,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[monitor, stopping],
    )
    print(f"stopped at step {stopping.stopped_step:,} of {100 * epochs:,}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/early_stopping")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
