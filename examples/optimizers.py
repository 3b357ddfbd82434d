"""Optimizers and learning rates side by side, each a run on the same network of digits.

1,000 steps each: gradient descent on all digits at once (`batch`), on 32 (`mini-batch`) and on one
(`stochastic`), momentum, AdaGrad, RMSprop and Adam; mini-batches at a low and at a high learning
rate; and, where the first layer's weights begin 30 times as large, one rate for all layers against
rates by layer, as the alert `layer_rate_mismatch` of the first run suggests.

What to look for: examples/optimizers.md reads the result, with pictures.
"""

import argparse
import re

import keras
import tensorflow as tf
from sklearn.datasets import load_digits

import tbgrad

SGD = keras.optimizers.SGD
RUNS = {
    # name: optimizer, learning rate, digits a step
    "batch": (SGD, 0.1, 1797),
    "mini-batch": (SGD, 0.1, 32),
    "stochastic": (SGD, 0.1, 1),
    "momentum": (lambda rate: SGD(rate, momentum=0.9), 0.01, 32),
    "adagrad": (keras.optimizers.Adagrad, 0.1, 32),
    "rmsprop": (keras.optimizers.RMSprop, 0.003, 32),
    "adam": (keras.optimizers.Adam, 0.003, 32),
    "rate-low": (SGD, 0.001, 32),
    "rate-high": (SGD, 1.0, 32),
}


def network(wide=False):
    """64-32-32-10; `wide` begins with large weights in the first layer and normalizes behind it."""
    layers = keras.layers
    if wide:
        large = keras.initializers.VarianceScaling(30.0**2)
        first = [
            layers.Dense(32, use_bias=False, kernel_initializer=large, name="hidden_1"),
            layers.BatchNormalization(name="norm_1"),
            layers.Activation("relu"),
        ]
    else:
        first = [layers.Dense(32, activation="relu", name="hidden_1")]
    second = layers.Dense(32, activation="relu", name="hidden_2")
    return keras.Sequential([layers.Input((64,)), *first, second, layers.Dense(10, name="out")])


def train(directory, optimizer, batch, epochs, seed, wide=False, **hparams):
    """Train epochs of 100 steps; prints the loss over all digits and returns the alerts."""
    keras.utils.set_random_seed(seed)
    x, y = load_digits(return_X_y=True)
    x = x.astype("float32") / 16
    if batch < len(x):
        data = tf.data.Dataset.from_tensor_slices((x, y))
        data = data.shuffle(len(x), seed=seed).repeat().batch(batch)
    else:
        data = tf.data.Dataset.from_tensors((x, y)).repeat()
    model = network(wide)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    alerts = []
    monitor = tbgrad.GradientMonitor(
        directory,
        curvature=tbgrad.Curvature(data=(x, y), every=100, budget=None),
        on_alert=alerts.append,
        hparams={"batch": batch, **hparams},
    )
    model.fit(
        data, steps_per_epoch=100, epochs=epochs, shuffle=False, verbose=0, callbacks=[monitor]
    )
    loss = model.evaluate(x, y, batch_size=len(x), verbose=0)
    print(f"{directory}: loss {loss:.3g} over all digits", flush=True)
    return alerts


def by_layer(alerts, rate):
    """SGD at `rate`, and the layers that hardly move at as many times that as the alert says."""
    alert = next(alert for alert in alerts if alert.rule == "layer_rate_mismatch")
    factor = float(re.search(r"([\d,]+) times as large", alert.evidence)[1].replace(",", ""))
    print(f"{', '.join(alert.parameters)}: learning rate × {factor:g}", flush=True)
    raised = {f".*{parameter}": SGD(factor * rate) for parameter in alert.parameters}
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(SGD(rate), raised))


def main(logdir="runs/optimizers", epochs=10, seed=0, runs=tuple(RUNS)):
    for name in runs:
        optimizer, rate, batch = RUNS[name]
        train(f"{logdir}/{name}", optimizer(rate), batch, epochs, seed, rate=rate)
    alerts = train(f"{logdir}/layers-one-rate", SGD(0.1), 32, epochs, seed, wide=True, rate=0.1)
    rates = by_layer(alerts, 0.1)
    train(f"{logdir}/layers-own-rates", rates, 32, epochs, seed, wide=True, rate=0.1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/optimizers")
    parser.add_argument("--epochs", type=int, default=10, help="of 100 steps")
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
