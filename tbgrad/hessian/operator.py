"""Symmetric operators that are known by their products, of any framework or of none."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.hessian.errors import HessianError, NotFiniteError
from tbgrad.hessian.rows import HostRows, Rows, Vector


def underflow(scale: float, size: int, dtype: np.dtype[np.floating]) -> float:
    """Bound on the 2-norm by which a product of n rows is off for numbers that are too small.

    Each of n summands in each of n entries is off by half the smallest number that there is. Of an
    operator of `scale` zero, all of whose products are zero, nothing is.
    """
    smallest = float(np.finfo(dtype).smallest_subnormal)
    return 0.5 * float(size) ** 1.5 * smallest if scale > 0 else 0.0


class SymmetricOperator(ABC):
    """A symmetric matrix A [n, n] that is known by its products A v.

    A class derived from it says how to multiply:

        class MatrixOperator(SymmetricOperator):
            def __init__(self, matrix):
                super().__init__(len(matrix), matrix.dtype)
                self.matrix = matrix

            def multiply(self, vector):
                return self.matrix @ vector, 0.0

    Where vectors are not arrays in host memory, it says too how long vectors are kept (`rows`) and
    who solves the small eigenproblems (`eigh`, `eigvalsh`).

    Attributes:
        size: n.
        dtype: of the products, float32 or float64.
        products: number of products computed so far.
        deterministic: whether `prepare` has passed.
        last_seconds: wall-clock time that the last product took.
        method: how products are computed.
        error: how far a product with a unit vector may be off (2-norm), as a share of the largest
            eigenvalue, where it was last asked for by `relative_error`.

    Raises:
        HessianError: the dtype is not one of floating-point numbers.
    """

    method: str = "exact"
    error: float = 0.0

    def __init__(self, size: int, dtype: np.dtype[Any]) -> None:
        self.size, self.dtype = size, np.dtype(dtype)
        if self.dtype.kind != "f":
            raise HessianError(f"An operator is of floating-point numbers, not of {dtype}.")
        self.products = 0
        self.deterministic = False
        self.last_seconds = 0.0

    @abstractmethod
    def multiply(self, vector: Vector) -> tuple[Vector, float]:
        """A v and the value of the loss that A is the Hessian of; any constant if of none."""

    def rows(self, capacity: int) -> Rows:
        """Room for `capacity` vectors of n entries, where the products are."""
        return HostRows(self.size, self.dtype, capacity)

    def eigh(self, matrix: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Eigenvalues [m], rising, and unit eigenvectors [m, m] as columns of a small matrix."""
        values, vectors = np.linalg.eigh(matrix)
        return values, vectors

    def eigvalsh(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Eigenvalues [m], rising, of a symmetric matrix [m, m]."""
        values: NDArray[Any] = np.linalg.eigvalsh(matrix)
        return values

    def product(self, vector: Any) -> NDArray[Any]:
        """A v at the current weights: shape [n], for `vector` of shape [n].

        The first time it is preceded by `prepare`.

        Raises:
            HessianError: `vector` has another shape, the loss or the product is not finite, or as
                `prepare` says.
        """
        if not self.deterministic:
            self.prepare()
        return np.asarray(self.apply(vector)[0])

    def apply(self, vector: Any) -> tuple[Vector, float]:
        """A v where the products are, and the loss, which costs nothing.

        Raises:
            HessianError: `vector` has another shape, or the loss or the product is not finite.
        """
        vector = self._as_vector(vector)
        if vector.shape != (self.size,):
            raise HessianError(
                f"vector has shape {tuple(vector.shape)}, but the variables have {self.size} "
                f"entries: pass shape ({self.size},)."
            )
        begun = time.perf_counter()
        result, loss = self.multiply(vector)
        result = self._as_vector(result)
        finite = self._is_finite(result)
        self.last_seconds = time.perf_counter() - begun
        self.products += 1
        require_finite(loss)
        if not finite:
            raise NotFiniteError(
                "The Hessian–vector product is not finite although the loss is: look for a root, "
                "a norm or a logarithm at zero in the loss, or a float16 overflow."
            )
        return result, loss

    def check_deterministic(self, vector: Any = None) -> NDArray[Any]:
        """Compute A v twice and compare; return it. Costs two products.

        Args:
            vector: v, of shape [n]; a random one if None.

        Raises:
            HessianError: the two differ by more than rounding.
        """
        if vector is None:
            vector = np.random.default_rng(0).standard_normal(self.size)
        (first, loss), (second, again) = (self.apply(vector) for _ in range(2))
        # Non-deterministic summation on a GPU stays far below a thousandth, dropout far above.
        size = max(np.linalg.norm(first), np.linalg.norm(second))
        moved = abs(loss - again) > 1e-3 * max(abs(loss), abs(again))
        if moved or np.linalg.norm(first - second) > 1e-3 * size:
            raise HessianError(
                "The loss is not deterministic: two products with the same vector differ. "
                "Evaluate it on one fixed batch without shuffling or augmentation, and with "
                "dropout off (training=False)."
            )
        self.deterministic = True
        return np.asarray(first)

    def prepare(self) -> None:
        """What is to be seen to once, before the first product that counts."""
        self.check_deterministic()

    def begin(self) -> None:
        """What is to be seen to ahead of every computation."""
        if not self.deterministic:
            self.prepare()

    def relative_error(self) -> float:
        """`error` as of the computation that has begun."""
        return self.error

    def as_scipy(self) -> Any:
        """This operator as a `scipy.sparse.linalg.LinearOperator` [n, n].

        Raises:
            ImportError: SciPy is not installed.
        """
        from scipy.sparse.linalg import LinearOperator

        return LinearOperator(
            (self.size, self.size), matvec=lambda v: self.product(v.ravel()), dtype=self.dtype
        )

    def _as_vector(self, vector: Any) -> Vector:
        return np.asarray(vector, dtype=self.dtype)

    def _is_finite(self, vector: Vector) -> bool:
        return bool(np.isfinite(vector).all())


def operator_of(loss: Any, variables: Sequence[Any] | None) -> SymmetricOperator:
    """The operator that was given, or the Hessian of a loss, which takes TensorFlow.

    Raises:
        HessianError: there are both an operator and variables, or as HessianOperator says.
        ImportError: TensorFlow is needed and not installed.
    """
    if not isinstance(loss, SymmetricOperator):
        # The one place where the numerics ask for a framework: through the door, which is lazy.
        from tbgrad import hessian

        return hessian.HessianOperator(loss, () if variables is None else variables)
    if variables is not None:
        raise HessianError("Pass either an operator or loss and variables, not both.")
    return loss


def require_finite(loss: float) -> None:
    """Raise NotFiniteError where the loss is not finite."""
    if not math.isfinite(loss):
        raise NotFiniteError(
            f"The loss is {loss} at the current weights, so its Hessian means nothing: "
            f"check the weights and the batch for non-finite values."
        )
