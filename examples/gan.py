"""A GAN: two models, two optimizers, one run with two groups.

The generator is to make points around eight places on a circle. Each model has a monitor of its
own with a `group`, and is shown as a run of its own: `generator`, `discriminator`.

What to look for:

* The losses hardly say anything: 0.8 and 1.3 throughout, while the points go from nowhere to all
  eight places (it prints how many at the end).
* The gradient norms say more. Both fall for a thousand steps, to 0.1, then rise together, to 0.6
  and 0.8: neither model has won. One norm that dies away beside the other would say so.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

import tbgrad

NOISE = 8
PLACES = 2 * np.pi * np.arange(8) / 8
CENTERS = np.stack([np.cos(PLACES), np.sin(PLACES)], 1)


class Gan(keras.Model):
    """A generator and a discriminator that take turns."""

    def __init__(self):
        super().__init__()
        layers = keras.layers
        self.generator = keras.Sequential(
            [
                layers.Input((NOISE,)),
                layers.Dense(64, activation="relu", name="hidden_1"),
                layers.Dense(64, activation="relu", name="hidden_2"),
                layers.Dense(2, name="point"),
            ],
            name="generator",
        )
        self.discriminator = keras.Sequential(
            [
                layers.Input((2,)),
                layers.Dense(64, activation="leaky_relu", name="hidden_1"),
                layers.Dense(64, activation="leaky_relu", name="hidden_2"),
                layers.Dense(1, name="real"),
            ],
            name="discriminator",
        )
        self.generator_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
        self.discriminator_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)

    def train_step(self, real):
        count = tf.shape(real)[0]
        judged = keras.losses.BinaryCrossentropy(from_logits=True)
        made = self.generator(tf.random.normal((count, NOISE)))
        with tf.GradientTape() as tape:
            right = judged(0.9 * tf.ones((count, 1)), self.discriminator(real))
            d_loss = right + judged(tf.zeros((count, 1)), self.discriminator(made))
            scaled = self.discriminator_optimizer.scale_loss(d_loss)
        weights = self.discriminator.trainable_variables
        self.discriminator_optimizer.apply(tape.gradient(scaled, weights), weights)
        with tf.GradientTape() as tape:
            made = self.generator(tf.random.normal((count, NOISE)))
            g_loss = judged(tf.ones((count, 1)), self.discriminator(made))
            scaled = self.generator_optimizer.scale_loss(g_loss)
        weights = self.generator.trainable_variables
        self.generator_optimizer.apply(tape.gradient(scaled, weights), weights)
        return {"loss": g_loss, "discriminator_loss": d_loss}


def main(logdir="runs/gan", epochs=100, seed=0):
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    points = CENTERS[rng.integers(0, 8, 4096)] + rng.normal(0, 0.05, (4096, 2))
    model = Gan()
    model.compile()
    monitors = [
        tbgrad.GradientMonitor(logdir, group="generator", optimizer=model.generator_optimizer),
        tbgrad.GradientMonitor(
            logdir, group="discriminator", optimizer=model.discriminator_optimizer
        ),
    ]
    model.fit(
        points.astype("float32"), batch_size=128, epochs=epochs, verbose=0, callbacks=monitors
    )
    made = model.generator(rng.normal(size=(1000, NOISE)).astype("float32")).numpy()
    distances = np.linalg.norm(made[:, None] - CENTERS, axis=-1)
    near = distances.min(1) < 0.2
    places = np.unique(distances.argmin(1)[near])
    print(f"{len(places)} of 8 places found, {near.mean():.0%} of the points there")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/gan")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
