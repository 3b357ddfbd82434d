"""Where the gradient vanishes near the weights, and what that point is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad import hessian
from tbgrad.analysis.descent import Descent
from tbgrad.hessian.batches import BatchedLoss, Loss
from tbgrad.hessian.errors import HessianError
from tbgrad.log.critical_point import CriticalPoint, Kind
from tbgrad.log.share import Share

AHEAD = 3.0
"""One more step changes an eigenvalue by so large a share of what all that are left would: where
they come to a degenerate point, each is half as long as the one before."""


def find_critical_point(
    loss: Loss | BatchedLoss | hessian.HessianOperator,
    variables: Sequence[Any] | None = None,
    *,
    tol: float = 1e-4,
    max_products: int = 5000,
    max_basis: int = 100,
    progress: bool | None = None,
) -> CriticalPoint:
    """The critical point near the present weights, and whether it is a minimum or a saddle.

    It makes ‖∇L‖ itself smaller, whatever the curvature, and so comes to saddles as to minima: by
    steps of Newton's method, each the one that makes ‖∇L + H p‖ smallest within a trust region
    (Roosta, Liu, Xu and Mahoney, "Newton-MR: inexact Newton method with minimum residual
    sub-problem solver", EURO Journal on Computational Optimization 10, 2022). Then it tells the
    point by the eigenvalues of the Hessian there. The variables are afterwards as they were; to go
    there: `for v, value in zip(variables, found.point): v.assign(value)`.

    Args:
        loss: as for `tbgrad.hessian.eigenvalues`.
        variables: likewise; n entries in all.
        tol: a point is critical where ‖∇L‖ is at most this share of what it was at the start, or
            what rounding leaves of it. The search goes on as long as it gets anywhere, since what
            the eigenvalues are is known the better.
        max_products: the search ends there, the eigenvalues aside.
        max_basis: vectors of n entries in memory: the most products a step.
        progress: as for `tbgrad.hessian.eigenvalues`.

    Returns:
        CriticalPoint. Ctrl-C ends the search with what it has.

    Raises:
        HessianError: as `eigenvalues` says, or an argument is out of range.

    >>> w = tf.Variable([0.5, 0.1])
    >>> find_critical_point(lambda: w[0] ** 2 - w[1] ** 2, [w]).kind
    'saddle'
    """
    return find_critical_points(
        loss, variables, starts=[None], tol=tol, max_products=max_products, max_basis=max_basis,
        progress=progress,
    )[0]  # fmt: skip


def find_critical_points(
    loss: Loss | BatchedLoss | hessian.HessianOperator,
    variables: Sequence[Any] | None = None,
    *,
    starts: Iterable[Any],
    tol: float = 1e-4,
    max_products: int = 5000,
    max_basis: int = 100,
    progress: bool | None = None,
) -> list[CriticalPoint]:
    """The same from many starts, with functions that are traced once.

    Args:
        starts: each an array a variable, in their order, or None for the present weights.

    Returns:
        One a start; after Ctrl-C those that there are.
    """
    if not 0 < tol < 1:
        raise HessianError(f"tol is a share between 0 and 1, got {tol}.")
    if max_products < 1 or max_basis < 1:
        raise HessianError("max_products and max_basis are at least 1.")
    operator = _operator(loss, variables)
    found: list[CriticalPoint] = []
    with operator.variables.moving() as move_by:
        for start in starts:
            offset = np.zeros(operator.size, operator.dtype)
            if start is not None:
                offset = _offset(operator, start)
            descent = Descent(operator, move_by, tol, max_products, max_basis, progress)
            found.append(_told(operator, descent, descent.run(offset), progress))
            move_by(np.zeros(operator.size, operator.dtype))
            if found[-1].reason == "interrupted":
                break
    return found


def _operator(loss: Any, variables: Any) -> hessian.HessianOperator:
    if isinstance(loss, hessian.HessianOperator):
        if variables is not None:
            raise HessianError("Pass either an operator or loss and variables, not both.")
        return loss
    return hessian.HessianOperator(loss, () if variables is None else variables)


def _offset(operator: hessian.HessianOperator, start: Any) -> NDArray[Any]:
    """From the present weights to those of a start."""
    now = operator.variables.variables
    shapes = [tuple(variable.shape) for variable in now]
    values = [np.asarray(value, operator.dtype) for value in start]
    if [value.shape for value in values] != shapes:
        raise HessianError(
            f"A start has arrays of shapes {[value.shape for value in values]}, but the variables "
            f"have {shapes}: give an array a variable, in their order."
        )
    before = np.concatenate([v.numpy().astype(operator.dtype).ravel() for v in now])
    offset: NDArray[Any] = np.concatenate([value.ravel() for value in values]) - before
    return offset


def _told(
    operator: hessian.HessianOperator, descent: Descent, reason: str, progress: bool | None
) -> CriticalPoint:
    """What there is where a descent ended, at the weights of the moment."""
    critical = reason in ("converged", "rounding")
    values, errors, ratio, exact = np.zeros(0), np.zeros(0), None, False
    if reason != "interrupted":
        try:
            values, errors, ratio, exact = _spectrum(operator, descent, critical, progress)
        except KeyboardInterrupt:
            reason, critical = "interrupted", False
    below, above = int(np.sum(values < -errors)), int(np.sum(values > errors))
    return CriticalPoint(
        kind=_kind(below, above, len(values)) if critical else "not critical",
        index=below if len(values) else None,
        index_is_exact=exact,
        gradient_norm=descent.norm,
        norms=np.array(descent.norms),
        loss=descent.loss,
        eigenvalues=values,
        errors=errors,
        minimum_ratio=ratio,
        point=[variable.numpy() for variable in operator.variables.variables],
        products=operator.products - descent.products_before,
        gradients=descent.gradients,
        loss_steps=descent.loss_steps,
        reason=reason,
        size=operator.size,
    )


def _kind(below: int, above: int, known: int) -> Kind:
    if below and above:
        return "saddle"
    if above == known:
        return "minimum"
    if below == known:
        return "maximum"
    return "degenerate"


def _spectrum(
    operator: hessian.HessianOperator, descent: Descent, critical: bool, progress: bool | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], Share | None, bool]:
    """Eigenvalues, their errors, the share that is positive, and whether these are all.

    Those of a critical point also have in their errors what is left of the way to it.
    """
    if operator.size <= hessian.MAX_SIZE:
        whole = hessian.spectrum(operator, progress=progress)
        values, errors = whole.eigenvalues[::-1], np.full(operator.size, whole.zero)
        if critical:
            with descent.ahead():
                coming = hessian.spectrum(operator, progress=progress).eigenvalues[::-1]
            errors = errors + AHEAD * np.abs(coming - values)
        return values, errors, whole.minimum_ratio, True
    ends = hessian.eigenvalues(operator, k=4, which="BE", progress=progress)
    rounding = float(np.finfo(operator.dtype).eps) * math.sqrt(operator.size)
    zero = max(operator.relative_error(), rounding) * np.abs(ends.values).max()
    errors = np.maximum(ends.residuals, zero)
    if critical:
        with descent.ahead():
            coming = hessian.eigenvalues(
                operator, k=4, which="BE", start=ends.vectors, progress=progress
            ).values
        errors = errors + AHEAD * np.abs(coming - ends.values)
    ratio = hessian.spectral_density(operator, progress=progress).minimum_ratio
    return ends.values, errors, ratio, False
