"""Trainings that take turns: one at a time, a block of steps each, timed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras


class Baton:
    """Lets one variant train at a time, for one block of steps."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._holder: str | None = None

    def run(self, name: str) -> None:
        """Give the baton away and wait until it comes back."""
        with self._turn:
            self._holder = name
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._holder is None)

    def wait(self, name: str) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._holder == name)

    def release(self) -> None:
        with self._turn:
            self._holder = None
            self._turn.notify_all()


@dataclass
class Variant:
    """One way to train: its callbacks, and what its blocks took."""

    name: str
    model: Any
    callbacks: list[Any]
    directory: Path | None = None
    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    steps: int = 0


class TrainingClock:
    """Stands in for `time` in the monitor: the clock of the training whose thread asks."""

    def __init__(self) -> None:
        self._pacer = threading.local()

    def belongs_to(self, pacer: Pacer) -> None:
        self._pacer.own = pacer

    def monotonic(self) -> float:
        pacer: Pacer | None = getattr(self._pacer, "own", None)
        return time.monotonic() if pacer is None else pacer.now()


class Pacer(keras.callbacks.Callback):
    """Holds the training between blocks. It overrides no `..._batch_end`: Keras stays async."""

    def __init__(self, variant: Variant, baton: Baton) -> None:
        super().__init__()
        self.variant, self.baton = variant, baton
        self.block, self.left, self.stop = 3, 0, False
        self._wall = self._processor = self._trained = 0.0
        self._running = False

    def now(self) -> float:
        """Seconds for which this training has run."""
        return self._trained + (time.perf_counter() - self._wall if self._running else 0.0)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.left == 0:
            self.end_block()
            self.baton.wait(self.variant.name)
            self.model.stop_training = self.stop
            self.left, self._running = self.block, True
            self._wall, self._processor = time.perf_counter(), time.process_time()
        self.left -= 1
        self.variant.steps += 1

    def on_train_end(self, logs: Any = None) -> None:
        self.end_block()

    def end_block(self) -> None:
        if not self._running:
            return
        int(self.model.optimizer.iterations.numpy())  # waits for the last step
        self.variant.wall.append(time.perf_counter() - self._wall)
        self._trained += self.variant.wall[-1]
        self.variant.processor.append(time.process_time() - self._processor)
        self._running = False
        self.baton.release()
