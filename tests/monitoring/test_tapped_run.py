"""A training that no framework runs, watched by a tap of its own: logistic regression in NumPy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tbgrad
from tbgrad.diagnosis import Record
from tbgrad.log.records import STATISTICS, HistogramBins, Manifest, Parameter
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, LEARNING_RATE, LOSS
from tbgrad.monitoring.cadence import Cadence, Cadences
from tbgrad.monitoring.logged_step import Drained, LoggedStep
from tbgrad.monitoring.run_log import RunLog
from tbgrad.monitoring.schedule import Action, Schedule
from tbgrad.monitoring.tapped_run import TappedRun

EVERY = 5


class NumpyTap:
    """Fulfils the protocol of a tap with arrays alone."""

    def __init__(self, step: int) -> None:
        self.parameters = (Parameter("logistic/weights", "logistic", (3,), 3, "float64", "kernel"),)
        self.bins = HistogramBins.powers_of_two()
        self.count = step
        self.skipped = False
        self._every = Cadence((EVERY,))
        self._gathered: list[LoggedStep] = []
        self._every_step: list[Steps] = []

    def due(self, step: int) -> bool:
        return step == 1 or self._every.due(step)

    def max_steps_between_drains(self, step: int) -> int:
        return 100

    def log_every(self, every: Cadence, histograms_every: Cadence) -> None:
        self._every = every

    def resume(self, step: int) -> None:
        self.count = step
        self._gathered.clear()
        self._every_step.clear()

    def see(self, loss: float, gradient: np.ndarray, weights: np.ndarray) -> None:
        self.count += 1
        norm = float(np.linalg.norm(gradient))
        norm = norm if np.isfinite(norm) else np.inf
        scalars = {LOSS: loss, LEARNING_RATE: 0.5, GRADIENT_NORM: norm}
        columns = {tag: np.array([value], np.float32) for tag, value in scalars.items()}
        self._every_step.append(Steps(self.count, columns, np.array([[norm]], np.float32)))
        if not self.due(self.count):
            return
        known = {"norm": norm, "weight_norm": float(np.linalg.norm(weights))}
        table = np.array([[known.get(name, np.nan) for name in STATISTICS]], np.float32)
        self._gathered.append(LoggedStep(self.count, {}, table))

    def drain(self) -> Drained:
        every, self._every_step = tuple(self._every_step), []
        steps, self._gathered = tuple(self._gathered), []
        return Drained(every, steps)


def train(logdir: Path, steps: int, broken_at: int = 0, listeners=()) -> list[float]:
    """The gradient norms of all steps; the schedule decides when to drain."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3))
    y = (x @ np.array([1.0, -2.0, 0.5]) > 0).astype(float)
    weights = np.zeros(3)
    log = RunLog(logdir, Cadences(Cadence((EVERY,)), Cadence((100,))), listeners=listeners)
    run = TappedRun(log, lambda: 0)
    run.use(NumpyTap, lambda tap: Manifest(parameters=tap.parameters))
    schedule = Schedule(0, 0.0)
    norms = []
    for step in range(1, steps + 1):
        p = 1 / (1 + np.exp(-x @ weights))
        loss = float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))
        gradient = x.T @ (p - y) / len(x)
        if step == broken_at:
            gradient = gradient * np.nan
        norms.append(float(np.linalg.norm(gradient)))
        run.tap.see(loss, gradient, weights)
        weights = weights - 0.5 * np.nan_to_num(gradient)
        action = schedule.next_action(step, 0.1 * step, run.room(step))
        if action is Action.DRAIN:
            run.drain()
            schedule.drained(step, 0.1 * step)
    run.close()
    return norms


def test_what_a_tap_sees_is_in_the_log(tmp_path: Path) -> None:
    heard: list[Record] = []
    norms = train(tmp_path / "run", 200, listeners=[heard.append])
    run = tbgrad.read(tmp_path)["run"]
    assert run[GRADIENT_NORM].steps.tolist() == list(range(1, 201))
    np.testing.assert_allclose(run[GRADIENT_NORM].values, norms, rtol=1e-6)
    np.testing.assert_allclose(run["tbgrad/steps"].values[:, 0], norms, rtol=2e-3)
    logged = run["tbgrad/parameters"].steps.tolist()
    assert logged == [1, *range(EVERY, 201, EVERY)]
    assert run[LOSS].values[0] == pytest.approx(np.log(2))
    assert run.names == ("logistic/weights",)
    assert [record.step for record in heard] == logged
    assert run.damage == ()


def test_a_step_that_is_not_logged_and_not_finite_is_told_with_its_number(tmp_path: Path) -> None:
    train(tmp_path / "run", 60, broken_at=23)
    told = [
        alert for alerts in tbgrad.read(tmp_path)["run"]["tbgrad/alerts"].values for alert in alerts
    ]
    first = next(alert for alert in told if alert.rule == "nonfinite")
    assert (first.first_step, first.parameters) == (23, ("logistic/weights",))


def test_other_parameters_are_told_by_another_manifest(tmp_path: Path) -> None:
    log = RunLog(tmp_path, Cadences(Cadence((1,)), Cadence((100,))))
    run = TappedRun(log, lambda: 0)
    for _ in range(2):
        run.use(NumpyTap, lambda tap: Manifest(parameters=tap.parameters))
        run.tap.log_every(Cadence((1,)), Cadence((100,)))
        for _ in range(3):
            run.tap.see(1.0, np.ones(3), np.ones(3))
    run.close()
    assert tbgrad.read(tmp_path)["."][LOSS].steps.tolist() == [1, 2, 3, 4, 5, 6]


def test_nothing_of_it_loads_a_framework(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.monitoring.test_tapped_run import train\n"
        f"train(Path({str(tmp_path)!r}), 20)\n"
        "print(sorted({'tensorflow', 'keras', 'textual'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout == "[]\n"
