"""`GradientNormEarlyStopping`: ends a training whose gradient has become small."""

from __future__ import annotations

from typing import Any

from tbgrad.diagnosis import Record
from tbgrad.keras.callback import GradientMonitor
from tbgrad.keras.fit_call import Callback, callback_list
from tbgrad.keras.supported import foreign
from tbgrad.log.tags import GRADIENT_NORM_MAX
from tbgrad.monitoring.arguments import check_steps


class GradientNormEarlyStopping(Callback):
    """Stops `fit` once the gradient norm of every step was small for so many steps.

    It reads the norms from a `GradientMonitor` among the callbacks, which has those of all steps,
    also of the ones that are not logged. Between two looks pass up to two seconds.

    Args:
        threshold: the global L2 norm of the gradient, before clipping, that counts as small.
        patience: number of updates in a row for which it has to be.
        monitor: the monitor to read from; by default the first one among the callbacks.

    Attributes:
        stopped_step: the update after which training was to end, 0 before that.

    Raises:
        ValueError: `threshold` is not a number above 0, `patience` is not a whole number from 1 on,
            or, as training begins, there is no monitor.

    Example::

        model.fit(x, y, epochs=1000, callbacks=[
            tbgrad.GradientMonitor("runs/a"),
            tbgrad.GradientNormEarlyStopping(threshold=1e-3, patience=200),
        ])
    """

    def __init__(
        self, threshold: float, patience: int = 100, monitor: GradientMonitor | None = None
    ) -> None:
        super().__init__()
        if not threshold > 0:
            raise ValueError(f"threshold is a gradient norm above 0, not {threshold!r}")
        self.threshold = threshold
        self.patience = check_steps("patience", patience)
        self.monitor = monitor
        self.stopped_step = 0
        self._before = 0
        self._calm = 0
        self._heard: GradientMonitor | None = None

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Begin to listen to the monitor."""
        self._heard = None
        if foreign(self.model, "model"):
            return  # its monitor has said so
        known = getattr(callback_list(), "callbacks", [])
        monitors = [c for c in known if isinstance(c, GradientMonitor)]
        if self.monitor is not None:
            monitors = [c for c in monitors if c is self.monitor]
        if not monitors:
            raise ValueError(
                "GradientNormEarlyStopping reads the gradient norm from a GradientMonitor: add "
                f"{'one' if self.monitor is None else 'that of monitor='} to callbacks, "
                'callbacks=[tbgrad.GradientMonitor("runs/a"), …]'
            )
        self.stopped_step = self._before = self._calm = 0
        self._heard = monitors[0]
        self._heard.listen(self._take)

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Listen no more."""
        if self._heard is not None:
            self._heard.unlisten(self._take)

    def _take(self, record: Record) -> None:
        peak = record.scalars.get(GRADIENT_NORM_MAX)
        if peak is None:
            return
        steps = record.step - self._before if self._before else 1
        self._before = record.step
        self._calm = self._calm + steps if peak <= self.threshold else 0
        if self._calm >= self.patience and not self.stopped_step:
            self.stopped_step = record.step
            self.model.stop_training = True
