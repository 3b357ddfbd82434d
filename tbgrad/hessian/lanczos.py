"""Extreme eigenpairs of a symmetric operator by Lanczos with full re-orthogonalisation.

The basis Q and its products W = H Q are both kept. Rayleigh–Ritz on them gives Ritz pairs (θ, y)
and the residual vector W s − θ Q s itself, so that nothing rests on the three-term recurrence: a
breakdown, a warm start from several vectors and a thick restart need no formula of their own. From
a single start vector the residuals are all parallel to the next Lanczos vector, and this is Lanczos
(Parlett, "The Symmetric Eigenvalue Problem", 1998, ch. 13); after a restart it is thick-restart
Lanczos (Wu and Simon, SIAM J. Matrix Anal. Appl. 22, 2000).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.basis import Basis
from tbgrad.hessian.errors import HessianError, Interrupted
from tbgrad.hessian.lean import HALF_FROM, LeanBasis, lean_eigenpairs
from tbgrad.hessian.memory import not_enough, require_free, vectors_in
from tbgrad.hessian.rows import Vector

Which = Literal["LA", "SA", "LM", "BE"]

MIX = 1.0
"""Length of the random direction that is added to a unit warm start. Lanczos takes it out again at
no cost in products (0.01 to 1.0 cost the same on networks), and it lets a new extreme be seen."""

WORKING = 2
"""Vectors that a step works with besides those of the basis."""

AHEAD = 0.3
"""A warm start follows the extreme it was given, and looks only for a new one this much further out
(relatively). Looking for all that is further out than `tol`, as a cold start does, costs what a
cold start costs."""

UNSEEN = 0.1
"""How small a share of the expected size an extreme's part in a random direction may be before it
goes unseen: a normal variate is smaller with a probability of 8 %."""

SURELY_UNSEEN = 0.0125
"""The same with a probability of 1 %: for how far out an eigenvalue may be after all."""

SCALE_FLOOR = 0.01
"""Below this share of the largest |Ritz value| an eigenvalue counts as zero in `tol`."""


@dataclass(frozen=True, eq=False)
class RitzPairs:
    """What Lanczos found: `values` [k] falling, `residuals` [k], `vectors` [k, n] unit rows.

    An eigenvalue lies within values ± residuals, and of the extreme ones on a cold start none lies
    beyond. `products` is what it cost. After Ctrl-C there may be fewer than k.
    """

    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    vectors: NDArray[Any]
    converged: bool
    products: int


def extreme_eigenpairs(
    product: Callable[[Vector], Vector],
    size: int,
    *,
    k: int,
    which: Which,
    tol: float,
    rng: np.random.Generator,
    dtype: np.dtype[Any],
    start: NDArray[Any] | None = None,
    max_products: int = 200,
    max_basis: int = 40,
    max_bytes: int | None = None,
    on_device: bool = False,
    error: float = 0.0,
) -> RitzPairs:
    """The k eigenpairs of the symmetric operator v -> product(v) that `which` names.

    The vectors v are tensors `on_device`, NumPy arrays otherwise. Products with unit vectors may be
    off by the share `error` of the largest eigenvalue.

    Converged means that every residual bound is at most tol · max(|θ|, SCALE_FLOOR · largest |θ|),
    and that an eigenvalue further out would have been seen. The residual alone does not tell that:
    a pair may be exact and not extreme. A start block as wide as the number of values wanted at one
    end finds multiple eigenvalues.
    """
    top, bottom = _ends(k, which)
    block = k if which == "LM" else max(top, bottom)
    capacity = min(size, max(max_basis, 2 * (k + block) + 2))
    warm = start is not None
    ahead = AHEAD if warm else tol
    unseen = UNSEEN * (MIX / math.hypot(1.0, MIX) if warm else 1.0) / math.sqrt(size)
    room = vectors_in(max_bytes, size, dtype)
    if 2 * capacity + WORKING > room:
        rows = min(2 * capacity, (2 if size >= HALF_FROM else 1) * (room - WORKING), size)
        if rows < 2 * k + 4:
            raise HessianError(not_enough(k, size, dtype, 2 * k + 4 + WORKING))
        require_free((room + k) * size * dtype.itemsize)
        found = lean_eigenpairs(
            product,
            LeanBasis(size, dtype, rows),
            _start_directions(start, 1, size, rng)[0].astype(dtype),
            wanted=lambda values, count: _wanted(values, count, which),
            beyond=lambda values: _beyond(values, which, ahead),
            k=k,
            tol=tol,
            scale_floor=SCALE_FLOOR,
            unseen=unseen,
            error=error,
            max_products=max_products,
        )
        pairs = RitzPairs(*found)
        if pairs.converged and not warm:
            floor = SCALE_FLOOR * float(np.abs(pairs.values).max())
            known = tol * np.maximum(np.abs(pairs.values), floor)
            ends = [0] * (which in ("LA", "BE")) + [-1] * (which in ("SA", "BE"))
            pairs.residuals[ends] = np.maximum(pairs.residuals[ends], known[ends])
        return pairs
    basis = Basis(size, dtype, capacity, on_device, error)
    queue = _start_directions(start, min(block, size), size, rng)
    products = 0
    while True:
        q = basis.new_direction(queue.pop(0), rng)
        try:
            basis.append(q, product(q))
            products += 1
        except Interrupted:
            if not basis.count:
                raise
            max_products = 0
        if queue and products < max_products:
            continue
        values, s = basis.ritz()
        wanted = _wanted(values, k, which)
        theta, s_wanted = values[wanted], s[:, wanted]
        residual_vectors, raw = basis.residuals(theta, s_wanted)
        scale = float(np.abs(values).max())
        noise = basis.noise(scale)
        allowed = tol * np.maximum(np.abs(theta), SCALE_FLOOR * scale)
        good = raw + noise <= allowed
        settled = bool(len(wanted) == k and good.all())
        missed = basis.missed(_beyond(values, which, ahead), unseen, noise) if settled else None
        # Below the noise of the products a residual vector is no direction to go.
        stalled = bool(len(wanted) == k and not settled and (good | (raw <= noise)).all())
        converged = settled and missed is None
        if converged or stalled or products >= max_products or basis.count == size:
            bounds = raw + noise
            if converged and not warm:
                _reach_out(bounds, basis, which, theta, allowed, noise)
            return RitzPairs(theta, bounds, basis.vectors(s_wanted), converged, products)
        if missed is None:
            excess = (raw + noise) / np.maximum(allowed, np.finfo(np.float64).tiny)
            missed = residual_vectors[int(np.argmax(excess))]
        queue.append(missed)
        if basis.full:
            basis.compress(s[:, _wanted(values, basis.capacity // 2, which)])


def _reach_out(
    bounds: NDArray[np.float64],
    basis: Basis,
    which: Which,
    theta: NDArray[np.float64],
    allowed: NDArray[np.float64],
    noise: float,
) -> None:
    """Widen the bound of an extreme value to where an eigenvalue further out would have been seen.

    A residual tells that there is an eigenvalue, not that none lies beyond. Where a restart has
    lost the start, that is known to the tolerance alone.
    """
    if basis.count == basis.size:
        return
    unseen = SURELY_UNSEEN / math.sqrt(basis.size)
    ends = [(0, 1.0)] * (which in ("LA", "BE")) + [(-1, -1.0)] * (which in ("SA", "BE"))
    for i, outward in ends:
        if not bounds[i] > 0:
            continue
        if basis.restarted:
            bounds[i] = max(bounds[i], allowed[i])
            continue
        for reach in np.geomspace(bounds[i], max(allowed[i], bounds[i]), 7):
            bounds[i] = reach
            if basis.missed([theta[i] + outward * reach], unseen, noise) is None:
                break


def _ends(k: int, which: Which) -> tuple[int, int]:
    """How many values are wanted at the top and at the bottom; LM may want all at either."""
    return {"LA": (k, 0), "SA": (0, k), "LM": (k, k), "BE": (k - k // 2, k // 2)}[which]


def _beyond(values: NDArray[np.float64], which: Which, ahead: float) -> list[float]:
    """Outside of which values a missed eigenvalue would make the answer wrong."""
    if not values.any():
        return []  # a random direction in the null space means that there is nothing else
    if which == "LM":
        outpost = (1 + ahead) * float(np.abs(values).max())
        return [outpost, -outpost]
    top, bottom = float(values[-1]), float(values[0])
    scale = max(abs(top), abs(bottom))
    above = top + ahead * max(abs(top), SCALE_FLOOR * scale)
    below = bottom - ahead * max(abs(bottom), SCALE_FLOOR * scale)
    return {"LA": [above], "SA": [below], "BE": [above, below]}[which]


def _wanted(values: NDArray[np.float64], k: int, which: Which) -> NDArray[np.intp]:
    """Indices of the wanted among the rising `values`, in falling order of the values."""
    k = min(k, len(values))
    if which == "LM":
        chosen = np.argsort(-np.abs(values), kind="stable")[:k]
        return np.sort(chosen)[::-1]
    top, bottom = _ends(k, which)
    rising: NDArray[np.intp] = np.r_[:bottom, len(values) - top : len(values)]
    return rising[::-1]


def _start_directions(
    start: NDArray[Any] | None, block: int, size: int, rng: np.random.Generator
) -> list[NDArray[Any]]:
    given: list[NDArray[Any]] = []
    for vector in () if start is None else np.asarray(start, dtype=np.float64):
        length = float(np.linalg.norm(vector))
        if 0 < length < math.inf:
            given.append(vector / length)
    directions = []
    for i in range(block):
        direction = rng.standard_normal(size)
        # Dealt out: one direction carries a vector of the top and one of the bottom, which part
        # after one more product, while a direction of its own would cost a product for each.
        if own := given[i::block]:
            direction = sum(own) / math.sqrt(len(own)) + MIX * direction / np.linalg.norm(direction)
        directions.append(direction)
    return directions
