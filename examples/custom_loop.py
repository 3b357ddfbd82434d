"""Monitor a training loop of your own: a writer around it, one call in the step."""

import argparse

import keras
import tensorflow as tf
from sklearn.datasets import load_digits

import tbgrad


def main(logdir="runs/custom_loop", epochs=10, seed=0):
    keras.utils.set_random_seed(seed)
    x, y = load_digits(return_X_y=True)
    dataset = tf.data.Dataset.from_tensor_slices((x.astype("float32") / 16, y))
    dataset = dataset.shuffle(2000).batch(64, drop_remainder=True)

    model = keras.Sequential(
        [
            keras.layers.Input((64,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    optimizer = keras.optimizers.Adam(1e-3)
    # A step that creates variables is traced twice, and once more for a batch of another size.
    optimizer.build(model.trainable_variables)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    with tbgrad.GradientSummaryWriter(
        logdir, model.trainable_variables, optimizer=optimizer, every=10
    ) as writer:

        @tf.function(jit_compile=True)
        def train_step(images, labels):
            with tf.GradientTape() as tape:
                loss = loss_fn(labels, model(images, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            writer.observe(gradients, loss=loss)
            optimizer.apply(gradients, model.trainable_variables)

        for _ in range(epochs):
            for images, labels in dataset:
                train_step(images, labels)
    print(f"Look at it: tbgrad report {logdir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("logdir", nargs="?", default="runs/custom_loop")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
