"""Where the gradients are seen: on the way through a Keras optimizer, inside the training step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import tensorflow as tf

from tbgrad.training import replicas
from tbgrad.training.moments import signal_to_noise
from tbgrad.training.observer import GradientObserver

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


def innermost(optimizer: Any) -> Any:
    """The optimizer that updates the variables, inside any `LossScaleOptimizer`."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


_SKIPS = "_stateful_handle_non_finite_grads"


class OptimizerTap:
    """Shows a `GradientObserver` every update of an optimizer while attached.

    `observer_for` gives the observer for the variables of an update; it is asked when an update is
    traced, since a model may create its variables no sooner than that.

    The tap shadows methods of the optimizer object and nothing else: `scale_loss` hands over the
    loss, `_clip_gradients` receives the gradient that the optimizer acts on (unscaled,
    accumulated, before clipping), `_all_reduce_sum_gradients` adds it up over replicas, and `apply`
    encloses the whole update, weight decay and constraints included. `detach` removes the shadows
    without a trace. Since the observation is traced into the training step, what was compiled while
    attached goes on observing. Of a `LossScaleOptimizer`, `_stateful_handle_non_finite_grads` tells
    of the updates that it skips.

    Of several replicas the first one observes; the others only take part in the sums.

    When an observation cannot be built, `on_error` gets the exception, the tap stays silent from
    then on, and the optimizer goes on as if it had never been there.
    """

    def __init__(
        self,
        optimizer: Any,
        observer_for: Callable[[Sequence[Any]], GradientObserver],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._outer, self._inner = optimizer, innermost(optimizer)
        self._observer_for = observer_for
        self._on_error = on_error
        self._failed = False
        self._signal_to_noise = partial(signal_to_noise, self._inner)
        self._observer: GradientObserver | None = None
        self._steps: dict[int, _StepInProgress] = defaultdict(_StepInProgress)
        self._shadows: list[tuple[Any, str, Any]] = []

    def attach(self) -> None:
        """Begin to observe. Attaching twice does nothing."""
        if not self._shadows:
            self._shadow(self._outer, "scale_loss", self._scale_loss)
            if hasattr(self._outer, _SKIPS):
                self._shadow(self._outer, _SKIPS, self._skip)
            self._shadow(self._inner, "apply", self._apply)
            self._shadow(self._inner, "_clip_gradients", self._clip_gradients)
            self._shadow(self._inner, "_all_reduce_sum_gradients", self._all_reduce_sum_gradients)

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

    @property
    def _step(self) -> _StepInProgress:
        """That of this replica: they take turns while traced, each in a thread, or several."""
        return self._steps[replicas.index()]

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

    def _skip(self, original: Callable[..., Any]) -> Any:
        if self._observer is not None and replicas.index() == 0:
            self._try(self._observer.skip)
        return original()

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
        self._steps.pop(replicas.index(), None)
        return result

    def _clip_gradients(self, original: Callable[..., Any], grads: Sequence[Tensor]) -> Any:
        applied = original(grads)
        self._try(self._compare, list(grads), list(applied))
        if replicas.count() == 1:
            step = self._step
            changed = list(applied) if step.changed else None
            self._try(self._observe, step.true, changed, step.loss)
        return applied

    def _all_reduce_sum_gradients(
        self, original: Callable[..., Any], grads_and_vars: Sequence[tuple[Tensor, Any]]
    ) -> Any:
        reduced = list(original(grads_and_vars))
        if replicas.count() > 1:
            # Whatever failed here before: other workers wait for these sums.
            sums = self._guard(self._sums, [gradient for gradient, _ in reduced])
            self._try(self._observe, *sums)
        return reduced

    def _compare(self, grads: list[Any], applied: list[Any]) -> None:
        step = self._step
        step.true = [
            step.announced.get(id(variable), gradient)
            for gradient, variable in zip(grads, step.variables, strict=True)
        ]
        step.changed = any(a is not g for a, g in zip(applied, step.true, strict=True))

    def _sums(self, reduced: list[Any]) -> tuple[list[Any], list[Any] | None, Tensor | None]:
        step = self._step
        loss, *true = replicas.sums([step.loss, *(step.true if step.changed else ())])
        return (true, reduced, loss) if step.changed else (reduced, None, loss)

    def _before(self, grads: list[Any], variables: list[Any]) -> None:
        step = self._step
        step.variables = [
            variable
            for gradient, variable in zip(grads, variables, strict=True)
            if gradient is not None and not getattr(variable, "overwrite_with_gradient", False)
        ]
        if replicas.index() > 0:
            return
        self._observer = step.observer = replicas.outside(self._observer_for, variables)
        # Where `_observe` is too late, or in a conditional out of which it can hand nothing.
        decays_before = replicas.count() > 1 and self._inner.weight_decay
        if self._inner.gradient_accumulation_steps or decays_before:
            step.values = step.observer.values()

    def _after(self) -> None:
        if self._step.observer is not None:
            self._step.observer.finish(self._step.values, self._signal_to_noise)

    def _observe(self, true: list[Any], applied: list[Any] | None, loss: Tensor | None) -> None:
        step = self._step
        if step.observer is None:
            return
        values = step.observer.observe(
            true,
            step.variables,
            loss=loss,
            learning_rate=self._inner.learning_rate,
            loss_scale=getattr(self._outer, "dynamic_scale", None),
            applied=applied,
            with_values=step.values is None,
        )
        step.values = step.values or values

    def _try(self, function: Callable[..., Any], *args: Any) -> None:
        if not self._failed:
            self._guard(function, *args)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def _guard(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self._failed = True
            self._on_error(error)
            return ()


@dataclass
class _StepInProgress:
    """What the shadows pass to one another within one step of one replica."""

    observer: GradientObserver | None = None
    loss: Tensor | None = None
    values: list[Tensor] | None = None
    variables: list[Any] = field(default_factory=list)
    announced: dict[int, Any] = field(default_factory=dict)
    true: list[Any] = field(default_factory=list)
    changed: bool = False
