"""What one monitor makes of an update on its way through an optimizer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import tensorflow as tf

from tbgrad.keras import internals, replicas
from tbgrad.keras.moments import signal_to_noise
from tbgrad.keras.observer import Before, GradientObserver
from tbgrad.keras.optimizers import children, learning_rate

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


class UpdateWatch:
    """Brings the updates that an `OptimizerTap` shows before a `GradientObserver`.

    `observer_for` gives the observer for the variables of an update, None where none of them is
    watched; it is asked when an update is traced, since a model may create its variables no sooner
    than that. Of several replicas the first one observes; the others only take part in the sums.

    When an observation cannot be built, `on_error` gets the exception, the watch stays silent from
    then on, and the optimizer goes on as if it had never been there.

    Attributes:
        outer: the optimizer that scales the loss, `inner` that which updates the variables.
    """

    def __init__(
        self,
        outer: Any,
        inner: Any,
        observer_for: Callable[[Sequence[Any]], GradientObserver | None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self.outer, self.inner = outer, inner
        self._observer_for = observer_for
        self._on_error = on_error
        self._failed = False
        # The second is for within the conditional of an update, where that is not counted yet.
        self._ratios = [partial(signal_to_noise, inner, more=more) for more in (0, 1)]
        self._observer: GradientObserver | None = None
        self._steps: dict[int, _StepInProgress] = defaultdict(_StepInProgress)

    def expect(self, gradients: Sequence[Any], variables: Sequence[Any], loss: Any) -> None:
        """Announce the gradients of a custom loop, as they are before it changes them itself.

        What the loop does between here and `optimizer.apply` (clipping, say) then shows as the
        difference between the true and the applied gradient.
        """
        self._step.loss = loss
        scaled = self.outer is not self.inner or self.inner.loss_scale_factor is not None
        if not scaled and not self.inner.gradient_accumulation_steps:
            self._step.announced = {
                id(variable): gradient
                for gradient, variable in zip(gradients, variables, strict=True)
            }

    def take_loss(self, loss: Tensor) -> None:
        """The loss of the step to come."""
        self._step.loss = loss

    def skip(self) -> None:
        """The update is left out."""
        if self._observer is not None and replicas.index() == 0:
            self._try(self._observer.skip)

    def begin(self, grads: list[Any], variables: list[Any]) -> None:
        """An update begins, with gradients as the loop made them."""
        self._try(self._before, grads, variables)

    def clip(self, grads: list[Any], applied: list[Any]) -> None:
        """The gradients that the optimizer acts on, before and after clipping."""
        self._try(self._compare, grads, applied)
        if replicas.count() == 1:
            step = self._step
            self._try(self._observe, step.true, applied if step.changed else None, step.loss)

    def reduce(self, reduced: list[Any]) -> None:
        """The gradients as they were added up over the replicas."""
        if replicas.count() > 1:
            # Whatever failed here before: other workers wait for these sums.
            sums = self._guard(self._sums, reduced)
            self._try(self._observe, *sums)

    def updated(self) -> None:
        """The variables have changed, but for constraints and averages."""
        if self._step.ends_here:
            self._try(self._after)

    def end(self) -> None:
        """The update is over."""
        if not self._step.ends_here:
            self._try(self._after)
        self._steps.pop(replicas.index(), None)

    @property
    def _step(self) -> _StepInProgress:
        """That of this replica: they take turns while traced, each in a thread, or several."""
        return self._steps[replicas.index()]

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
        trained = [
            (gradient, variable)
            for gradient, variable in zip(grads, variables, strict=True)
            if gradient is not None and not getattr(variable, "overwrite_with_gradient", False)
        ]
        step.variables = [variable for _, variable in trained]
        if replicas.index() == 0:
            self._observer = step.observer = replicas.outside_tracing(self._observer_for, variables)
        accumulates = self.inner.gradient_accumulation_steps
        if step.observer is not None:
            # In a conditional, out of which `_observe` can hand nothing: all there is to see is
            # seen inside, unless the variables change once more behind it.
            step.ends_here = bool(
                accumulates
                and replicas.count() == 1
                and not self.inner.use_ema
                and all(getattr(v, "constraint", None) is None for v in step.variables)
            )
            decays_before = replicas.count() > 1 and self.inner.weight_decay
            if (accumulates and not step.ends_here) or decays_before:
                step.values = step.observer.values()
        if accumulates and step.loss is not None and not children(self.inner):
            (loss,) = replicas.sums([step.loss]) if replicas.count() > 1 else (step.loss,)
            if step.observer is not None:
                first = tf.equal(internals.calls(self.inner) % accumulates, 0)
                step.loss = step.observer.mean_loss(loss, first)
        if children(self.inner):
            self._see_all([gradient for gradient, _ in trained])

    def _see_all(self, grads: list[Any]) -> None:
        """The whole update of a `MultiOptimizer`, ahead of its children."""
        step, scale = self._step, self.inner.loss_scale_factor
        if scale is not None:
            grads = [gradient / scale for gradient in grads]
        step.true = [
            step.announced.get(id(variable), gradient)
            for gradient, variable in zip(grads, step.variables, strict=True)
        ]
        loss = step.loss
        if replicas.count() > 1:
            loss, *step.true = replicas.sums([loss, *step.true])
        self._observe(step.true, None, loss)

    def _after(self) -> None:
        step = self._step
        if step.observer is not None:
            step.observer.finish(step.values, self._ratios[step.ends_here])

    def _observe(self, true: list[Any], applied: list[Any] | None, loss: Tensor | None) -> None:
        step = self._step
        if step.observer is None:
            return
        values = step.observer.observe(
            true,
            step.variables,
            loss=loss,
            learning_rate=learning_rate(self.inner),
            loss_scale=getattr(self.outer, "dynamic_scale", None),
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
    """What the parts of one step of one replica pass to one another."""

    observer: GradientObserver | None = None
    loss: Tensor | None = None
    values: Before | None = None
    variables: list[Any] = field(default_factory=list)
    announced: dict[int, Any] = field(default_factory=dict)
    true: list[Any] = field(default_factory=list)
    changed: bool = False
    ends_here: bool = False
