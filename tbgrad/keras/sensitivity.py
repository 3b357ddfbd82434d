"""Maps during training of which inputs move the loss: of which samples, and how often."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from tbgrad import hessian
from tbgrad.analysis.input_maps import Method, gradients_for, maps_from
from tbgrad.analysis.map_pictures import pictures, table
from tbgrad.keras.attachment import Attachment
from tbgrad.log import encode
from tbgrad.monitoring.arguments import check_steps
from tbgrad.monitoring.schedule import EstimateSchedule
from tbgrad.monitoring.sentences import brief


@dataclass(frozen=True)
class Sensitivity:
    """How the monitor shows, as TensorBoard images, which inputs move the loss.

    Args:
        data: `(x, y)`, the samples to look at, as for `model.fit`; of more than `samples` the
            first ones.
        method: of `tbgrad.analysis.sensitivity`.
        every: steps between two. There is one before the first step and one after the last too.
        samples: how many pictures.
        budget: share of the training time that they may take; see `Curvature`.
        features: what the columns of a table are called, x [samples, columns]. With them there is,
            beside the pictures, a table with a bar a feature, as TensorBoard text.

    Raises:
        ValueError: `data` is no pair, there are not as many features as columns, or another
            argument is out of range.

    >>> tbgrad.GradientMonitor("runs/a", sensitivity=tbgrad.Sensitivity((x[:8], y[:8])))
    """

    data: Any
    method: Method = "gradient"
    every: int = 1000
    samples: int = 8
    budget: float | None = 0.05
    features: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_steps("Sensitivity.every", self.every)
        if not isinstance(self.data, tuple | list) or len(self.data) != 2:
            raise ValueError("Sensitivity.data is (x, y): the samples to look at, and their labels")
        if self.method not in get_args(Method):
            known = ", ".join(get_args(Method))
            raise ValueError(f"Sensitivity.method is one of {known}, not {self.method!r}")
        if self.samples < 1:
            raise ValueError(f"Sensitivity.samples is at least 1, not {self.samples}")
        shape = np.shape(self.data[0]) if self.features else ()
        if self.features and (len(shape) != 2 or shape[1] != len(self.features)):
            raise ValueError(
                f"Sensitivity.features are {len(self.features)} names of the columns of a table, "
                f"and the shape of x is {shape}"
            )
        if self.budget is not None and not self.budget > 0:
            raise ValueError(f"Sensitivity.budget is a share above 0 or None, not {self.budget}")


class SensitivityProbe:
    """Logs maps of the same samples during a training, within a share of the time."""

    def __init__(self, settings: Sensitivity, model: Any, attachment: Attachment) -> None:
        self._settings, self._model, self._attachment = settings, model, attachment
        self._gradients: hessian.InputGradients | None = None
        self._failed = False
        self._schedule = EstimateSchedule(settings.every, settings.budget, time.monotonic())

    def look(self, step: int, *, last: bool = False) -> None:
        """Log the maps where they are due; a failure ends them, no more."""
        due = last or self._schedule.due(step, time.monotonic())
        if not due or self._failed or self._schedule.has(step):
            return
        begun = time.perf_counter()
        try:
            step = self._attachment.step
            method = self._settings.method
            x, y = self._settings.data
            if self._gradients is None:
                self._gradients = gradients_for(self._model, method)
            few = slice(self._settings.samples)
            parts = {n: np.asarray(part)[few] for n, part in self._gradients.parts(x).items()}
            x = self._gradients.joined(parts, x)
            for name, maps in maps_from(self._gradients, x, np.asarray(y)[few], method).items():
                tag = f"sensitivity/{method}" + (f"/{name}" if name else "")
                part = parts[name] if name in parts else next(iter(parts.values()))
                self._attachment.log_value(encode.images(tag, pictures(part, maps)))
                if self._settings.features:
                    bars = table(self._settings.features, maps)
                    self._attachment.log_value(encode.text(f"{tag}/features", bars))
        except Exception as error:  # noqa: BLE001 - whatever it is, training goes on
            self._failed = True
            self._attachment.log.note(f"no sensitivity from step {step} on. {brief(error)}")
            return
        self._schedule.done(step, time.perf_counter() - begun)
