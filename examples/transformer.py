"""A small transformer learns to write sequences backwards.

Twelve symbols in, the same in reverse order out: each place has to learn to look at one other.

What to look for:

* Loss: it stays near 2.4, where guessing among twelve symbols is, for 50 steps, and is below
  0.1 at step 100. The gradient norm has a bump there, twice what it was before, and falls with the
  loss from then on: a plateau, and the way down from it.
* Learning rate, in the scalars (terminal: `7`): a warm-up over the first tenth, then a cosine.
* `key/bias` of each attention: its gradient is zero but for rounding, 3e-8 and less, in every
  transformer, as it shifts all scores of a query alike. No alert makes anything of it.
"""

import argparse

import keras
import numpy as np

import tbgrad

SYMBOLS, WIDTH, HEADS = 12, 32, 2


class Positions(keras.layers.Layer):
    """Adds to each place of a sequence a vector of its own, which is learned."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer="random_normal", name="table")

    def call(self, x):
        return x + self.table


def transformer(length, blocks):
    """Symbols [batch, length] to the logits of one for each place, [batch, length, SYMBOLS]."""
    entry = keras.Input((length,), dtype="int32")
    x = keras.layers.Embedding(SYMBOLS, WIDTH, name="embedding")(entry)
    x = Positions(name="positions")(x)
    for i in range(blocks):
        attention = keras.layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"attention_{i}")
        normed = keras.layers.LayerNormalization(name=f"norm_{i}a")(x)
        x = x + attention(normed, normed)
        wide = keras.layers.Dense(2 * WIDTH, activation="gelu", name=f"wide_{i}")(
            keras.layers.LayerNormalization(name=f"norm_{i}b")(x)
        )
        x = x + keras.layers.Dense(WIDTH, name=f"narrow_{i}")(wide)
    x = keras.layers.LayerNormalization(name="norm_out")(x)
    return keras.Model(entry, keras.layers.Dense(SYMBOLS, name="out")(x))


def main(logdir="runs/transformer", epochs=20, seed=0, length=12, blocks=2):
    keras.utils.set_random_seed(seed)
    x = np.random.default_rng(seed).integers(0, SYMBOLS, (4096, length)).astype("int32")
    y = x[:, ::-1]
    model = transformer(length, blocks)
    steps = epochs * len(x) // 64
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=3e-3, warmup_steps=max(1, steps // 10)
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    monitor = tbgrad.GradientMonitor(logdir)
    done = model.fit(x, y, batch_size=64, epochs=epochs, verbose=0, callbacks=[monitor]).history
    print(f"loss {done['loss'][-1]:.3g}, {done['accuracy'][-1]:.0%} of the symbols right")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/transformer")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
