"""Where is the gradient almost zero, and what is that point? Of digits, and of a function fit.

Two trainings, `digits` (16,735 weights) in batches and `function` (1,086 weights) in one batch of
all. Afterwards the exact gradient over all data, beside the noise of a batch (`gradient_check`),
and the critical point nearest to where the function fit has stopped (`find_critical_point`).

What to look for:

* Loss and gradient norm together (terminal: `2`, `3`; `tbgrad plot LOGDIR/* -o norms.svg`): with
  batches the norm jumps about, tenfold from step to step, while the loss falls.
* The steps with the smallest norm, printed here and in `tbgrad report`: of `digits` they are near
  the end, of `function` at half of it, long before the loss has come down.
* The gradient check of `digits` (terminal: `8`; tab: Landscape): a batch of 32 is three times as
  far off the gradient as that is long, so a small norm of a batch says little.
* The search for a critical point of `function`: the gradient becomes two hundred times smaller than
  where training ended, and it still goes down along the floor of a flat valley: "not critical", as
  most function fits (minimum_ratio.md).
"""

import argparse

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

import tbgrad
from tbgrad import analysis, hessian


def digits(logdir, epochs):
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    model = keras.Sequential(
        [
            keras.layers.Input((64,)),
            keras.layers.Dense(149, "relu", name="hidden_1"),
            keras.layers.Dense(44, "relu", name="hidden_2"),
            keras.layers.Dense(10, name="out"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    monitor = tbgrad.GradientMonitor(logdir)
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=[monitor])
    check = tbgrad.gradient_check(model, x, y)
    analysis.log_analysis(logdir, check)
    print(f"digits: {check}")


def function(logdir, epochs, products):
    x = np.linspace(0, 1, 256)[:, np.newaxis]
    y = np.sinc(5 * x)
    layers = [keras.layers.Dense(31, "tanh", dtype="float64") for _ in range(2)]
    last = keras.layers.Dense(1, dtype="float64")
    model = keras.Sequential([keras.layers.Input((1,), dtype="float64"), *layers, last])
    model.compile(keras.optimizers.Adam(3e-3), "mse", steps_per_execution=10)
    whole = tf.data.Dataset.from_tensors((x, y)).repeat()
    monitor = tbgrad.GradientMonitor(logdir)
    model.fit(whole, steps_per_epoch=100, epochs=epochs, verbose=0, callbacks=[monitor])
    found = tbgrad.find_critical_point(
        hessian.model_loss(model, x, y),
        model.trainable_variables,
        max_products=products,
    )
    analysis.log_analysis(logdir, found)
    print(f"function: {found}")


def main(logdir="runs/gradient_norm", epochs=20, seed=0, products=3000):
    keras.utils.set_random_seed(seed)
    digits(f"{logdir}/digits", epochs)
    function(f"{logdir}/function", epochs, products)
    for name, run in tbgrad.read(logdir).items():
        for point in run.smallest("gradient/norm", 3):
            print(f"{name}: norm {point.value:.3g} at step {point.step}, loss {point.loss:.3g}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/gradient_norm")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
