"""Where the gradients are seen: on the way through a Keras optimizer, inside the training step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from tbgrad.training.ring import StatisticsRing

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


def innermost(optimizer: Any) -> Any:
    """The optimizer that updates the variables, inside any `LossScaleOptimizer`."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


class OptimizerTap:
    """Shows a `StatisticsRing` every update of an optimizer while attached.

    `ring_for` gives the ring for the variables of an update; it is asked when an update is traced,
    since a model may create its variables no sooner than that.

    The tap shadows three methods of the optimizer object and nothing else: `scale_loss` hands over
    the loss, `_clip_gradients` receives the gradient that the optimizer acts on (unscaled,
    accumulated, before clipping), and `apply` encloses the whole update, weight decay and
    constraints included. `detach` removes the shadows without a trace. Since the observation is
    traced into the training step, what was compiled while attached goes on observing.

    When an observation cannot be built, `on_error` gets the exception, the tap stays silent from
    then on, and the optimizer goes on as if it had never been there.
    """

    def __init__(
        self,
        optimizer: Any,
        ring_for: Callable[[Sequence[Any]], StatisticsRing],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._outer, self._inner = optimizer, innermost(optimizer)
        self._ring_for = ring_for
        self._on_error = on_error
        self._failed = False
        self._step = _StepInProgress()
        self._shadows: list[tuple[Any, str, Any]] = []

    def attach(self) -> None:
        """Begin to observe. Attaching twice does nothing."""
        if not self._shadows:
            self._shadow(self._outer, "scale_loss", self._scale_loss)
            self._shadow(self._inner, "apply", self._apply)
            self._shadow(self._inner, "_clip_gradients", self._clip_gradients)

    def detach(self) -> None:
        """Give the optimizer its own methods back."""
        while self._shadows:
            owner, name, shadow = self._shadows.pop()
            if owner.__dict__.get(name) is shadow:
                del owner.__dict__[name]

    def expect(self, gradients: Sequence[Any], variables: Sequence[Any], loss: Any) -> None:
        """Announce the gradients of a custom loop, as they are before it changes them itself.

        What the loop does between here and `optimizer.apply` (clipping, say) then shows as the
        difference between the true and the applied gradient.
        """
        self._step.loss = loss
        scaled = self._outer is not self._inner or self._inner.loss_scale_factor is not None
        if not scaled and not self._inner.gradient_accumulation_steps:
            self._step.announced = {
                id(variable): gradient
                for gradient, variable in zip(gradients, variables, strict=True)
            }

    def _shadow(self, owner: Any, name: str, replacement: Callable[..., Any]) -> None:
        original = getattr(owner, name)

        def shadow(*args: Any, **kwargs: Any) -> Any:
            return replacement(original, *args, **kwargs)

        # Past __setattr__, which would make TensorFlow and Keras track the attribute.
        owner.__dict__[name] = shadow
        self._shadows.append((owner, name, shadow))

    def _scale_loss(self, original: Callable[..., Any], loss: Tensor) -> Tensor:
        self._step.loss = loss
        return original(loss)

    def _apply(
        self, original: Callable[..., Any], grads: Any, trainable_variables: Any = None
    ) -> Any:
        grads = list(grads)
        variables = trainable_variables
        if variables is None:
            variables = self._inner._trainable_variables
        self._try(self._before, grads, list(variables))
        result = original(grads, trainable_variables)
        self._try(self._after)
        self._step.clear()
        return result

    def _clip_gradients(self, original: Callable[..., Any], grads: Sequence[Tensor]) -> Any:
        applied = original(grads)
        self._try(self._observe, list(grads), list(applied))
        return applied

    def _before(self, grads: list[Any], variables: list[Any]) -> None:
        self._step.variables = [
            variable
            for gradient, variable in zip(grads, variables, strict=True)
            if gradient is not None and not getattr(variable, "overwrite_with_gradient", False)
        ]
        with tf.init_scope():
            self._step.ring = self._ring_for(variables)
        if self._inner.gradient_accumulation_steps:
            # The update is inside a conditional, out of which `_observe` can hand nothing.
            self._step.values = self._step.ring.values()

    def _after(self) -> None:
        assert self._step.ring is not None
        self._step.ring.finish(self._step.values)

    def _observe(self, grads: list[Any], applied: list[Any]) -> None:
        variables, announced = self._step.variables, self._step.announced
        ring, optimizer = self._step.ring, self._inner
        assert ring is not None
        true = [announced.get(id(v), g) for g, v in zip(grads, variables, strict=True)]
        changed = any(a is not g for a, g in zip(applied, true, strict=True))
        values = ring.observe(
            true,
            variables,
            loss=self._step.loss,
            learning_rate=optimizer.learning_rate,
            applied=applied if changed else None,
            with_values=self._step.values is None,
        )
        self._step.values = self._step.values or values

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def _try(self, function: Callable[..., Any], *args: Any) -> Any:
        if self._failed:
            return None
        try:
            return function(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self._failed = True
            self._on_error(error)
            return None


class _StepInProgress(threading.local):
    """What the shadows pass to one another within one step; replicas trace in threads."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.ring: StatisticsRing | None = None
        self.loss: Tensor | None = None
        self.values: list[Tensor] | None = None
        self.variables: list[Any] = []
        self.announced: dict[int, Any] = {}
