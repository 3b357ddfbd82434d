"""A two-layer classifier and its training in NumPy float64: the oracle for what the monitor logs.

Written from the formulas, without TensorFlow: softmax cross-entropy on tanh hidden units, momentum
SGD as Keras defines it (velocity = momentum * velocity - rate * gradient).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


def forward(weights, x):
    w1, b1, w2, b2 = weights
    hidden = np.tanh(x @ w1 + b1)
    return hidden, hidden @ w2 + b2


def loss(weights, x, labels):
    _, logits = forward(weights, x)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_probability[np.arange(len(x)), labels].mean()


def gradient(weights, x, labels):
    _, _, w2, _ = weights
    hidden, logits = forward(weights, x)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    at_logits = exponentials / exponentials.sum(axis=1, keepdims=True)
    at_logits[np.arange(len(x)), labels] -= 1
    at_logits /= len(x)
    at_hidden = at_logits @ w2.T * (1 - hidden**2)
    return [x.T @ at_hidden, at_hidden.sum(0), hidden.T @ at_logits, at_logits.sum(0)]


def hessian(weights, x, labels, difference=1e-5):
    """By central differences of the gradient; symmetrised."""
    shapes = [w.shape for w in weights]
    flat = np.concatenate([w.ravel() for w in weights])

    def flat_gradient(point):
        parts = np.split(point, np.cumsum([np.prod(s) for s in shapes])[:-1])
        parts = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return np.concatenate([g.ravel() for g in gradient(parts, x, labels)])

    columns = []
    for i in range(flat.size):
        step = np.zeros_like(flat)
        step[i] = difference
        columns.append((flat_gradient(flat + step) - flat_gradient(flat - step)) / (2 * difference))
    matrix = np.array(columns)
    return (matrix + matrix.T) / 2


@dataclass
class Training:
    """Every step of a training: gradients, losses, weights before and after the update."""

    gradients: list = field(default_factory=list)
    losses: list = field(default_factory=list)
    before: list = field(default_factory=list)
    after: list = field(default_factory=list)

    def norms(self):
        """[steps, parameters]."""
        return np.array([[np.linalg.norm(g) for g in step] for step in self.gradients])


def train(weights, batches, rate, momentum):
    weights = [np.array(w, dtype=np.float64) for w in weights]
    velocity = [np.zeros_like(w) for w in weights]
    result = Training()
    for x, labels in batches:
        x = np.asarray(x, dtype=np.float64)
        g = gradient(weights, x, labels)
        result.gradients.append(g)
        result.losses.append(loss(weights, x, labels))
        result.before.append(weights)
        velocity = [momentum * v - rate * part for v, part in zip(velocity, g, strict=True)]
        weights = [w + v for w, v in zip(weights, velocity, strict=True)]
        result.after.append(weights)
    return result
