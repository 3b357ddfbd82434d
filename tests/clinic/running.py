"""Trains many recipes beside one another, each beside its log, unless it was trained already."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from tests.clinic.recipe import Recipe
from tests.clinic.telling import rules


@dataclass(frozen=True)
class Task:
    """One training; at the defaults of the monitor where it is not said how often it logs."""

    recipe: Recipe
    seed: int
    folder: Path
    every: int | None

    @property
    def is_done(self) -> bool:
        """Whether this very recipe was trained there."""
        file = self.folder / "recipe.txt"
        return file.exists() and file.read_text() == repr(self.recipe)

    @property
    def end(self) -> float:
        """How well it ended, the lower the better; NaN where it diverged."""
        end: float = json.loads((self.folder / "end.json").read_text())
        return end


def train_all(tasks: Iterable[Task], jobs: int) -> None:
    """Train those that are not done yet, so many at a time; 0 is one by one in this process."""
    # New processes now and then: TensorFlow keeps the functions of every model it has trained.
    # (max_tasks_per_child of Python 3.11 may leave the pool without any process.)
    left = [task for task in tasks if not task.is_done]
    if not jobs:
        for task in left:
            run(task)
        return
    size = 50 * jobs
    console = Console(stderr=True)
    for first in range(0, len(left), size):
        some = left[first : first + size]
        title = f"training, {first} of {len(left)} done"
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _quiet) as pool:
            for _ in track(pool.map(run, some), title, len(some), console=console):
                pass


def _quiet() -> None:
    import logging
    import warnings

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def run(task: Task) -> None:
    """Train one, and leave how well it ended beside its log."""
    from tests.clinic.training import train

    shutil.rmtree(task.folder, ignore_errors=True)
    defaults = {"every": None, "histograms_every": None}
    monitor = defaults if task.every is None else {"every": task.every}
    end = train(task.recipe, task.seed, task.folder, **monitor)
    task.folder.mkdir(parents=True, exist_ok=True)  # a monitor that fails may leave nothing
    (task.folder / "end.json").write_text(json.dumps(end))
    (task.folder / "rules.txt").write_text(rules())
    (task.folder / "recipe.txt").write_text(repr(task.recipe))  # last: it says that all is there
