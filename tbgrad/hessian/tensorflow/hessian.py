"""The Hessian of a loss as a linear operator: products that are checked, never the matrix."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tbgrad.hessian.batches import BatchedLoss, Loss, mean_over, whole
from tbgrad.hessian.differences import Difference, difference
from tbgrad.hessian.errors import HessianError, NoSecondDerivativeError
from tbgrad.hessian.operator import require_finite
from tbgrad.hessian.rows import Vector
from tbgrad.hessian.tensorflow.derivatives import Derivatives
from tbgrad.hessian.tensorflow.operator import TensorFlowOperator, run_graph
from tbgrad.hessian.tensorflow.rounding import first_step, moved_by_rounding
from tbgrad.hessian.tensorflow.variables import FlatVariables
from tbgrad.hessian.verification import judge, require_symmetric, towards_large_curvature

Method = Literal["reverse over reverse", "forward over reverse", "finite differences"]

FINITE_DIFFERENCES: Method = "finite differences"

SUSPICIOUS = 30.0
"""Where products are off so many times more than before, the loss may have ceased to be
deterministic."""

CLEARLY = 0.85
"""Forward over reverse is taken where its time is at most this share of the other's."""


class HessianOperator(TensorFlowOperator):
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
            computation times, and the last where an operation has no second derivative, or one
            that is not the derivative of its gradient.

    Attributes:
        size: n, the number of scalar parameters.
        dtype: of the products: float64 if any variable is float64, float32 otherwise.
        products: number of products computed so far.
        deterministic: whether `check_deterministic` has passed.
        method: how products are computed.
        error: how far a product with a unit vector may be off (2-norm), as a share of the largest
            eigenvalue: by rounding, or of finite differences, as `prepare` has measured it, and
            `begin` at other weights.

    What a gradient does is what counts: the Hessian is its derivative, also through what stops
    gradients, as `tf.nn.moments` does within LayerNormalization. `prepare` sees to that.

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
        self._derivatives = Derivatives(self._batched, self.variables)
        self.method: Method = method or "reverse over reverse"
        self._undecided = method is None
        self._step = self._least_error = 0.0
        self._direction: Vector | None = None
        self._stale = self._fixed = self._begun = False
        try:
            self._derivatives.graph(self.method)
        except NoSecondDerivativeError:
            if method is not None:
                raise
            self.method = FINITE_DIFFERENCES
            self._derivatives.graph(self.method)

    def prepare(self) -> None:
        """See, once, that the loss is deterministic and that products are those of its Hessian.

        Products are held against differences of the gradient along a random direction that leans to
        where the curvature is large. Where they are not what the gradient does, differences take
        their place, with their error in `error`. It costs two products, and with the first batch
        two more, four gradients or a few times that, and two products where the faster method is
        chosen.

        Raises:
            HessianError: the loss is not deterministic; its gradient is not the gradient of any
                function, so that it has no Hessian; or the method that was asked for is wrong here.
        """
        probe = np.random.default_rng(0).standard_normal(self.size).astype(self.dtype)
        product = self.check_deterministic(probe)
        self.deterministic = False  # until all of it has been seen to
        if self.method != FINITE_DIFFERENCES:
            with self._one_batch():
                self._check_against_gradient(probe)
        if self.method == FINITE_DIFFERENCES:
            self._calibrate(probe, product)
        self.deterministic = True

    @contextlib.contextmanager
    def _one_batch(self) -> Iterator[None]:
        """Inside, the loss is that of the first batch: what is so of one is so of all."""
        every = self._batched
        first = list(itertools.islice(every.batches(), 1))
        self._batched = dataclasses.replace(every, batches=lambda: first)
        try:
            yield
        finally:
            self._batched = every

    def _check_against_gradient(self, probe: NDArray[Any]) -> None:
        product = np.asarray(self.apply(probe)[0])
        seconds = self.last_seconds
        reference = self._gradient_difference(towards_large_curvature(probe, product))
        along = np.asarray(self.apply(reference.direction)[0])
        structure = self._derivatives.structure
        verdict = judge(reference, along, probe, product, structure, self.dtype)
        if not verdict.trusted:
            if not self._undecided:
                raise HessianError(
                    f"Products by {self.method!r} are not those of the Hessian: "
                    f'{verdict.sentence}. Take method="finite differences", or None to have that '
                    f"found out."
                )
            self.method = FINITE_DIFFERENCES
            return
        self._direction = self._where_products_are(reference.direction)
        if structure.unsure and (size := float(np.linalg.norm(along))):
            # Then nothing but the differences vouches for it.
            self._least_error = float(np.linalg.norm(along - reference.product)) / size
        self.error = self._error_along(self._direction, along)
        if self._undecided and not structure.stops:  # forward, stops are not passed
            self._choose_faster(probe, product, seconds)

    def _choose_faster(self, probe: NDArray[Any], reverse: NDArray[Any], seconds: float) -> None:
        self._undecided = faster = False
        try:
            self.method = "forward over reverse"
            self.apply(probe)  # the first call of a function takes longer
            difference = np.linalg.norm(np.asarray(self.apply(probe)[0]) - reverse)
            agrees = difference <= 1e-3 * np.linalg.norm(reverse)
            faster = bool(agrees and self.last_seconds <= CLEARLY * seconds)
        except Exception:  # noqa: BLE001 - not every operation has a derivative of this kind
            faster = False
        finally:
            self.method = "forward over reverse" if faster else "reverse over reverse"

    def begin(self) -> None:
        """Prepare, or find the step of finite differences anew, which costs five gradients or more.

        Raises:
            HessianError: as `prepare` says.
        """
        if self._begun:
            return
        self._begun = self._fixed
        if not self.deterministic:
            self.prepare()
        elif self.method != FINITE_DIFFERENCES:
            self._stale = self._direction is not None
        elif self._direction is not None:
            self._take(self._gradient_difference(np.asarray(self._direction), self._step))

    @contextlib.contextmanager
    def fixed(self) -> Iterator[None]:
        """Inside, weights and loss stay as they are: the first computation begins for all."""
        self._fixed = True
        try:
            yield
        finally:
            self._fixed = self._begun = False

    def relative_error(self) -> float:
        """How far products are off at the weights of now, as a share of the largest eigenvalue.

        Seen once a computation, where it is asked for: it costs two products with the first batch.

        Raises:
            HessianError: the loss has ceased to be deterministic.
        """
        if self._stale:
            assert self._direction is not None
            before, self._stale = self.error, False
            with self._one_batch():
                self.error = self._error_along(self._direction, self.apply(self._direction)[0])
                if self.error > SUSPICIOUS * before:
                    self.check_deterministic(self._direction)
        return self.error

    def _error_along(self, direction: Vector, product: Vector) -> float:
        """How far this product is off (2-norm) by rounding, as a share of it."""
        moved = moved_by_rounding(self.variables, lambda: self.apply(direction)[0], product)
        return max(moved, self._least_error)

    def _calibrate(self, probe: NDArray[Any], product: NDArray[Any]) -> None:
        """Find the step of differences, their error, and whether they are symmetric."""
        reference = self._gradient_difference(towards_large_curvature(probe, product))
        self._direction = reference.direction
        self._take(reference)
        product = np.asarray(self.apply(probe)[0])
        require_symmetric(probe, product, reference, self._derivatives.structure)

    def _where_products_are(self, vector: NDArray[Any]) -> Vector:
        return tf.constant(vector, self.variables.tf_dtype) if self.on_device else vector

    def _take(self, reference: Difference) -> None:
        """The step of two-point differences, and how far they are off."""
        self._step = reference.step
        self.error = reference.two_point_error / reference.size if reference.size else 0.0

    def loss_and_gradient(self) -> tuple[float, NDArray[Any]]:
        """The loss, and its gradient of shape [n], at the current weights.

        Raises:
            HessianError: the loss is not finite.
        """
        flat, loss = mean_over(self._batched, self._derivatives.graph("gradient"))
        require_finite(loss)
        return loss, flat.numpy()

    def multiply_tensor(self, vector: Any) -> tuple[Any, float]:
        """H v and the loss, for a tensor v [n]."""
        if self.method == FINITE_DIFFERENCES:
            return self._two_point_difference(vector)
        function = self._derivatives.graph(self.method)

        def product(*batch: Any) -> tuple[Any, Any]:
            result, _, loss = run_graph(function, vector, *batch)
            return result, loss

        try:
            return mean_over(self._batched, product)
        except NoSecondDerivativeError:  # some operations tell no sooner than they run
            if self.products or not self._undecided:
                raise
            self.method = FINITE_DIFFERENCES
            return self._two_point_difference(vector)

    def _two_point_difference(self, vector: Any) -> tuple[Any, float]:
        """Central differences of the gradient."""
        length = float(tf.norm(vector))
        if not length:
            return tf.zeros_like(vector), self._gradient()[1]
        step = self._step or self._first_step()
        gradients = []
        with self.variables.moving() as move_by:
            for sign in (1.0, -1.0):
                move_by(sign * step / length * vector)
                gradients.append(self._gradient()[0])
        difference = (gradients[0] - gradients[1]) * (length / (2 * step))
        return difference, self._gradient()[1]

    def _gradient_difference(self, direction: NDArray[Any], step: float = 0.0) -> Difference:
        enough = 3e-3 if self.dtype == np.float32 else 1e-7
        with self.variables.moving() as move_by:

            def gradient_at(vector: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
                moved = move_by(vector)
                return self._gradient()[0].numpy(), moved

            return difference(gradient_at, direction, step or self._first_step(), enough)

    def _first_step(self) -> float:
        return first_step(self.variables, quantised=self._derivatives.structure.quantised)

    def _gradient(self) -> tuple[Any, float]:
        """The gradient and the loss, by a function that there is."""
        if self.method == FINITE_DIFFERENCES or self._derivatives.has_gradient:
            return mean_over(self._batched, self._derivatives.graph("gradient"))
        function = self._derivatives.graph(self.method)
        vector = tf.zeros([self.size], self.variables.tf_dtype)
        return mean_over(self._batched, lambda *batch: function(vector, *batch)[1:])
