"""The numerics on a matrix in NumPy, in an interpreter that never loads TensorFlow."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tbgrad import hessian
from tests.hessian.operators import MatrixOperator

PROGRAM = """
import sys
import numpy as np
from tbgrad.hessian import eigenvalues, matrix, spectral_density, spectrum, trace
from tbgrad.hessian.operator import SymmetricOperator

class MatrixOperator(SymmetricOperator):
    def __init__(self, matrix):
        super().__init__(len(matrix), matrix.dtype)
        self.matrix = matrix

    def multiply(self, vector):
        return self.matrix @ vector, 0.0

a = np.random.default_rng(0).normal(size=(90, 90))
a = a + a.T + 20 * np.eye(90)
true = np.linalg.eigvalsh(a)
operator = MatrixOperator(a)

top = eigenvalues(operator, k=2, which="BE")
assert top.converged and top.reason == "converged"
assert (abs(top.values - true[[-1, 0]]) <= top.residuals).all()
total = trace(operator)
assert total.converged and abs(total.value - true.sum()) <= 4 * total.standard_error
density = spectral_density(operator, steps=40)
assert density.minimum_ratio.low <= np.mean(true > 0) <= density.minimum_ratio.high
np.testing.assert_allclose(spectrum(operator).eigenvalues, true, atol=1e-12)
np.testing.assert_allclose(matrix(operator), a, atol=1e-13)
np.testing.assert_allclose(operator.product(a[0]), a @ a[0])
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


def test_all_of_it_for_a_matrix_in_numpy() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=120)


def test_an_operator_of_integers_is_refused() -> None:
    with pytest.raises(hessian.HessianError, match="floating-point numbers, not of int64"):
        MatrixOperator(np.eye(3, dtype=np.int64))
