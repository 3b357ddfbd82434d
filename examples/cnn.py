"""A convolutional network that trains well: what a healthy training looks like.

What to look for:

* No alert, in the report, the terminal app or the tab.
* Loss from 2.3 to 0.02; that of held-back digits levels off at 0.2 and does not rise again.
* Gradient norm about 1 throughout, with single batches from 0.04 to 3. All layers have gradients
  of one size (terminal: `5`; tab: the heat map).
* Update over weight (terminal: `7`): a hundredth at first, a thousandth at last.
* Curvature: λmin comes from -0.7 up to near 0; λmax is far below the limit of Adam.
"""

import argparse

import keras
from sklearn.datasets import load_digits

import tbgrad


def main(logdir="runs/cnn", epochs=30, seed=0):
    keras.utils.set_random_seed(seed)
    x, y = load_digits(return_X_y=True)
    x = (x / 16).reshape(-1, 8, 8, 1).astype("float32")
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="conv_1"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_2"),
            keras.layers.MaxPooling2D(name="pool"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dropout(0.3, name="dropout"),
            keras.layers.Dense(10, name="logits"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    training, held_back = (x[:1536], y[:1536]), (x[1536:], y[1536:])
    monitor = tbgrad.GradientMonitor(logdir, curvature=tbgrad.Curvature(data=training))
    done = model.fit(
        *training,
        epochs=epochs,
        verbose=0,
        validation_data=held_back,
        callbacks=[monitor],
    ).history
    print(f"loss {done['loss'][-1]:.3g}, {done['val_accuracy'][-1]:.1%} of new digits right")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/cnn")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
