"""Whether products are those of a Hessian: of the derivative of the gradient, and symmetric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.differences import Difference
from tbgrad.hessian.errors import HessianError
from tbgrad.log.brief import percent


@dataclass(frozen=True)
class Structure:
    """What the computation of a loss is made of, where that decides about its derivatives.

    Attributes:
        kinks: whether first derivatives may jump, as those of ReLU do. Differences of the gradient
            then see the jumps, which a second derivative at a point does not.
        quantised: whether weights or activations are rounded to few values, so that the gradient is
            a staircase, which has a slope only over many of its steps.
        stops: whether gradients are stopped in the graph itself.
        unsure: operations whose second derivative may be another one than that of the gradient:
            gradients written by hand, Python functions, quantisation, stops inside a function.
    """

    kinks: bool
    quantised: bool
    stops: bool
    unsure: frozenset[str]


class Verdict(NamedTuple):
    """Whether products can be trusted, and in words why not."""

    trusted: bool
    sentence: str = ""


def towards_large_curvature(probe: NDArray[Any], product: NDArray[Any]) -> NDArray[Any]:
    """The direction of a random probe plus twice that of its product: [n]."""
    size = np.linalg.norm(product)
    direction: NDArray[Any] = probe / np.linalg.norm(probe)
    if size:
        direction = direction + 2 * product / size
    return direction


def asymmetry(
    probe: NDArray[Any],
    product_of_probe: NDArray[Any],
    direction: NDArray[Any],
    product: NDArray[Any],
) -> float:
    """|⟨u, A v⟩ − ⟨v, A u⟩| as a share of the larger, for the probe u and a direction v.

    With v `towards_large_curvature`, ⟨v, A u⟩ is at least as large as A u; for a random v it may be
    far smaller, and rounding a large share of it.
    """
    crossed = float(product_of_probe @ direction), float(probe @ product)
    largest = max(abs(c) for c in crossed)
    return abs(crossed[0] - crossed[1]) / largest if largest else 0.0


def judge(
    reference: Difference,
    product: NDArray[Any],
    probe: NDArray[Any],
    product_of_probe: NDArray[Any],
    structure: Structure,
    dtype: np.dtype[Any],
) -> Verdict:
    """Whether a product is that of the differences of the gradient along its direction.

    Gradients that jump, as those of ReLU do, have differences that no second derivative has. They
    cannot refute products of operations whose derivatives are known to be right. Nor can those that
    are vague.
    """
    apart = float(np.linalg.norm(product - reference.product))
    size = max(reference.size, float(np.linalg.norm(product)))
    allowed = 1.5 * reference.error + rounding_share(dtype) * size
    skew = asymmetry(probe, product_of_probe, reference.direction, product)
    says_little = structure.kinks or reference.vague
    explained = apart <= allowed or (says_little and not structure.unsure)
    if explained and skew <= 30 * rounding_share(dtype) and not structure.quantised:
        return Verdict(True)
    names = ", ".join(sorted(structure.unsure)) or "an operation"
    return Verdict(
        False,
        f"along a random direction they differ from differences of the gradient by "
        f"{percent(apart / size)} where rounding explains {percent(allowed / size)} ({names} in "
        f"the loss has a second derivative that is not the derivative of its gradient)",
    )


def rounding_share(dtype: np.dtype[Any]) -> float:
    """What rounding makes of a product at most, as a share of it."""
    return 3e-4 if dtype == np.float32 else 1e-8


def require_symmetric(
    probe: NDArray[Any],
    product_of_probe: NDArray[Any],
    reference: Difference,
    structure: Structure,
) -> None:
    """Raise HessianError where differences are not symmetric by more than they are off."""
    skew = asymmetry(probe, product_of_probe, reference.direction, reference.product)
    size = float(np.linalg.norm(product_of_probe)) / float(np.linalg.norm(probe))
    error = 3 * reference.two_point_error / size if size else np.inf
    if skew > error + 30 * rounding_share(product_of_probe.dtype):
        stops = {"tf.stop_gradient"} if structure.stops else set()
        names = ", ".join(sorted(structure.unsure | stops))
        raise HessianError(
            f"The gradient of this loss is not the gradient of any function, so there is no "
            f"Hessian: its derivative is not symmetric (⟨u, A v⟩ and ⟨v, A u⟩ differ by "
            f"{percent(skew)}). That comes of gradients that are written by hand, reversed or "
            f"stopped{f' ({names})' if names else ''}: give a loss without them; what is to be "
            f"held fixed, such as a target, compute outside of the loss."
        )
