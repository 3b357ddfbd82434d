"""Where the gradients are seen: on the way through a Keras optimizer, inside the training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tbgrad.keras import internals
from tbgrad.keras.optimizers import children, innermost
from tbgrad.keras.update_watch import UpdateWatch

Tensor: TypeAlias = Any  # tf.Tensor: TensorFlow ships no types


class OptimizerTap:
    """Shows every update of an optimizer to those who watch it: there is one tap an optimizer.

    The tap shadows methods of the optimizer object and nothing else: `scale_loss` hands over the
    loss, `_clip_gradients` receives the gradient that the optimizer acts on (unscaled,
    accumulated, before clipping), `_all_reduce_sum_gradients` adds it up over replicas,
    `_backend_update_step` changes the variables, and `apply` encloses the whole update, weight
    decay and constraints included. The shadows go with the last watch, without a trace. Since the
    observation is traced into the training step, what was compiled while a watch was there goes on
    observing. Of a `LossScaleOptimizer`, `_stateful_handle_non_finite_grads` tells of the updates
    that it skips. A `MultiOptimizer` hands the parts of an update to its children: what it is
    given is seen at its own `apply`, as one update.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.watches: list[UpdateWatch] = []
        self._shadows: list[tuple[Any, str, Any]] = []

    @staticmethod
    def on(optimizer: Any) -> OptimizerTap:
        """The tap that is on the optimizer, or else a new one."""
        inner = innermost(optimizer)
        tap = getattr(inner.__dict__.get("apply"), "tap", None)
        return tap if isinstance(tap, OptimizerTap) else OptimizerTap(inner)

    def add(self, watch: UpdateWatch) -> None:
        """Show the updates to `watch`, too."""
        if watch not in self.watches:
            self.watches.append(watch)
        self._shadow(watch.outer, "scale_loss", self._scale_loss)
        if hasattr(watch.outer, internals.SKIP):
            self._shadow(watch.outer, internals.SKIP, self._skip)
        self._shadow(self._inner, "apply", self._apply)
        if not children(self._inner):
            self._shadow(self._inner, internals.CLIP, self._clip_gradients)
            self._shadow(self._inner, internals.REDUCE, self._all_reduce_sum_gradients)
            self._shadow(self._inner, internals.UPDATE, self._backend_update_step)

    def remove(self, watch: UpdateWatch) -> None:
        """Show it nothing more; the last one gives the optimizer its own methods back."""
        if watch in self.watches:
            self.watches.remove(watch)
        while self._shadows and not self.watches:
            owner, name, shadow = self._shadows.pop()
            if owner.__dict__.get(name) is shadow:
                del owner.__dict__[name]

    def _shadow(self, owner: Any, name: str, replacement: Callable[..., Any]) -> None:
        if any(owner is known and name == of for known, of, _ in self._shadows):
            return
        original = getattr(owner, name)

        def shadow(*args: Any, **kwargs: Any) -> Any:
            return replacement(original, *args, **kwargs)

        shadow.tap = self  # type: ignore[attr-defined]
        # Past __setattr__, which would make TensorFlow and Keras track the attribute.
        owner.__dict__[name] = shadow
        self._shadows.append((owner, name, shadow))

    def _scale_loss(self, original: Callable[..., Any], loss: Tensor) -> Tensor:
        for watch in self._all:
            watch.take_loss(loss)
        return original(loss)

    def _skip(self, original: Callable[..., Any]) -> Any:
        for watch in self._all:
            watch.skip()
        return original()

    def _apply(
        self, original: Callable[..., Any], grads: Any, trainable_variables: Any = None
    ) -> Any:
        grads = list(grads)
        variables = trainable_variables
        if variables is None:
            variables = internals.variables(self._inner)
        variables = list(variables)
        for watch in self._all:
            watch.begin(grads, variables)
        result = original(grads, trainable_variables)
        for watch in self._all:
            watch.end()
        return result

    def _clip_gradients(self, original: Callable[..., Any], grads: Sequence[Tensor]) -> Any:
        applied = original(grads)
        for watch in self._all:
            watch.clip(list(grads), list(applied))
        return applied

    def _all_reduce_sum_gradients(
        self, original: Callable[..., Any], grads_and_vars: Sequence[tuple[Tensor, Any]]
    ) -> Any:
        reduced = list(original(grads_and_vars))
        for watch in self._all:
            watch.reduce([gradient for gradient, _ in reduced])
        return reduced

    def _backend_update_step(self, original: Callable[..., Any], *args: Any) -> Any:
        result = original(*args)
        for watch in self._all:
            watch.updated()
        return result

    @property
    def _all(self) -> tuple[UpdateWatch, ...]:
        return tuple(self.watches)
