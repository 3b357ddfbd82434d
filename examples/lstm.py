"""A long memory: the first of 30 symbols counts, and an LSTM has to carry it to the end.

Three runs, by the bias with which the forget gate begins: `forget-bias-0` forgets half in each
step, `forget-bias-1`, the default of Keras, a quarter, and `forget-bias-3` a twentieth.

What to look for:

* Loss: `forget-bias-3` is below 0.1 after 50 steps; `forget-bias-0` stays at 1.39, which is
  guessing, for 200; `forget-bias-1` rests at 0.69, where it tells two pairs of classes apart but
  not what is in a pair, and then at 0.34, where one pair is left.
* Gradient norm: in the first epoch 2 with a bias of 3, and 0.1 with a bias of 0: what went in at
  the start hardly reaches the end, nor the gradient the start. Where `forget-bias-0` leaves its
  plateau the norm comes up, to 2.6, and then goes down with the loss.
* Layers: the recurrent kernel has the smallest gradient at a bias of 0, the largest but one at 3.
"""

import argparse

import keras
import numpy as np

import tbgrad

CLASSES = 4


def sequences(count, length, seed):
    """One-hot symbols [count, length, 2 * CLASSES]: a class, then noise of other symbols."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, count)
    symbols = rng.integers(CLASSES, 2 * CLASSES, (count, length))
    symbols[:, 0] = y
    return np.eye(2 * CLASSES, dtype=np.float32)[symbols], y


def remembering(bias):
    """Biases of an LSTM's gates (input, forget, cell, output): zero, but for the forget gate."""
    return lambda shape, **_: np.repeat([0.0, bias, 0.0, 0.0], shape[0] // 4)


def main(logdir="runs/lstm", epochs=25, seed=0, length=30, biases=(0, 1, 3)):
    x, y = sequences(2048, length, seed)
    for bias in biases:
        keras.utils.set_random_seed(seed)
        model = keras.Sequential(
            [
                keras.layers.Input(x.shape[1:]),
                keras.layers.LSTM(
                    32, bias_initializer=remembering(bias), unit_forget_bias=False, name="memory"
                ),
                keras.layers.Dense(CLASSES, name="out"),
            ]
        )
        model.compile(
            optimizer=keras.optimizers.Adam(3e-3),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        name = f"forget-bias-{bias}"
        monitor = tbgrad.GradientMonitor(f"{logdir}/{name}", hparams={"forget bias": bias})
        done = model.fit(x, y, batch_size=64, epochs=epochs, verbose=0, callbacks=[monitor]).history
        print(f"{name}: loss {done['loss'][-1]:.3g}, {done['accuracy'][-1]:.0%} right", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/lstm")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
