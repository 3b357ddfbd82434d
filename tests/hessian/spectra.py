"""Spectra that are known, and matrices that have them."""

from __future__ import annotations

from typing import Any

import numpy as np

RNG = np.random.default_rng(7)
SPECTRA: dict[str, np.ndarray] = {
    "one": np.array([3.0]),
    "one, negative": np.array([-3.0]),
    "one, zero": np.array([0.0]),
    "two": np.array([1.0, -2.0]),
    "two, equal": np.array([4.0, 4.0]),
    "three": np.array([5.0, 0.0, -1.0]),
    "spread": np.linspace(-1, 10, 60),
    "spread, positive": np.linspace(0.1, 10, 120),
    "spread, negative": np.linspace(-10, -0.1, 120),
    "identity": np.ones(50),
    "minus identity": -np.ones(50),
    "zero": np.zeros(80),
    "rank one": np.r_[7.0, np.zeros(99)],
    "rank one, negative": np.r_[-7.0, np.zeros(99)],
    "rank three": np.r_[7.0, 5.0, -2.0, np.zeros(197)],
    "projector": np.r_[np.ones(40), np.zeros(60)],
    "reflector": np.r_[np.ones(30), -np.ones(30)],
    "top repeated": np.r_[np.full(3, 9.0), np.linspace(-1, 3, 97)],
    "bottom repeated": np.r_[np.full(3, -9.0), np.linspace(-1, 3, 97)],
    "all in pairs": np.repeat(np.linspace(-3, 5, 30), 2),
    "top clustered to 1e-3": np.r_[10 * (1 + 1e-3 * np.arange(5)), RNG.normal(0, 1, 195)],
    "top clustered to 1e-7": np.r_[10 * (1 + 1e-7 * np.arange(5)), RNG.normal(0, 1, 195)],
    "both ends clustered": np.r_[5 + 1e-4 * np.arange(4), -5 - 1e-4 * np.arange(4), np.zeros(92)],
    "semicircle": np.linalg.eigvalsh(np.cov(RNG.normal(size=(150, 300)))) - 1,
    "Marchenko-Pastur": np.linalg.eigvalsh(np.cov(RNG.normal(size=(200, 100)))),
    "network-like": np.r_[2.0 ** np.arange(4, -5, -1), RNG.normal(0, 0.02, 391)],
    "saddle": np.r_[8.0, 3.0, -6.0, RNG.normal(0, 0.1, 197)],
    "symmetric about zero": np.linspace(-4, 4, 101),
    "geometric": 10.0 * 0.8 ** np.arange(150),
    "alternating": (-1.0) ** np.arange(100) * np.linspace(1, 6, 100),
    "tiny bottom": np.r_[np.linspace(1, 10, 99), -1e-3],
    "shifted far": 1e3 + np.linspace(0, 1, 80),
    "huge": 1e12 * np.linspace(-1, 3, 90),
    "tiny": 1e-12 * np.linspace(-1, 3, 90),
    "huge range": np.r_[1e6, 1.0, 1e-6, -1e-6, np.zeros(96)],
    "outlier far away": np.r_[1e5, np.linspace(-1, 1, 199)],
}


def matrix_of(spectrum: np.ndarray, dtype: Any, seed: int = 0) -> np.ndarray:
    n = len(spectrum)
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    a = (q * spectrum) @ q.T
    return ((a + a.T) / 2).astype(dtype)
