"""Vanishing and exploding gradients by depth, activation, initialisation, skips and norms.

One run for each network of a small grid, all trained alike on scanned digits. The name of a run
says what it is, and so do its hyperparameters: `16-relu-he`, `16-sigmoid-glorot-norm`.

What to look for, in the layers (terminal: `5`; tab: the heat map), gradient norm of the kernels
from `entry` at the input to `out`, at the first steps:

* `3-sigmoid-glorot`: from 1 at the output to 0.02 at the input; it trains, slowly.
* `16-sigmoid-glorot`: each layer passes on about a quarter, and the first gets 1e-10. The alert
  `vanishing_gradient` names the layers; the loss stays where guessing is, 2.3.
* `16-sigmoid-glorot-norm`: a normalization before each activation, and all have about 0.5.
* `16-relu-he`: the initialisation that suits relu gives all layers 3 to 7.
* `16-relu-small`: a twentieth of that variance, and all have 1e-10: the gradient vanishes on its
  way back, and what goes forward had vanished before. The loss stays where guessing is.
* `16-relu-small-skip`: begun alike, with a path around each layer, and all have 2 to 7.
* `16-relu-large`: four times the variance, and gradients and loss of a hundred thousand: the alert
  `exploding_gradient` names the weights, of which 16 layers make 7e4 times too much together.
* `16-relu-large-norm`: normalized, it begins at a loss of 2.6; but layers at the input still have
  some fifteen times the gradient of those at the output.
"""

import argparse

import keras
from sklearn.datasets import load_digits

import tbgrad

# Variance of a weight, times the number of inputs: 1 suits layers that keep their input's size
# (Glorot and Bengio 2010), 2 suits relu (He et al. 2015).
VARIANCE = {"glorot": 1.0, "small": 0.1, "he": 2.0, "large": 8.0}
GRID = (
    {"depth": 3, "activation": "sigmoid", "initializer": "glorot"},
    {"depth": 16, "activation": "sigmoid", "initializer": "glorot"},
    {"depth": 16, "activation": "sigmoid", "initializer": "glorot", "norm": True},
    {"depth": 16, "activation": "relu", "initializer": "he"},
    {"depth": 16, "activation": "relu", "initializer": "small"},
    {"depth": 16, "activation": "relu", "initializer": "small", "skip": True},
    {"depth": 16, "activation": "relu", "initializer": "large"},
    {"depth": 16, "activation": "relu", "initializer": "large", "norm": True},
)


def network(depth, activation, initializer, skip=False, norm=False):
    entry = keras.Input((64,))
    features = keras.layers.Dense(48, name="entry")(entry)
    for i in range(depth):
        weights = keras.initializers.VarianceScaling(VARIANCE[initializer])
        made = keras.layers.Dense(48, kernel_initializer=weights, name=f"hidden_{i}")(features)
        if norm:
            made = keras.layers.BatchNormalization(name=f"norm_{i}")(made)
        made = keras.layers.Activation(activation)(made)
        features = features + made if skip else made
    return keras.Model(entry, keras.layers.Dense(10, name="out")(features))


def name_of(settings):
    said = [str(settings[key]) for key in ("depth", "activation", "initializer")]
    return "-".join(said + [key for key in ("skip", "norm") if settings.get(key)])


def main(logdir="runs/depth", epochs=15, seed=0, grid=GRID):
    x, y = load_digits(return_X_y=True)
    # Whole batches of 64: a normalization would make too much of the five digits left over.
    x, y = x[:1792].astype("float32") / 16, y[:1792]
    for settings in grid:
        keras.utils.set_random_seed(seed)
        model = network(**settings)
        model.compile(
            optimizer=keras.optimizers.Adam(1e-3),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        name = name_of(settings)
        monitor = tbgrad.GradientMonitor(f"{logdir}/{name}", hparams=settings)
        history = model.fit(x, y, batch_size=64, epochs=epochs, verbose=0, callbacks=[monitor])
        print(f"{name}: loss {history.history['loss'][-1]:.3g}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/depth")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
