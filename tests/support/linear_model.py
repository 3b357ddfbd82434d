"""A linear model whose gradients have a closed form, and the ways to train it."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

import tbgrad

BATCH, STEPS, INPUTS, OUTPUTS, RATE = 16, 12, 5, 3, 0.05
FITTED = {"graph": {"jit_compile": False}, "xla": {"jit_compile": True}}
RNG = np.random.default_rng(5)
X = RNG.standard_normal((BATCH * STEPS, INPUTS)).astype(np.float32)
Y = RNG.standard_normal((BATCH * STEPS, OUTPUTS)).astype(np.float32)
W = RNG.standard_normal((INPUTS, OUTPUTS)).astype(np.float32)


def linear(name="linear", w=W):
    model = keras.Sequential([keras.Input((w.shape[0],)), keras.layers.Dense(
        w.shape[1], use_bias=False, name=name)])  # fmt: skip
    model.set_weights([w])
    return model


def gradient_norms(w=W, x=X, y=Y, steps=STEPS, update=None):
    """Norms of the gradients of the mean squared error along plain gradient descent, in float64."""
    w, norms = w.astype(np.float64), []
    for step in range(steps):
        xb = x[step * BATCH : (step + 1) * BATCH].astype(np.float64)
        yb = y[step * BATCH : (step + 1) * BATCH].astype(np.float64)
        gradient = 2 / yb.size * xb.T @ (xb @ w - yb)
        norms.append(np.linalg.norm(gradient))
        w = w - RATE * gradient if update is None else update(w, gradient)
    return np.array(norms), w


def fit(model, *callbacks, x=X, y=Y, **arguments):
    model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=callbacks, **arguments)


def norms_in(logdir, run="."):
    series = tbgrad.read(logdir)[run]["gradient/norm"]
    return series.steps, series.values


COMPILED = {
    "eager": lambda step: step,
    "graph": tf.function,
    "xla": lambda step: tf.function(step, jit_compile=True),
}
EAGER = {"eager": {"run_eagerly": True}}


def batch(step, x=X, y=Y):
    part = slice(step * BATCH, (step + 1) * BATCH)
    return x[part], y[part]


def writer_for(logdir, model, optimizer, **arguments):
    return tbgrad.GradientSummaryWriter(
        logdir, model.trainable_variables, optimizer=optimizer, **{"every": 1} | arguments
    )


def own_loop(model, optimizer, writer, compiled, x=X, steps=STEPS, apply=None, before=None):
    """A training loop of one's own; scales the loss where the optimizer wants it.

    `before` is called ahead of every step with the number of those that are done.
    """

    def train_step(xb, yb):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(xb) - yb))
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        writer.observe(gradients, loss=loss)
        if apply is None:
            optimizer.apply(gradients, model.trainable_variables)
        else:
            apply(gradients)

    train_step = compiled(train_step)
    for step in range(steps):
        if before is not None:
            before(step)
        train_step(*map(tf.constant, batch(step % STEPS, x)))
