"""The train function of a model while a `fit` of it is watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tbgrad.keras.build_ahead import build_ahead
from tbgrad.keras.fit_call import Fit
from tbgrad.keras.returned_loss import ReturnedLoss


class Watcher(Protocol):
    """Who watches a fit."""

    def leave(self) -> None:
        """Be gone: the fit is over."""

    def returned(self, loss: Any) -> None:
        """The loss that a training step returned; while it is traced."""


class WatchedFunction:
    """Stands in for `model.train_function`, for all who watch one `fit`.

    Behind it is the model's own, made anew while they watch. Where the `fit` ended without telling,
    its watchers are closed ahead of the next step of anybody else.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._plain = model.train_function
        self._fit = Fit()
        self._made_for: list[Watcher] = []
        self._watched: Any = None
        self._built = False
        self.watchers: list[Watcher] = []

    @staticmethod
    def of(model: Any, former: WatchedFunction | None) -> WatchedFunction:
        """The one that stands in already, or `former` where it was made for this function."""
        now = model.train_function
        if isinstance(now, WatchedFunction):
            if not now._fit.over:
                return now
            now.end()
            now = model.train_function
        if former is not None and now is not None and former._plain is now:
            former._fit = Fit()
            return former
        return WatchedFunction(model)

    def enter(self, watcher: Watcher) -> None:
        """One more watches."""
        self.watchers.append(watcher)
        self._model.train_function = self

    def exit(self, watcher: Watcher) -> None:
        """One watches no more; the last one gives the model its function back."""
        if watcher in self.watchers:
            self.watchers.remove(watcher)
        if not self.watchers and self._model.train_function is self:
            self._model.train_function = self._plain

    def end(self) -> None:
        """The fit is over: all are to leave."""
        for watcher in tuple(self.watchers):
            watcher.leave()
            self.exit(watcher)

    def make(self) -> None:
        """Make the function, unless that which there is was made for the same watchers."""
        if self._watched is None or self._made_for != self.watchers:
            self._made_for = list(self.watchers)
            self._watched = self._made()

    def __call__(self, iterator: Any) -> Any:
        """One call of the train function: a step, or several."""
        if self._fit.over:
            self.end()
            if self._model.train_function is self:
                self._model.train_function = self._plain
            if self._model.train_function is None:
                self._model.make_train_function()
            return self._model.train_function(iterator)
        if self._watched is None:
            self.make()
        if not self._built:
            self._built = True
            build_ahead(self._model, iterator)
        return self._watched(iterator)

    def _made(self) -> Any:
        """The train function anew, with a step that shows the loss that it returns."""
        model, step = self._model, self._model.train_step
        before = model.__dict__.get("train_step")
        # Past __setattr__, which would make Keras track the attribute.
        model.__dict__["train_step"] = self._showing(step)
        try:
            model.make_train_function(force=True)
            return model.train_function
        finally:
            del model.__dict__["train_step"]
            if before is not None:
                model.__dict__["train_step"] = before
            model.train_function = self

    def _showing(self, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def train_step(data: Any) -> Any:
            result, loss = ReturnedLoss(self._model).of(step, data)
            if loss is not None:
                for watcher in tuple(self.watchers):
                    watcher.returned(loss)
            return result

        return train_step
