"""A variational autoencoder of digits, and one whose encoder falls silent.

Runs: `beta-1` weighs the divergence of the code as it should be, `beta-10` ten times as much.

What to look for, in the layers (terminal: `5`; tab: the heat map):

* `beta-1`: encoder, mean and decoder have gradients of one size throughout, 0.6 to 2.
* `beta-10`: within a hundred steps those of `encoder`, `mean` and `log_variance` fall to a tenth
  and go on falling, to a hundredth, while those of `decoder` and `pixels` stay: the code says
  nothing of the image any more, which is called posterior collapse. The loss alone, 27 after 25,
  does not tell. In the end most units of the encoder rest in each batch, but other ones each time:
  the alert `dead_units` does not count those.
"""

import argparse

import keras
from sklearn.datasets import load_digits

import tbgrad

LATENT = 4


class Sampled(keras.layers.Layer):
    """Draws a code from the normal distribution that the encoder names; adds its divergence."""

    def __init__(self, weight, **kwargs):
        super().__init__(**kwargs)
        self.weight = weight
        self.noise = keras.random.SeedGenerator(0)

    def call(self, mean, log_variance):
        ops = keras.ops
        divergence = ops.square(mean) + ops.exp(log_variance) - log_variance - 1
        self.add_loss(self.weight * 0.5 * ops.mean(ops.sum(divergence, -1)))
        noise = keras.random.normal(ops.shape(mean), seed=self.noise)
        return mean + ops.exp(0.5 * log_variance) * noise


def autoencoder(weight):
    layers = keras.layers
    image = keras.Input((64,))
    x = layers.Dense(64, activation="relu", name="encoder")(image)
    mean = layers.Dense(LATENT, name="mean")(x)
    log_variance = layers.Dense(LATENT, name="log_variance")(x)
    code = Sampled(weight, name="code")(mean, log_variance)
    x = layers.Dense(64, activation="relu", name="decoder")(code)
    return keras.Model(image, layers.Dense(64, name="pixels")(x))


def error(image, logits):
    """Cross-entropy of all pixels of an image, in nats."""
    each = keras.losses.binary_crossentropy(image, logits, from_logits=True)
    return 64 * each


def main(logdir="runs/vae", epochs=30, seed=0, weights=(1, 10)):
    images = load_digits().data[:1792].astype("float32") / 16  # whole batches of 64
    for weight in weights:
        keras.utils.set_random_seed(seed)
        model = autoencoder(weight)
        model.compile(optimizer=keras.optimizers.Adam(2e-3), loss=error)
        monitor = tbgrad.GradientMonitor(f"{logdir}/beta-{weight}", hparams={"beta": weight})
        done = model.fit(
            images, images, batch_size=64, epochs=epochs, verbose=0, callbacks=[monitor]
        ).history
        print(f"beta {weight}: loss {done['loss'][-1]:.4g}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/vae")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
