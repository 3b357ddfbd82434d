"""The Gauss–Newton operator: the Hessian without the curvature of the network itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tbgrad.training.hessian.errors import HessianError
from tbgrad.training.hessian.linear import SymmetricOperator, checked_scalar, run, traced
from tbgrad.training.hessian.variables import FlatVariables


class GaussNewtonOperator(SymmetricOperator):
    """G = Jᵀ L J, with J the Jacobian of the outputs and L the Hessian of the loss by the outputs.

    Positive semi-definite where the loss is convex in the outputs, as mean squared error and cross
    entropy of logits are, for which it is the Fisher matrix too. At weights that fit the data it is
    the Hessian (Schraudolph, "Fast curvature matrix-vector products for second-order gradient
    descent", Neural Computation 14, 2002; Martens, "New insights and perspectives on the natural
    gradient method", JMLR 21, 2020). What does not go through the outputs, as regularisation of the
    weights, is not in it.

    Args:
        outputs: callable without arguments that returns the outputs, a tensor of any shape.
        loss: callable that takes the outputs and returns a scalar tensor.
        variables: the Keras or TensorFlow variables that the outputs depend on.

    Raises:
        HessianError: as `HessianOperator` says.

    >>> w = tf.Variable([1.0, 2.0])
    >>> operator = GaussNewtonOperator(lambda: w**2, lambda y: tf.reduce_sum(y**2), [w])
    >>> operator.product([1.0, 0.0])
    array([8., 0.], dtype=float32)
    """

    def __init__(
        self,
        outputs: Callable[[], Any],
        loss: Callable[[Any], Any],
        variables: Sequence[Any],
    ) -> None:
        super().__init__(FlatVariables(variables))
        self._outputs, self._loss = outputs, loss
        self._function = traced(self._traced_product, self.variables.signature)

    def _product(self, vector: Any) -> tuple[Any, float]:
        flat, loss = run(self._function, vector)
        return flat, float(loss)

    def _traced_product(self, vector: Any) -> tuple[Any, Any]:
        variables = self.variables.variables
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(variables)
            outputs = tf.convert_to_tensor(self._outputs())
            # ∂⟨Jᵀ u, v⟩/∂u = J v: two sweeps backward make one forward.
            dual = tf.zeros_like(outputs)
            tape.watch(dual)
            pulled = tape.gradient(outputs, variables, output_gradients=dual)
            if all(gradient is None for gradient in pulled):
                raise HessianError(
                    "The outputs depend on none of the variables: outputs must compute from the "
                    "variables themselves, and variables must be those it uses."
                )
            inner = self.variables.inner(pulled, vector)
        pushed = tape.gradient(inner, dual)
        loss, curved = self._curved(tf.stop_gradient(outputs), pushed)
        return self.variables.flat(tape.gradient(outputs, variables, output_gradients=curved)), loss

    def _curved(self, outputs: Any, direction: Any) -> tuple[Any, Any]:
        """The loss, and L u for a direction u of the shape of the outputs."""
        with tf.GradientTape() as outer:
            outer.watch(outputs)
            with tf.GradientTape() as inner:
                inner.watch(outputs)
                loss = checked_scalar(self._loss(outputs), self.variables.tf_dtype)
            gradient = inner.gradient(loss, outputs)
            if gradient is None:
                raise HessianError("The loss does not depend on the outputs it is given.")
            along = tf.reduce_sum(gradient * direction)
        product = outer.gradient(along, outputs)
        return loss, tf.zeros_like(outputs) if product is None else product
