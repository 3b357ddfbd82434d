"""Gradients that are zero but for rounding, whose direction and noise mean nothing.

The bias of attention's keys shifts all scores of a query alike, and a bias in front of a
BatchNormalization shifts what is centred anyway: their true gradient is zero, and what is computed
is the error of a sum. Against the kernel of the same layer it is of the size of that error, where
the gradient of any other bias is not far from the kernel's.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from tbgrad.log.records import STATISTICS, Parameter

FULL, HALF = 1e-5, 2e-3
"""Norm of a bias' gradient over that of its kernel, below which it is rounding: in float32, and
where the layer computes in 16 bits. Measured: 2e-8 to 2e-6, and 2e-5 to 6e-4, for gradients of
zero; above 6e-3 for all others (tests/monitoring/test_rounding.py)."""

_MEANT = [STATISTICS.index(name) for name in ("cosine", "snr", "dead_fraction")]


class Rounding:
    """Blanks what is told of gradients that are nothing but rounding.

    `halved` are the paths of the layers that compute in 16 bits.
    """

    def __init__(self, parameters: Sequence[Parameter], halved: Container[str] = ()) -> None:
        kernels = {p.layer: row for row, p in enumerate(parameters) if p.role == "kernel"}
        pairs = [
            (row, kernels[p.layer], HALF if p.layer in halved else FULL)
            for row, p in enumerate(parameters)
            if p.role == "bias" and p.layer in kernels
        ]
        biases, behind, limits = zip(*pairs, strict=True) if pairs else ((), (), ())
        self._biases, self._kernels = np.array(biases, np.intp), np.array(behind, np.intp)
        self._limits = np.array(limits, np.float32)

    def blank(self, table: Any) -> None:
        """Make unknown what has no meaning in a table of statistics."""
        norms = table[:, STATISTICS.index("norm")]
        with np.errstate(invalid="ignore"):
            rounding = norms[self._biases] <= self._limits * norms[self._kernels]
            rounding &= norms[self._biases] > 0
        table[np.ix_(self._biases[rounding], _MEANT)] = np.nan
