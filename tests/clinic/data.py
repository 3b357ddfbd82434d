"""The data of the clinic: inputs, targets and how many classes (0: numbers to predict)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from sklearn import datasets

Data: TypeAlias = tuple[np.ndarray, np.ndarray, int]


def load(name: str, *, raw: bool = False, raw_targets: bool = False) -> Data:
    """A data set by name, in an order of its own; `raw` leaves the inputs as they were measured."""
    x, y, classes = _SETS[name](raw)
    if not classes and not raw_targets:
        y = (y - y.mean()) / y.std()
    order = np.random.default_rng(0).permutation(len(x))
    y = y.astype(np.int32 if classes else np.float32)
    return x[order], (y if classes else y[:, None])[order], classes


def _table(loader: Callable[..., Any], classes: int) -> Callable[[bool], Data]:
    def made(raw: bool) -> Data:
        options = {} if classes else {"scaled": False}
        x, y = loader(return_X_y=True, **options)
        if not raw:
            x = (x - x.mean(0)) / x.std(0)
        return x.astype(np.float32), y, classes

    return made


def _digits(raw: bool) -> Data:
    x, y = datasets.load_digits(return_X_y=True)
    return (x * 16 if raw else x / 16).astype(np.float32), y, 10  # raw as of bytes, 0 to 256


def _images(raw: bool) -> Data:
    x, y, classes = _digits(raw)
    return x.reshape(-1, 8, 8, 1), y, classes


def _rows(raw: bool) -> Data:
    """An image read row by row, as a sequence of eight."""
    x, y, classes = _digits(raw)
    return x.reshape(-1, 8, 8), y, classes


def _waves(raw: bool) -> Data:
    """Noisy sines of three frequencies: which one?"""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 2000)
    phase = rng.uniform(0, 2 * np.pi, (2000, 1))
    x = np.sin(phase + np.arange(24) * (0.3 + 0.3 * y[:, None])) + rng.normal(0, 0.3, (2000, 24))
    return (x * (100 if raw else 1)).astype(np.float32)[:, :, None], y, 3


def _tokens(_: bool) -> Data:
    """Sequences of twelve kinds of token: which of the first two kinds is there more often?"""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 12, (3000, 16))
    y = (x == 0).sum(1) > (x == 1).sum(1)
    return x.astype(np.int32), y, 2


def _ring(_: bool) -> Data:
    """Points around eight places on a circle, for a generator to imitate."""
    rng = np.random.default_rng(3)
    angle = rng.integers(0, 8, 4000) * np.pi / 4
    x = np.stack([np.cos(angle), np.sin(angle)], 1) + rng.normal(0, 0.05, (4000, 2))
    return x.astype(np.float32), np.zeros(4000), 2


_SETS: dict[str, Callable[[bool], Data]] = {
    "digits": _digits,
    "images": _images,
    "rows": _rows,
    "wine": _table(datasets.load_wine, 3),
    "breast_cancer": _table(datasets.load_breast_cancer, 2),
    "diabetes": _table(datasets.load_diabetes, 0),
    "waves": _waves,
    "tokens": _tokens,
    "ring": _ring,
}
