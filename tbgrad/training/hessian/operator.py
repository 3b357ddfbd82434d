"""The Hessian of a loss as a linear operator: one traced function, never the matrix."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Loss = Callable[[], Any]
"""A zero-argument callable that returns the loss as a scalar tensor."""


class HessianError(ValueError):
    """The Hessian of this loss cannot be had; the message names the cause and what to change."""


class NotFiniteError(HessianError):
    """Loss or product are not finite at these weights; at others they may be."""


class HessianOperator:
    """H = d²loss/dvariables² at the current values of the variables, as products H v.

    The variables are captured and not copied: every product sees the weights of that moment.
    They are flattened in the given order into one vector of `size` entries. Products are
    reverse-over-reverse (Pearlmutter, "Fast exact multiplication by the Hessian", 1994): the
    gradient of ⟨gradient, v⟩. The function is traced once, when the operator is made.

    Args:
        loss: callable without arguments that returns a scalar tensor, the same at every call
            (no dropout, no shuffling) and differentiable twice. It is traced into a graph.
        variables: the Keras or TensorFlow variables to differentiate by, at least one.
            A variable that the loss does not use has zero rows and columns.

    Attributes:
        size: n, the number of scalar parameters.
        dtype: of the products: float64 if any variable is float64, float32 otherwise.
        products: number of products computed so far.
        deterministic: whether `check_deterministic` has passed.

    Raises:
        HessianError: no variables, a variable that is not floating point, a loss that is not a
            scalar or depends on none of the variables, or an op without a second derivative.

    >>> w = tf.Variable([1.0, 2.0])
    >>> HessianOperator(lambda: tf.reduce_sum(w**3), [w]).product([1.0, 1.0])
    array([ 6., 12.], dtype=float32)
    """

    def __init__(self, loss: Loss, variables: Sequence[Any]) -> None:
        if not callable(loss):
            raise HessianError(
                f"loss must be a callable without arguments that returns a scalar tensor, "
                f"got {type(loss).__name__}: wrap it as lambda: …"
            )
        self._loss = loss
        self._variables = [_backend_variable(v) for v in variables]
        if not self._variables:
            raise HessianError(
                "There are no trainable variables, so there is no Hessian: variables is empty. "
                "Build the model and check that its layers are trainable."
            )
        for v in self._variables:
            if not (v.dtype.is_floating and v.shape.is_fully_defined()):
                raise HessianError(
                    f"Variable {v.name!r} ({v.dtype.name}, shape {v.shape}) has no Hessian: "
                    f"variables must be floating point and of a fixed shape."
                )
        self._sizes = [int(v.shape.num_elements()) for v in self._variables]
        self.size = sum(self._sizes)
        if not self.size:
            raise HessianError("All variables are empty (0 elements), so there is no Hessian.")
        wide = any(v.dtype == tf.float64 for v in self._variables)
        self._dtype = tf.float64 if wide else tf.float32
        self.dtype: np.dtype[Any] = np.dtype(self._dtype.as_numpy_dtype)
        self.products = 0
        self.deterministic = False
        self._product = self._trace(
            self._traced_product, tf.TensorSpec([self.size], self._dtype, "vector")
        )
        self._gradient: Any = None

    def product(self, vector: Any) -> NDArray[Any]:
        """H v at the current weights: shape [n], for `vector` of shape [n].

        Raises:
            HessianError: `vector` has another shape, or the loss or the product is not finite.
        """
        return self.product_and_loss(vector)[0]

    def product_and_loss(self, vector: Any) -> tuple[NDArray[Any], float]:
        """H v as `product` gives it, and the loss, which comes with it at no cost."""
        vector = np.asarray(vector, dtype=self.dtype)
        if vector.shape != (self.size,):
            raise HessianError(
                f"vector has shape {vector.shape}, but the variables have {self.size} entries: "
                f"pass shape ({self.size},)."
            )
        flat, loss = self._run(self._product, tf.constant(vector))
        self.products += 1
        self._require_finite(loss)
        if not np.isfinite(flat).all():
            raise NotFiniteError(
                "The Hessian–vector product is not finite although the loss is: look for a root, "
                "a norm or a logarithm at zero in the loss, or a float16 overflow."
            )
        return flat, loss

    def loss_and_gradient(self) -> tuple[float, NDArray[Any]]:
        """The loss, and its gradient of shape [n], at the current weights.

        Raises:
            HessianError: the loss is not finite.
        """
        if self._gradient is None:
            self._gradient = self._trace(self._traced_gradient)
        flat, loss = self._run(self._gradient)
        self._require_finite(loss)
        return loss, flat

    def check_deterministic(self, vector: Any = None) -> tuple[NDArray[Any], float]:
        """Compute H v twice and compare; return it and the loss. Costs two products.

        Args:
            vector: v, of shape [n]; a random one if None.

        Raises:
            HessianError: the two differ by more than rounding.
        """
        if vector is None:
            vector = np.random.default_rng(0).standard_normal(self.size)
        (first, loss), (second, again) = (self.product_and_loss(vector) for _ in range(2))
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
        return first, loss

    def _traced_product(self, vector: Any) -> tuple[Any, Any]:
        parts = tf.split(vector, self._sizes)
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(self._variables)
            loss, gradients = self._loss_and_gradients()
            inner = tf.zeros([], self._dtype)
            for gradient, part in zip(gradients, parts, strict=True):
                if gradient is not None:
                    flat = tf.reshape(tf.cast(gradient, self._dtype), [-1])
                    inner += tf.reduce_sum(flat * part)
        return self._flat(outer.gradient(inner, self._variables)), loss

    def _traced_gradient(self) -> tuple[Any, Any]:
        loss, gradients = self._loss_and_gradients()
        return self._flat(gradients), loss

    def _loss_and_gradients(self) -> tuple[Any, list[Any]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            value = self._loss()
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
            loss = tf.cast(value, self._dtype)
        gradients = tape.gradient(loss, self._variables)
        if all(g is None for g in gradients):
            raise HessianError(
                "The loss depends on none of the variables: loss must compute from the variables "
                "themselves (not from copies or NumPy values), and variables must be those it uses."
            )
        return loss, gradients

    def _flat(self, gradients: Sequence[Any]) -> Any:
        return tf.concat(
            [
                tf.zeros([size], self._dtype)
                if gradient is None  # unconnected: the loss is linear in it or does not use it
                else tf.reshape(tf.cast(gradient, self._dtype), [-1])
                for gradient, size in zip(gradients, self._sizes, strict=True)
            ],
            axis=0,
        )

    def _trace(self, function: Callable[..., Any], *signature: Any) -> Any:
        try:
            return tf.function(function, autograph=False).get_concrete_function(*signature)
        except (LookupError, NotImplementedError) as error:
            raise _no_second_derivative(error) from error

    def _run(self, function: Any, *arguments: Any) -> tuple[NDArray[Any], float]:
        try:
            flat, loss = function(*arguments)
        except tf.errors.UnimplementedError as error:
            raise _no_second_derivative(error) from error
        return flat.numpy(), float(loss)

    def _require_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise NotFiniteError(
                f"The loss is {loss} at the current weights, so its Hessian means nothing: "
                f"check the weights and the batch for non-finite values."
            )


def _backend_variable(variable: Any) -> Any:
    # Keras 3 variables are not tf.Variables, and a tape cannot watch them.
    inner = getattr(variable, "value", None)
    value = variable if isinstance(variable, tf.Variable) or callable(inner) else inner
    if not isinstance(value, tf.Variable):
        raise HessianError(
            f"variables must be Keras or TensorFlow variables, got {type(variable).__name__}."
        )
    return value


def _no_second_derivative(error: Exception) -> HessianError:
    match = re.search(r"(?:no entry for: |operation ')([\w/]+)|type: (\w+)", str(error))
    op = f" ({match[1] or match[2]})" if match else ""
    return HessianError(
        f"An op in the loss has no second derivative in TensorFlow{op}: replace it in the model or "
        f"pass a loss without it."
    )
