"""The whole Hessian of a small model, and its spectrum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.batches import BatchedLoss, Loss
from tbgrad.hessian.computation import Computation
from tbgrad.hessian.density import SpectralDensity, grid_over
from tbgrad.hessian.errors import HessianError
from tbgrad.hessian.operator import SymmetricOperator
from tbgrad.hessian.quadrature import gaussians
from tbgrad.log.share import Share, rest_of

MAX_SIZE = 5_000


@dataclass(frozen=True, eq=False)
class Spectrum:
    """All n eigenvalues of a Hessian.

    Attributes:
        eigenvalues: [n] float64, rising.
        zero: eigenvalues of a magnitude up to this count as zero: a bound of what the rounding of
            the products moves them by.
        dtype: of the products, which decides about `zero`.
        minimum_ratio: share of eigenvalues above zero, which is 1 at a strict minimum.
        negative_fraction: share of eigenvalues below zero.
        zero_fraction: share of those that count as zero. In float32 it is often the largest of the
            three; a loss in float64 tells the sign of most of them.
        hvps: products spent, with those that an operator spends once.
        seconds: wall-clock time spent.
        loss: value of the loss at these weights.
    """

    eigenvalues: NDArray[np.float64]
    zero: float
    dtype: np.dtype[Any]
    hvps: int = 0
    seconds: float = 0.0
    loss: float = math.nan

    @property
    def minimum_ratio(self) -> Share:
        """Share of eigenvalues above zero."""
        return self._above(self.eigenvalues)

    @property
    def negative_fraction(self) -> Share:
        """Share of eigenvalues below zero."""
        return self._above(-self.eigenvalues)

    @property
    def zero_fraction(self) -> Share:
        """Share of eigenvalues that rounding does not let tell from zero."""
        return rest_of(self.minimum_ratio, self.negative_fraction)

    def density(self, broadening: float | None = None) -> SpectralDensity:
        """The density of these eigenvalues, as `spectral_density` gives an estimate of it."""
        size = len(self.eigenvalues)
        weights = np.full(size, 1 / size)
        grid, width = grid_over(self.eigenvalues, broadening)
        return SpectralDensity(
            grid=grid,
            density=gaussians(self.eigenvalues, weights, grid, width),
            standard_error=np.zeros(len(grid)),
            broadening=width,
            nodes=self.eigenvalues,
            weights=weights,
            zero=self.zero,
            minimum_ratio=self.minimum_ratio,
            negative_fraction=self.negative_fraction,
            zero_fraction=self.zero_fraction,
            reason="converged",
            hvps=self.hvps,
            seconds=self.seconds,
            loss=self.loss,
        )

    def _above(self, values: NDArray[np.float64]) -> Share:
        # Each may be off by about a quarter of the bound.
        least, most = (np.mean(values > factor * self.zero) for factor in (1.25, 0.75))
        return Share(float(np.mean(values > self.zero)), float(least), float(most))


def matrix(
    loss: Loss | BatchedLoss | SymmetricOperator,
    variables: Sequence[Any] | None = None,
    *,
    max_size: int = MAX_SIZE,
    progress: bool | None = None,
) -> NDArray[Any]:
    """The Hessian of `loss` as a symmetric matrix [n, n], in the precision of its products.

    It takes n products; rows and columns follow the variables, flattened in their order.

    Args:
        loss: as for `eigenvalues`.
        variables: likewise.
        max_size: more parameters than this are refused: the matrix has n² numbers.
        progress: as for `eigenvalues`.

    Raises:
        HessianError: as for `eigenvalues`, or there are too many parameters.

    >>> w = tf.Variable([1.0, 2.0])
    >>> matrix(lambda: tf.reduce_sum(w) ** 2, [w])
    array([[2., 2.],
           [2., 2.]], dtype=float32)
    """
    rows, _ = _rows(loss, variables, max_size, progress)
    symmetric: NDArray[Any] = (rows + rows.T) / 2
    return symmetric


def spectrum(
    loss: Loss | BatchedLoss | SymmetricOperator,
    variables: Sequence[Any] | None = None,
    *,
    max_size: int = MAX_SIZE,
    progress: bool | None = None,
) -> Spectrum:
    """All eigenvalues of the Hessian of `loss`; arguments and errors are those of `matrix`.

    >>> w = tf.Variable([1.0, 2.0])
    >>> spectrum(lambda: tf.reduce_sum(w) ** 2, [w]).eigenvalues.round(6)
    array([0., 4.])
    """
    rows, computation = _rows(loss, variables, max_size, progress)
    wide = rows.astype(np.float64)
    operator = computation.operator
    values = operator.eigvalsh((wide + wide.T) / 2)
    # Of a symmetric matrix with errors E on top: |Δλ| ≤ ‖E‖, and E is as large as E − Eᵀ tells.
    rounding = float(np.linalg.norm(wide - wide.T)) / math.sqrt(2)
    largest = float(np.abs(values).max())
    # What rounds both alike, as the same exponential does, shows in no asymmetry.
    zero = max(
        rounding, operator.relative_error() * largest, float(np.finfo(rows.dtype).eps) * largest
    )
    cost = computation.hvps, computation.seconds, computation.loss
    return Spectrum(values, zero, rows.dtype, *cost)


def _rows(
    loss: Any, variables: Any, max_size: int, progress: bool | None
) -> tuple[NDArray[Any], Computation]:
    with Computation(loss, variables, "Hessian matrix", progress) as computation:
        size = computation.operator.size
        if size > max_size:
            raise HessianError(
                f"The Hessian of {size:,} parameters has {size**2:,} entries, and max_size is "
                f"{max_size:,}: raise it, or use eigenvalues, trace or spectral_density."
            )
        computation.total = size
        rows = np.empty((size, size), computation.operator.dtype)
        unit = np.zeros(size, rows.dtype)
        for i in range(size):
            unit[i] = 1
            rows[i] = computation.product(unit)
            unit[i] = 0
        return rows, computation
