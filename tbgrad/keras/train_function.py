"""The train function of a model while a `fit` of it is watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tbgrad.keras.fit_call import Fit
from tbgrad.keras.observer import GradientObserver
from tbgrad.keras.returned_loss import ReturnedLoss


class Watcher(Protocol):
    """Who watches a fit."""

    def leave(self) -> None:
        """Be gone: the fit is over."""

    def returned(self, loss: Any) -> None:
        """The loss that a training step returned; while it is traced."""


class WatchedFunction:
    """Stands in for `model.train_function`, for all who watch one `fit`.

    There are two functions behind it: one that looks at every step and one, made where
    `may_pass`, for the steps at which there is nothing to log, which costs less. Where the `fit`
    ended without telling, its watchers are closed ahead of the next step of anybody else.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._plain = model.train_function
        self._fit = Fit()
        self._made_for: list[Watcher] = []
        self._looking: Any = None
        self._passing: Any = None
        self.watchers: list[Watcher] = []
        self.passes = False

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

    def make(self, *, may_pass: bool) -> None:
        """Make the functions, unless those that there are were made for the same watchers."""
        if self._looking is not None and self._made_for == self.watchers:
            return
        self._made_for = list(self.watchers)
        self._looking = self._made()
        self._passing = self._made() if may_pass else None
        self.passes = False

    def look(self, observer: GradientObserver, step: int) -> None:
        """Choose the function for this step: where nothing is logged one costs less that cannot."""
        observer.may_log = self._passing is None or observer.due(step)
        self.passes = not observer.may_log

    def never_pass(self) -> None:
        """Look at every step from now on."""
        self._passing, self.passes = None, False

    def __call__(self, iterator: Any) -> Any:
        """One call of the train function: a step, or several."""
        if self._fit.over:
            self.end()
            if self._model.train_function is self:
                self._model.train_function = self._plain
            if self._model.train_function is None:
                self._model.make_train_function()
            return self._model.train_function(iterator)
        if self._looking is None:
            self.make(may_pass=False)
        return (self._passing if self.passes else self._looking)(iterator)

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
