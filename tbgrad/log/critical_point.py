"""What a point is at which the gradient is almost zero: the record of a search for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.share import Share
from tbgrad.log.text import number

Kind: TypeAlias = Literal["minimum", "saddle", "maximum", "degenerate", "not critical"]


@dataclass(frozen=True, eq=False)
class CriticalPoint:
    """A point at which the gradient is as small as could be reached, and what it is.

    Attributes:
        kind: "minimum", "maximum": all eigenvalues of the Hessian are above, below zero by more
            than their errors; "saddle": there are some of both, whatever the others are;
            "degenerate": none of one sign, and some that are zero within their errors, as along the
            floor of a valley; "not critical": the gradient did not become small enough. All that
            follows is then of the place with the smallest gradient on the way.
        index: eigenvalues below zero by more than their errors; None after "interrupted".
        index_is_exact: whether all eigenvalues are known; otherwise there are at least `index`.
        gradient_norm: ‖∇L‖ at the point.
        norms: [iterations + 1], ‖∇L‖ on the way there, from where it began.
        loss: at the point.
        eigenvalues: float64 in falling order: all [n] of a model of up to 5,000 parameters, else
            the extreme ones; none after "interrupted". Read from a log, of more than 101 that
            are all of them every so manieth, the first and the last included.
        errors: of each, of the same shape: the bound of its computation, and what it would still
            change on the way to the critical point itself, where it is one.
        minimum_ratio: share of the eigenvalues that are positive, with its interval; None after
            "interrupted".
        point: the weights, an array a variable, in their order; a log does not have them.
        products, gradients: Hessian–vector products and gradients spent in all.
        loss_steps: steps that made the loss smaller instead, where ‖∇L‖ had a minimum of its own.
        reason: why the search ended: "converged", "rounding" (the gradient is what rounding leaves
            of it), "stuck" (no step makes ‖∇L‖ or the loss smaller), "budget" or "interrupted".
        size: n, how many weights there are.
    """

    kind: Kind
    index: int | None
    index_is_exact: bool
    gradient_norm: float
    norms: NDArray[np.float64]
    loss: float
    eigenvalues: NDArray[np.float64]
    errors: NDArray[np.float64]
    minimum_ratio: Share | None
    point: list[NDArray[Any]]
    products: int
    gradients: int
    loss_steps: int
    reason: str
    size: int

    def __repr__(self) -> str:
        if self.kind == "not critical":
            more = ": max_products= allows more" if self.reason == "budget" else ""
            what = f"not critical ({self.reason}{more})"
            if self.index is not None:
                least = "" if self.index_is_exact else "at least "
                what += f", {least}{self.index:,} of {self.size:,} eigenvalues below zero"
        elif self.kind == "saddle":
            what = f"saddle of index {'' if self.index_is_exact else 'at least '}{self.index}"
        else:
            what = self.kind
        return (
            f"{what}: loss {number(self.loss, 6)}, gradient norm {number(self.gradient_norm, 3)} "
            f"(from {number(self.norms[0], 3)})"
        )
