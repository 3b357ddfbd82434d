"""Why computations end, as their results say; and steps of one that is not ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tbgrad import hessian
from tbgrad.hessian.errors import Interrupted
from tbgrad.hessian.iteration import Iteration, Reason, run
from tests.hessian.operators import MatrixOperator, interrupting
from tests.hessian.spectra import SPECTRA, matrix_of

SPREAD = matrix_of(SPECTRA["spread"], np.float64)
LITTLE = {"max_bytes": 12 * SPREAD[0].nbytes}
LOPSIDED = SPREAD + np.triu(np.ones_like(SPREAD))


@pytest.mark.parametrize(
    ("reason", "operator", "settings"),
    [
        ("converged", MatrixOperator(SPREAD), {}),
        ("converged", MatrixOperator(SPREAD), LITTLE),
        ("budget", MatrixOperator(SPREAD), {"tol": 1e-9, "max_products": 5}),
        ("budget", MatrixOperator(SPREAD), {"tol": 1e-9, "max_products": 5} | LITTLE),
        ("noise floor", MatrixOperator(SPREAD.astype("f")), {"tol": 1e-12}),
        ("noise floor", MatrixOperator(SPREAD), {"tol": 1e-17, "max_products": 900} | LITTLE),
        ("noise floor", MatrixOperator(np.eye(50)), {"k": 3} | LITTLE),
        ("not symmetric", MatrixOperator(LOPSIDED), {}),
        ("interrupted", interrupting(SPREAD, 8), {"tol": 1e-9}),
        ("interrupted", interrupting(SPREAD, 8), {"tol": 1e-9} | LITTLE),
    ],
)
def test_eigenvalues(reason: str, operator: Any, settings: Any) -> None:
    found = hessian.eigenvalues(operator, **settings)
    assert found.reason == reason
    assert found.converged == (reason == "converged")


def test_densities() -> None:
    one, many = MatrixOperator(np.eye(9)), MatrixOperator(SPREAD)
    assert hessian.spectral_density(one, steps=5).reason == "converged"
    assert hessian.spectral_density(many).reason == "converged"  # as many steps as dimensions
    assert hessian.spectral_density(many, probes=2, steps=5).reason == "budget"
    stopped = interrupting(SPREAD, 2 + 8)
    assert hessian.spectral_density(stopped, probes=2, steps=5).reason == "interrupted"
    assert hessian.spectrum(one).density().reason == "converged"


class Halving(Iteration[float]):
    """The root of x² = 2 between 1 and 2, until Ctrl-C if there is one."""

    def __init__(self, interrupted_at: int) -> None:
        self.low, self.high, self.steps, self.interrupted_at = 1.0, 2.0, 0, interrupted_at

    @property
    def started(self) -> bool:
        return self.steps > 0

    def step(self) -> Reason | None:
        if self.steps == self.interrupted_at:
            raise Interrupted
        self.steps += 1
        middle = (self.low + self.high) / 2
        self.low, self.high = (middle, self.high) if middle**2 < 2 else (self.low, middle)
        return "converged" if self.high - self.low < 1e-6 else None

    def finish(self, reason: Reason) -> Any:
        return self.low, reason


def test_any_iteration_is_run_until_there_is_a_reason() -> None:
    assert run(Halving(99)) == (pytest.approx(2**0.5, abs=1e-6), "converged")
    assert run(Halving(3)) == (1.375, "interrupted")
    with pytest.raises(Interrupted):
        run(Halving(0))
