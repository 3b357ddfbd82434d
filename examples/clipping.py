"""Gradient clipping: none, one that steadies the steps, one that leaves next to nothing.

A recurrent network reads digits in 32 pieces; its weights begin so large that gradients grow on
their way back. Runs: `not-clipped`, `clipped-at-1`, `clipped-at-0.01`.

What to look for:

* Loss: `clipped-at-1` falls to 0.4, `clipped-at-0.01` to 1.4; `not-clipped` comes down to 1.7 and,
  in the end, back to 2.4, where guessing is: the alert `loss_diverging` says so.
* Gradient norm, which is that before clipping: about 5 in `clipped-at-1`, which cuts it to 1 at
  every step: "clip factor" in the scalars (terminal: `7`) is what that leaves, 0.1 to 0.4.
* Update over weight, there too: about 0.007 in `clipped-at-1`; up to ten times as much in
  `not-clipped`, whose first steps, of norms up to 24, throw the weights to where they learn little.
* `clipped-at-0.01` leaves a thousandth of each gradient: the alert `clipping_always` says so, and
  from which value to which to raise it.
"""

import argparse

import keras
from sklearn.datasets import load_digits

import tbgrad


def main(logdir="runs/clipping", epochs=20, seed=0, clips=(None, 1.0, 0.01)):
    x, y = load_digits(return_X_y=True)
    x, y = (x[:1792] / 16).reshape(-1, 32, 2).astype("float32"), y[:1792]
    for clip in clips:
        keras.utils.set_random_seed(seed)
        model = keras.Sequential(
            [
                keras.layers.Input(x.shape[1:]),
                keras.layers.SimpleRNN(
                    48, recurrent_initializer=keras.initializers.Orthogonal(1.5), name="memory"
                ),
                keras.layers.Dense(10, name="out"),
            ]
        )
        model.compile(
            optimizer=keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=clip),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        name = f"clipped-at-{clip:g}" if clip else "not-clipped"
        monitor = tbgrad.GradientMonitor(f"{logdir}/{name}", hparams={"clip": clip or 0.0})
        done = model.fit(x, y, batch_size=64, epochs=epochs, verbose=0, callbacks=[monitor])
        print(f"{name}: loss {done.history['loss'][-1]:.3g}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/clipping")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
