"""The Hessian of a loss as a linear operator: traced functions, never the matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.training.hessian.batches import BatchedLoss, Loss, mean_over, whole
from tbgrad.training.hessian.errors import HessianError, NoSecondDerivativeError
from tbgrad.training.hessian.linear import (
    SymmetricOperator,
    checked_scalar,
    require_finite,
    run,
    traced,
)
from tbgrad.training.hessian.variables import FlatVariables

Method = Literal["reverse over reverse", "forward over reverse", "finite differences"]

CLEARLY = 0.85
"""Forward over reverse is taken where its time is at most this share of the other's."""


class HessianOperator(SymmetricOperator):
    """H = d²loss/dvariables² at the current values of the variables, as products H v.

    The variables are captured and not copied: every product sees the weights of that moment.
    They are flattened in the given order into one vector of `size` entries. The functions are
    traced once, when the operator is made.

    Args:
        loss: callable without arguments that returns a scalar tensor, the same at every call
            (no dropout, no shuffling) and differentiable twice, or a `BatchedLoss`; `model_loss`
            makes both from a Keras model. It is traced into a graph.
        variables: the Keras or TensorFlow variables to differentiate by, at least one.
            A variable that the loss does not use has zero rows and columns.
        method: how products are computed. "reverse over reverse" is the gradient of ⟨gradient, v⟩
            (Pearlmutter, "Fast exact multiplication by the Hessian", 1994), "forward over reverse"
            the derivative of the gradient along v. "finite differences" takes the gradient at
            w ± ε v, with an error that residual bounds contain; it moves the variables and puts
            them back, bit by bit. By default the faster of the first two, which the first
            computation times, and the last where an operation has no second derivative.

    Attributes:
        size: n, the number of scalar parameters.
        dtype: of the products: float64 if any variable is float64, float32 otherwise.
        products: number of products computed so far.
        deterministic: whether `check_deterministic` has passed.
        method: how products are computed.

    Raises:
        HessianError: no variables, a variable that is not floating point, a loss that is not a
            scalar or depends on none of the variables, or an unknown method.

    >>> w = tf.Variable([1.0, 2.0])
    >>> HessianOperator(lambda: tf.reduce_sum(w**3), [w]).product([1.0, 1.0])
    array([ 6., 12.], dtype=float32)
    """

    def __init__(
        self, loss: Loss | BatchedLoss, variables: Sequence[Any], method: Method | None = None
    ) -> None:
        if not callable(loss) and not isinstance(loss, BatchedLoss):
            raise HessianError(
                f"loss must be a callable without arguments that returns a scalar tensor, "
                f"got {type(loss).__name__}: wrap it as lambda: …"
            )
        if method is not None and method not in get_args(Method):
            raise HessianError(f"method is one of {get_args(Method)} or None, got {method!r}.")
        super().__init__(FlatVariables(variables))
        self._batched = loss if isinstance(loss, BatchedLoss) else whole(loss)
        self._functions: dict[str, Any] = {}
        self.method: Method = method or "reverse over reverse"
        self._undecided = method is None
        try:
            self._function(self.method)
        except NoSecondDerivativeError:
            if method is not None:
                raise
            self.method = "finite differences"
            self._function(self.method)

    def prepare(self, vector: Any) -> tuple[Any, float]:
        """See that the loss is deterministic and, once, which exact method is faster.

        Returns H v and the loss. Costs two products, and two more where the method is to be chosen.
        """
        reverse, loss = super().prepare(vector)
        if not self._undecided or self.method == "finite differences":
            return reverse, loss
        reverse_seconds, self._undecided = self.last_seconds, False
        faster = False
        try:
            self.method = "forward over reverse"
            self.product(vector)  # the first call of a function takes longer
            difference = np.linalg.norm(self.product(vector) - reverse)
            agrees = difference <= 1e-3 * np.linalg.norm(reverse)
            faster = bool(agrees and self.last_seconds <= CLEARLY * reverse_seconds)
        except Exception:  # noqa: BLE001 - not every operation has a derivative of this kind
            faster = False
        finally:
            self.method = "forward over reverse" if faster else "reverse over reverse"
        return reverse, loss

    def loss_and_gradient(self) -> tuple[float, NDArray[Any]]:
        """The loss, and its gradient of shape [n], at the current weights.

        Raises:
            HessianError: the loss is not finite.
        """
        flat, loss = mean_over(self._batched, self._function("gradient"))
        require_finite(loss)
        return loss, flat.numpy()

    def _product(self, vector: Any) -> tuple[Any, float]:
        if self.method == "finite differences":
            return self._difference(vector)
        function = self._function(self.method)
        try:
            return mean_over(self._batched, lambda *batch: run(function, vector, *batch))
        except NoSecondDerivativeError:  # some operations tell no sooner than they run
            if self.products:
                raise
            self.method = "finite differences"
            return self._difference(vector)

    def _difference(self, vector: Any) -> tuple[Any, float]:
        """Central differences of the gradient, whose error is of the order ε² + rounding / ε."""
        function = self._function("gradient")
        variables = self.variables
        before = [tf.identity(v) for v in variables.variables]
        weights, length = variables.flat(before), float(tf.norm(vector))
        if not length:
            return tf.zeros_like(vector), mean_over(self._batched, function)[1]
        # The step that balances the two errors where third derivatives are of the order of one.
        epsilon = float(np.finfo(self.dtype).eps) ** (1 / 3)
        epsilon *= max(1.0, float(tf.norm(weights))) / length
        gradients = []
        try:
            for sign in (1.0, -1.0):
                self._assign(variables.split(weights + sign * epsilon * vector))
                gradients.append(mean_over(self._batched, function)[0])
        finally:
            self._assign(before)
        difference = (gradients[0] - gradients[1]) / (2 * epsilon)
        return difference, mean_over(self._batched, function)[1]

    def _assign(self, values: Sequence[Any]) -> None:
        for variable, value in zip(self.variables.variables, values, strict=True):
            variable.assign(value)

    def _function(self, name: str) -> Any:
        if name not in self._functions:
            if name in ("gradient", "finite differences"):
                self._functions[name] = traced(self._traced_gradient, *self._batched.signature)
            else:
                body = {
                    "reverse over reverse": self._traced_reverse,
                    "forward over reverse": self._traced_forward,
                }[name]
                signature = self.variables.signature, *self._batched.signature
                self._functions[name] = traced(body, *signature)
        return self._functions[name]

    def _traced_reverse(self, vector: Any, *batch: Any) -> tuple[Any, Any]:
        variables = self.variables.variables
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(variables)
            loss, gradients = self._loss_and_gradients(batch)
            inner = self.variables.inner(gradients, vector)
        return self.variables.flat(outer.gradient(inner, variables)), loss

    def _traced_forward(self, vector: Any, *batch: Any) -> tuple[Any, Any]:
        variables = self.variables.variables
        with tf.autodiff.ForwardAccumulator(variables, self.variables.split(vector)) as accumulator:
            loss, gradients = self._loss_and_gradients(batch)
            dense = [g if g is None else tf.convert_to_tensor(g) for g in gradients]
        return self.variables.flat([g if g is None else accumulator.jvp(g) for g in dense]), loss

    def _traced_gradient(self, *batch: Any) -> tuple[Any, Any]:
        loss, gradients = self._loss_and_gradients(batch)
        return self.variables.flat(gradients), loss

    def _loss_and_gradients(self, batch: tuple[Any, ...]) -> tuple[Any, list[Any]]:
        variables = self.variables.variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss = checked_scalar(self._batched.loss(*batch), self.variables.tf_dtype)
        gradients = tape.gradient(loss, variables)
        if all(g is None for g in gradients):
            raise HessianError(
                "The loss depends on none of the variables: loss must compute from the variables "
                "themselves (not from copies or NumPy values), and variables must be those it uses."
            )
        return loss, gradients


def operator_of(loss: Any, variables: Sequence[Any] | None) -> SymmetricOperator:
    """The operator that was given, or the Hessian of a loss.

    Raises:
        HessianError: there are both an operator and variables, or as HessianOperator says.
    """
    if not isinstance(loss, SymmetricOperator):
        return HessianOperator(loss, () if variables is None else variables)
    if variables is not None:
        raise HessianError("Pass either an operator or loss and variables, not both.")
    return loss
