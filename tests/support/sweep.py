"""A sweep over learning rates with known losses and norms, and the hyperparameters of each run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tbgrad.log import encode
from tbgrad.log.state import FINISHED, RunState
from tbgrad.log.tags import GRADIENT_NORM, LOSS
from tests.support.events import PatientEventFileWriter as EventFileWriter
from tests.support.logs import EPOCH

RATES = (0.01, 0.03, 0.1, 0.3)


def value_of(rate: float, step: int) -> tuple[float, float]:
    """The loss and the gradient norm of a run at a step of 400."""
    loss = float(0.05 + 2.3 * np.exp(-step * rate / 10))
    return loss, float(3 * rate * np.exp(-step / 200))


def write_sweep(directory: Path, rates: tuple[float, ...] = RATES, steps: int = 400) -> list[str]:
    """A run a rate, written every two steps; their names."""
    names = []
    for place, rate in enumerate(rates):
        name = f"sweep/lr{rate}-width64-seed18"
        names.append(name)
        hparams = {"lr": rate, "width": 64, "seed": 18}
        if place == 0:
            hparams["warmup"] = 100
        with EventFileWriter(directory / name, start_step=0) as writer:
            for step in range(0, steps + 1, 2):
                pair = zip((LOSS, GRADIENT_NORM), value_of(rate, step), strict=True)
                values = [encode.scalar(tag, value) for tag, value in pair]
                writer.add(step, values, EPOCH + 1000 * place + step * 0.5)
            state = RunState(FINISHED, EPOCH, 5.0, steps, steps=steps, hparams=hparams)
            writer.add(steps, [encode.state(state)], EPOCH + 1000 * place + steps * 0.5)
    return names
