"""Biases whose gradient is zero but for rounding: what sets them apart.

The bias of attention's keys shifts all scores of a query alike, and a bias in front of a
BatchNormalization shifts what is centred anyway: their true gradient is zero, and what is computed
is the error of a sum. Against the kernel of the same layer it is of the size of that error, where
the gradient of any other bias is not far from the kernel's.
"""

from __future__ import annotations

from collections.abc import Sequence

from tbgrad.log.records import Parameter

FULL, HALF = 1e-5, 2e-3
"""Norm of a bias' gradient over that of its kernel, below which it is rounding: in float32, and
where the layer computes in 16 bits. Measured: 2e-8 to 6e-6, and 2e-5 to 1.3e-3, for gradients of
zero; seldom below 4e-3 for all others (tests/monitoring/test_rounding.py)."""

CENTRED = 0.3
"""The same of a bias that is known to be taken away, in 16 bits: processors that have no such
numbers sum it in another order, and leave up to 0.11."""


def beside_kernels(parameters: Sequence[Parameter]) -> list[tuple[int, int]]:
    """The rows of biases, each with that of the kernel of its layer."""
    kernels = {p.layer: row for row, p in enumerate(parameters) if p.role == "kernel"}
    return [
        (row, kernels[p.layer])
        for row, p in enumerate(parameters)
        if p.role == "bias" and p.layer in kernels
    ]
