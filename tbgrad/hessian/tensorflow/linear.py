"""What operators on the variables of a loss have in common: they are known by their products."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.hessian.errors import HessianError, NoSecondDerivativeError, NotFiniteError
from tbgrad.hessian.tensorflow.variables import FlatVariables


class SymmetricOperator(ABC):
    """A symmetric operator A on the flattened variables of a loss.

    Attributes:
        size: n, the number of scalar parameters.
        dtype: of the products.
        on_device: whether vectors stay tensors on a device with memory of its own.
        products: number of products computed so far.
        deterministic: whether `check_deterministic` has passed.
        last_seconds: wall-clock time that the last product took.
        method: how products are computed.
        error: how far a product with a unit vector may be off (2-norm), as a share of the largest
            eigenvalue.
    """

    method: str = "exact"
    error: float = 0.0

    def __init__(self, variables: FlatVariables) -> None:
        self.variables = variables
        self.size, self.dtype = variables.size, variables.dtype
        self.on_device = variables.on_device
        self.products = 0
        self.deterministic = False
        self.last_seconds = 0.0

    @abstractmethod
    def _product(self, vector: Any) -> tuple[Any, float]:
        """A v and the loss, for a tensor v [n]."""

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

    def apply(self, vector: Any) -> tuple[Any, float]:
        """A v as `product` gives it, a tensor if `on_device`, and the loss, which costs nothing."""
        if not tf.is_tensor(vector):
            vector = np.asarray(vector, dtype=self.dtype)
        if vector.shape != (self.size,):
            raise HessianError(
                f"vector has shape {tuple(vector.shape)}, but the variables have {self.size} "
                f"entries: pass shape ({self.size},)."
            )
        begun = time.perf_counter()
        result, loss = self._product(tf.cast(vector, self.variables.tf_dtype))
        if self.on_device:
            finite = bool(_all_finite(result))
        else:
            result = result.numpy()
            finite = bool(np.isfinite(result).all())
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

    def as_scipy(self) -> Any:
        """This operator as a `scipy.sparse.linalg.LinearOperator` [n, n].

        Raises:
            ImportError: SciPy is not installed.
        """
        from scipy.sparse.linalg import LinearOperator

        return LinearOperator(
            (self.size, self.size), matvec=lambda v: self.product(v.ravel()), dtype=self.dtype
        )


@partial(tf.function, autograph=False, reduce_retracing=True)
def _all_finite(vector: Any) -> Any:
    return tf.reduce_all(tf.math.is_finite(vector))


def traced(function: Callable[..., Any], *signature: Any) -> Any:
    """The function as a graph; raises NoSecondDerivativeError where that is what it lacks."""
    try:
        return tf.function(function, autograph=False).get_concrete_function(*signature)
    except (LookupError, NotImplementedError) as error:
        raise NoSecondDerivativeError(error) from error


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a graph makes of its arguments; raises as `traced` does."""
    try:
        return function(*arguments)
    except (tf.errors.UnimplementedError, tf.errors.NotFoundError) as error:
        raise NoSecondDerivativeError(error) from error


def require_finite(loss: float) -> None:
    """Raise NotFiniteError where the loss is not finite."""
    if not math.isfinite(loss):
        raise NotFiniteError(
            f"The loss is {loss} at the current weights, so its Hessian means nothing: "
            f"check the weights and the batch for non-finite values."
        )


def checked_scalar(value: Any, dtype: Any) -> Any:
    """What a loss returned, in `dtype`; raises HessianError where it is no scalar."""
    if not (tf.is_tensor(value) and value.dtype.is_floating and value.shape.rank == 0):
        what = (
            f"a {value.dtype.name} tensor of shape {value.shape}"
            if tf.is_tensor(value)
            else type(value).__name__
        )
        raise HessianError(
            f"loss must return a scalar floating-point tensor, got {what}: reduce it, "
            f"for example with tf.reduce_mean."
        )
    return tf.cast(value, dtype)
