"""The gradient of a loss and its derivative along a vector, as graphs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tbgrad.hessian.batches import BatchedLoss
from tbgrad.hessian.errors import HessianError
from tbgrad.hessian.tensorflow.operator import checked_scalar, traced
from tbgrad.hessian.tensorflow.structure import differentiate_stops, structure_of
from tbgrad.hessian.tensorflow.variables import FlatVariables
from tbgrad.hessian.verification import Structure


class Derivatives:
    """Graphs of the derivatives of a loss, each traced when it is first asked for.

    `structure` is that of the loss, known from the first graph on.
    """

    def __init__(self, loss: BatchedLoss, variables: FlatVariables) -> None:
        self._loss, self._variables = loss, variables
        self._graphs: dict[str, Any] = {}
        self.structure = Structure(False, False, False, frozenset())

    @property
    def has_gradient(self) -> bool:
        """Whether the gradient alone has been traced."""
        return "gradient" in self._graphs

    def graph(self, name: str) -> Any:
        """A graph of a method of `HessianOperator`, or of the "gradient".

        It takes a batch and gives the gradient and the loss for "gradient" and "finite
        differences"; for the others it takes a vector before and gives the product before.

        Raises:
            HessianError: the loss is no scalar, depends on none of the variables, or has no
                derivative of this kind.
        """
        if name == "finite differences":
            name = "gradient"
        if name not in self._graphs:
            bodies: dict[str, Callable[..., Any]] = {
                "gradient": self._gradient,
                "reverse over reverse": self._reverse,
                "forward over reverse": self._forward,
            }
            vector = [] if name == "gradient" else [self._variables.signature]
            self._graphs[name] = traced(bodies[name], *vector, *self._loss.signature)
        return self._graphs[name]

    def _reverse(self, vector: Any, *batch: Any) -> tuple[Any, Any, Any]:
        variables = self._variables.variables
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(variables)
            loss, gradients = self._loss_and_gradients(batch)
            inner = self._variables.inner(gradients, vector)
        if self.structure.stops:
            # A tape has not seen what was stopped, the graph has.
            differentiate_stops(tf.compat.v1.get_default_graph())
            second = tf.gradients(inner, variables)
        else:
            second = outer.gradient(inner, variables)
        return self._variables.flat(second), self._variables.flat(gradients), loss

    def _forward(self, vector: Any, *batch: Any) -> tuple[Any, Any, Any]:
        variables = self._variables
        tangents = variables.split(vector)
        with tf.autodiff.ForwardAccumulator(variables.variables, tangents) as accumulator:
            loss, gradients = self._loss_and_gradients(batch)
            dense = [g if g is None else tf.convert_to_tensor(g) for g in gradients]
        if self.structure.stops:
            unsure = frozenset({"StopGradient"})
            self.structure = dataclasses.replace(self.structure, unsure=unsure)
        second = [g if g is None else accumulator.jvp(g) for g in dense]
        return variables.flat(second), variables.flat(dense), loss

    def _gradient(self, *batch: Any) -> tuple[Any, Any]:
        loss, gradients = self._loss_and_gradients(batch)
        return self._variables.flat(gradients), loss

    def _loss_and_gradients(self, batch: tuple[Any, ...]) -> tuple[Any, list[Any]]:
        variables = self._variables.variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss = checked_scalar(self._loss.loss(*batch), self._variables.tf_dtype)
        self.structure = structure_of(tf.compat.v1.get_default_graph())
        gradients = tape.gradient(loss, variables)
        if all(g is None for g in gradients):
            raise HessianError(
                "The loss depends on none of the variables: loss must compute from the variables "
                "themselves (not from copies or NumPy values), and variables must be those it uses."
            )
        return loss, gradients
