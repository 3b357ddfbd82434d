"""A loss at many points around the weights, all in one compiled function."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.hessian.batches import BatchedLoss, Loss, whole
from tbgrad.hessian.errors import HessianError
from tbgrad.hessian.tensorflow.operator import checked_scalar, run_graph, traced
from tbgrad.hessian.tensorflow.variables import FlatVariables
from tbgrad.keras.parameters import describe, layouts, trained


class LossPoints:
    """Evaluates a loss where the weights are moved along some directions.

    Args:
        loss: as `HessianOperator` takes it.
        variables: likewise; n entries in all.

    Attributes:
        parameters: what is known of each variable, in the order in which they are flattened.
        size: n.
        samples: of the batches gone through last; 1 for a loss without batches.

    Raises:
        HessianError: there are no variables, or one is not floating point.
    """

    def __init__(self, loss: Loss | BatchedLoss, variables: Sequence[Any]) -> None:
        self._batched = loss if isinstance(loss, BatchedLoss) else whole(loss)
        self._variables = FlatVariables(variables)
        self.parameters = describe(trained(variables))
        self.size, self.dtype = self._variables.size, self._variables.dtype
        self.samples = 0.0
        self._ready: tuple[list[Any], list[list[Any]], Any] | None = None

    @property
    def weights(self) -> NDArray[Any]:
        """The weights as they are: [n]."""
        return np.asarray(self._variables.flat(self._variables.variables))

    @property
    def units(self) -> list[tuple[int, int, int] | None]:
        """Of each parameter the shape in which its middle axis has one entry a unit, or filter.

        None where it has fewer than two axes: a bias, or what a normalization learns.
        """
        return [
            None
            if len(parameter.shape) < 2
            else (-1, layout.units or 1, layout.after if layout.units else layout.size)
            for parameter, layout in zip(self.parameters, layouts(self.parameters), strict=True)
        ]

    def flatten(self, arrays: Sequence[Any] | NDArray[Any], what: str) -> NDArray[Any]:
        """Arrays of the shapes of the variables as one vector [n], or such a vector as it is.

        Raises:
            HessianError: they are of another architecture; `what` names them.
        """
        if isinstance(arrays, np.ndarray) and arrays.shape == (self.size,):
            return arrays.astype(self.dtype)
        shapes = [parameter.shape for parameter in self.parameters]
        parts = [np.asarray(array) for array in arrays]
        if [part.shape for part in parts] != shapes:
            raise HessianError(
                f"{what} is of another architecture: it has arrays of shapes "
                f"{_few([part.shape for part in parts])}, the variables have {_few(shapes)}. Give "
                "an array a variable, in their order."
            )
        return np.concatenate([part.astype(self.dtype).ravel() for part in parts])

    @contextlib.contextmanager
    def along(self, directions: Sequence[NDArray[Any]], *, gradient: bool) -> Iterator[Any]:
        """Inside, a function from coordinates [K, d] to losses [K] and norms of gradients [K].

        Directions are vectors [n], d in number; without `gradient` the norms are None. Afterwards
        the variables are as they were, bit for bit.
        """
        variables = self._variables
        with variables.moving():
            centre = [tf.identity(variable) for variable in variables.variables]
            parts = [variables.split(tf.constant(d, variables.tf_dtype)) for d in directions]

            def at(coordinates: Any, batch: tuple[Any, ...]) -> Any:
                for i, variable in enumerate(variables.variables):
                    moved = [
                        tf.cast(coordinates[j], variable.dtype) * part[i]
                        for j, part in enumerate(parts)
                    ]
                    variable.assign(centre[i] + tf.add_n(moved))
                if not gradient:
                    loss = checked_scalar(self._batched.loss(*batch), variables.tf_dtype)
                    return loss, tf.zeros([0], variables.tf_dtype)
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(variables.variables)
                    loss = checked_scalar(self._batched.loss(*batch), variables.tf_dtype)
                return loss, variables.flat(tape.gradient(loss, variables.variables))

            def all_of(coordinates: Any, *batch: Any) -> Any:
                like = (variables.tf_dtype, variables.tf_dtype)
                return tf.map_fn(
                    lambda each: at(each, batch),
                    coordinates,
                    fn_output_signature=like,
                    parallel_iterations=1,  # each moves the same variables
                )

            signature = tf.TensorSpec([None, len(directions)], variables.tf_dtype)
            function = traced(all_of, signature, *self._batched.signature)
            yield lambda coordinates: self._mean(function, coordinates, gradient=gradient)

    def _mean(
        self, function: Any, coordinates: NDArray[Any], *, gradient: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Over all batches, each weighted by its samples."""
        points = tf.constant(coordinates, self._variables.tf_dtype)
        losses, gradients, total = np.zeros(len(coordinates)), np.zeros((len(coordinates), 0)), 0.0
        for batch, samples in self._batched.batches():
            some, vectors = run_graph(function, points, *batch)
            total += samples
            share = samples / total
            losses = (1 - share) * losses + share * some.numpy().astype(np.float64)
            if gradient:
                vectors = vectors.numpy().astype(np.float64)
                gradients = vectors if share == 1 else (1 - share) * gradients + share * vectors
        if not total:
            raise HessianError("The data of the loss have no batch: give at least one sample.")
        self.samples = total
        return losses, np.linalg.norm(gradients, axis=1) if gradient else None


def _few(shapes: list[tuple[int, ...]]) -> str:
    return f"{shapes[:4]}{' and more' if len(shapes) > 4 else ''}"
