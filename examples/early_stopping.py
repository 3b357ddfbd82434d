"""End a training when its gradient has become small, and see what point that is.

A small network fits a curve, all of its points in each step, so that the gradient has no noise
and can become small; `GradientNormEarlyStopping` ends the training once it was below 3e-4 for 500
steps.

What to look for:

* Gradient norm, on a logarithmic axis (terminal: `3`): from 1 to 1e-3 within 500 steps, then a
  long straight line down, a tenth in 500 steps. `tbgrad report` names the step where it was
  smallest: the last, as it goes on falling.
* Curvature: λmin is -1.2 at first, and at the end zero within its error: flat, not a sharp
  minimum. λmax is then at half the limit of the optimizer. The loss still falls, slowly: a small
  gradient says that there is little to gain per step, not that this is the end of the way.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

import tbgrad


def main(logdir="runs/early_stopping", epochs=300, seed=0, threshold=3e-4, patience=500):
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
    stopping = tbgrad.GradientNormEarlyStopping(threshold=threshold, patience=patience)
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
