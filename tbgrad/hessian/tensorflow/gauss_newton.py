"""The Gauss–Newton operator: the Hessian without the curvature of the network itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tbgrad.hessian.errors import HessianError
from tbgrad.hessian.tensorflow.operator import (
    TensorFlowOperator,
    checked_scalar,
    run_graph,
    traced,
)
from tbgrad.hessian.tensorflow.variables import FlatVariables


class GaussNewtonOperator(TensorFlowOperator):
    """G = Jᵀ L J, with J the Jacobian of the outputs and L the Hessian of the loss by the outputs.

    Positive semi-definite where the loss is convex in the outputs, as mean squared error and cross
    entropy of logits are, for which it is the Fisher matrix too. At weights that fit the data it is
    the Hessian (Schraudolph, "Fast curvature matrix-vector products for second-order gradient
    descent", Neural Computation 14, 2002; Martens, "New insights and perspectives on the natural
    gradient method", JMLR 21, 2020). What does not go through the outputs, as regularisation of the
    weights, is not in it.

    Args:
        outputs: callable without arguments that returns the outputs, a tensor of any shape or a
            nested structure of them; `model_outputs` makes it, and the loss, from a Keras model.
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

    def multiply_tensor(self, vector: Any) -> tuple[Any, float]:
        """G v and the loss, for a tensor v [n]."""
        flat, loss = run_graph(self._function, vector)
        return flat, float(loss)

    def _traced_product(self, vector: Any) -> tuple[Any, Any]:
        variables = self.variables.variables
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(variables)
            nested = self._outputs()
            outputs = [tf.convert_to_tensor(output) for output in tf.nest.flatten(nested)]
            # ∂⟨Jᵀ u, v⟩/∂u = J v: two sweeps backward make one forward.
            duals = [tf.zeros_like(output) for output in outputs]
            tape.watch(duals)
            pulled = tape.gradient(outputs, variables, output_gradients=duals)
            if all(gradient is None for gradient in pulled):
                raise HessianError(
                    "The outputs depend on none of the variables: outputs must compute from the "
                    "variables themselves, and variables must be those it uses."
                )
            inner = self.variables.inner(pulled, vector)
        pushed = tape.gradient(inner, duals, unconnected_gradients="zero")
        constant = [tf.stop_gradient(output) for output in outputs]
        loss, curved = self._curved(nested, constant, pushed)
        return self.variables.flat(tape.gradient(outputs, variables, output_gradients=curved)), loss

    def _curved(self, nested: Any, outputs: list[Any], directions: list[Any]) -> tuple[Any, Any]:
        """The loss, and L u for directions u of the shapes of the outputs."""
        with tf.GradientTape() as outer:
            outer.watch(outputs)
            with tf.GradientTape() as inner:
                inner.watch(outputs)
                loss = self._loss(tf.nest.pack_sequence_as(nested, outputs))
                loss = checked_scalar(loss, self.variables.tf_dtype)
            gradients = inner.gradient(loss, outputs)
            if all(gradient is None for gradient in gradients):
                raise HessianError("The loss does not depend on the outputs it is given.")
            along = tf.add_n(
                [
                    tf.reduce_sum(gradient * direction)
                    for gradient, direction in zip(gradients, directions, strict=True)
                    if gradient is not None
                ]
            )
        return loss, outer.gradient(along, outputs, unconnected_gradients="zero")
