"""Blanks the statistics of gradients that are zero but for rounding: they mean nothing."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from tbgrad.log.records import STATISTICS, Parameter
from tbgrad.log.rounding import CENTRED, FULL, HALF, beside_kernels

_MEANT = [STATISTICS.index(name) for name in ("cosine", "snr", "dead_fraction")]


class Rounding:
    """Blanks what is told of gradients that are nothing but rounding.

    `halved` are the paths of the layers that compute in 16 bits, `centred` of those whose bias is
    known to be taken away behind them.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        halved: Container[str] = (),
        centred: Container[str] = (),
    ) -> None:
        pairs = np.array(beside_kernels(parameters), np.intp).reshape(-1, 2)
        self._biases, self._kernels = pairs.T
        layers = [parameters[row].layer for row in self._biases]
        limits = [
            FULL if layer not in halved else CENTRED if layer in centred else HALF
            for layer in layers
        ]
        self._limits = np.array(limits, np.float32)

    def blank(self, table: Any) -> None:
        """Make unknown what has no meaning in a table of statistics."""
        norms = table[:, STATISTICS.index("norm")]
        with np.errstate(invalid="ignore"):
            rounding = norms[self._biases] <= self._limits * norms[self._kernels]
            rounding &= norms[self._biases] > 0
        table[np.ix_(self._biases[rounding], _MEANT)] = np.nan
