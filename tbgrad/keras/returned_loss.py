"""The loss of a step in what a `train_step` of one's own returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras


class ReturnedLoss:
    """Finds the loss of the batch: what is returned as "loss", or what its metric was given.

    Mostly it is the result of a metric, the mean over the epoch so far; the loss is what the metric
    was brought up to date with.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._given: dict[int, Any] = {}
        self._results: list[tuple[Any, int]] = []

    def of(self, step: Callable[[Any], Any], data: Any) -> tuple[Any, Any]:
        """What the step returns, and the loss, None where there is none."""
        self._given.clear()
        self._results.clear()
        with self._listening():
            returned = step(data)
        loss = returned.get("loss") if isinstance(returned, Mapping) else None
        for result, metric in self._results:
            if result is loss and metric in self._given:
                loss = self._given[metric]
        self._given.clear()
        self._results.clear()
        return returned, loss

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Shadow the metrics' methods, as long as a step is traced or runs eagerly."""
        try:
            means = [m for m in self._model.metrics if type(m) is keras.metrics.Mean]
        except Exception:  # noqa: BLE001 - a property of the model's own; training goes on
            means = []
        for metric in means:
            self._shadow(metric)
        try:
            yield
        finally:
            for metric in means:
                for name in ("update_state", "result"):
                    metric.__dict__.pop(name, None)

    def _shadow(self, metric: Any) -> None:
        update, result = metric.update_state, metric.result

        def update_state(values: Any, *args: Any, **kwargs: Any) -> Any:
            self._given[id(metric)] = values
            return update(values, *args, **kwargs)

        def shown() -> Any:
            value = result()
            self._results.append((value, id(metric)))
            return value

        # Past __setattr__, which would make Keras track the attribute.
        metric.__dict__["update_state"] = update_state
        metric.__dict__["result"] = shown
