"""What a `GradientMonitor` was asked for, and the log of a training that is made so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tbgrad.diagnosis import AlertSettings, Record
from tbgrad.keras.attachment import Attachment
from tbgrad.keras.curvature import Curvature
from tbgrad.keras.gfile import storage_of
from tbgrad.keras.optimizers import updates_done
from tbgrad.keras.sensitivity import Sensitivity
from tbgrad.log.records import Alert
from tbgrad.log.state import Hyperparameter
from tbgrad.monitoring.cadence import SHORTEST, Cadence, Cadences, dense_at_first, histograms_with
from tbgrad.monitoring.run_log import RunLog
from tbgrad.monitoring.selection import Selection
from tbgrad.monitoring.trajectory import Asked


@dataclass(frozen=True)
class Settings:
    """The arguments of a `GradientMonitor`, checked."""

    logdir: str | Path
    every: Cadence | None
    histograms_every: Cadence | None
    curvature: Curvature | None
    overhead: float
    selection: Selection
    on_alert: Callable[[Alert], object] | None
    alerts: AlertSettings
    stop_on: frozenset[str]
    optimizer: Any
    group: str
    hparams: Mapping[str, Hyperparameter]
    megabytes_per_minute: float
    trajectory: Asked
    sensitivity: Sensitivity | None

    def attachment(
        self,
        model: Any,
        optimizer: Any,
        former: Attachment | None,
        found: int | None,
        listeners: Sequence[Callable[[Record], None]],
    ) -> Attachment:
        """Ties a model to a log; it goes on where `former` is one of the same model.

        `found` are the steps between two logged ones that a search has found, where none were asked
        for.
        """
        done = 0 if former is None else former.step
        every = self.every or dense_at_first(SHORTEST if found is None else found)
        logdir = self.logdir if former is None else former.log.directory
        log = RunLog(
            logdir,
            Cadences(
                every,
                self.histograms_every or histograms_with(every),
                self.curvature.every if self.curvature else 0,
            ),
            own=former is None,
            group=self.group,
            on_alert=self.on_alert,
            alerts=self.alerts,
            listeners=listeners,
            storage=storage_of(logdir),
            bytes_per_minute=1e6 * self.megabytes_per_minute,
            hparams=self.hparams,
        )
        attachment = Attachment(
            log,
            model=model,
            optimizer=optimizer,
            selection=self.selection,
            counted=lambda: done + updates_done(optimizer),
            steps_per_execution=model.steps_per_execution,
            compiled_by_xla=bool(model.jit_compile),
        )
        if self.trajectory:
            attachment.log_trajectory(self.trajectory == "exact")
        return attachment
