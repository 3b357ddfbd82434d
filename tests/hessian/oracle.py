"""A two-layer network in NumPy float64: its own forward pass, gradient and Hessian."""

from __future__ import annotations

import numpy as np


class NumpyMLP:
    """5 inputs, 4 tanh units, 3 classes; mean softmax cross-entropy on 20 samples."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=(20, 5))
        self.labels = rng.integers(0, 3, 20)
        self.weights = [
            rng.normal(size=shape) * scale
            for shape, scale in (((5, 4), 0.7), ((4,), 0.3), ((4, 3), 0.9), ((3,), 0.3))
        ]
        self.flat = np.concatenate([w.ravel() for w in self.weights])

    def _unpack(self, flat: np.ndarray) -> list[np.ndarray]:
        ends = np.cumsum([w.size for w in self.weights])[:-1]
        parts = np.split(flat, ends)
        return [p.reshape(w.shape) for p, w in zip(parts, self.weights, strict=True)]

    def _forward(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w1, b1, w2, b2 = self._unpack(flat)
        hidden = np.tanh(self.x @ w1 + b1)
        logits = hidden @ w2 + b2
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return hidden, weights / weights.sum(axis=1, keepdims=True)

    def loss(self, flat: np.ndarray) -> float:
        _, p = self._forward(flat)
        return float(-np.log(p[np.arange(len(p)), self.labels]).mean())

    def gradient(self, flat: np.ndarray) -> np.ndarray:
        hidden, p = self._forward(flat)
        w2 = self._unpack(flat)[2]
        delta = (p - np.eye(3)[self.labels]) / len(p)
        back = (delta @ w2.T) * (1 - hidden**2)
        return np.concatenate(
            [
                (self.x.T @ back).ravel(),
                back.sum(axis=0),
                (hidden.T @ delta).ravel(),
                delta.sum(axis=0),
            ]
        )

    def hessian(self) -> np.ndarray:
        """Five-point differences of the gradient: error about 1e-11."""
        h = 1e-3
        columns = []
        for e in np.eye(self.flat.size):
            g = [self.gradient(self.flat + s * h * e) for s in (-2, -1, 1, 2)]
            columns.append((g[0] - 8 * g[1] + 8 * g[2] - g[3]) / (12 * h))
        matrix = np.array(columns)
        return (matrix + matrix.T) / 2
