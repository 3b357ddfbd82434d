"""How a training goes, for its log: as it begins, every few seconds, and as it ends."""

from __future__ import annotations

import os
import platform
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tbgrad.log import encode
from tbgrad.log.batches import Batches, followed_by
from tbgrad.log.state import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    LEFT,
    Hyperparameter,
    RunState,
)
from tbgrad.log.text import printable
from tbgrad.monitoring.pace import Pace
from tbgrad.monitoring.resources import Resources
from tbgrad.monitoring.run_file import RunFile
from tbgrad.monitoring.sentences import LINE
from tbgrad.monitoring.storage import SIGN_SECONDS, Storage

_NAMED = ("tbgrad", "tensorflow", "keras", "numpy", "torch", "jax")
"""Packages whose version is logged where they are loaded."""


class Ending(NamedTuple):
    """How a training ended: one of `log.state.STATUSES`, and the exception in one line."""

    status: str
    exception: str = ""


def ending_of(error: BaseException | None) -> Ending:
    """How a training ended that this exception ended; without one it was interrupted."""
    if error is None:
        return Ending(INTERRUPTED)
    lines = str(error).strip().splitlines() or [""]
    said = printable(f"{type(error).__name__}: {lines[0]}".strip(": "), LINE)
    return Ending(FAILED if isinstance(error, Exception) else INTERRUPTED, said)


def left() -> Ending:
    """How a loop ended whose writer was never closed: by what ended the interpreter, if known."""
    exiting = not threading.main_thread().is_alive()  # so it counts from the exit's beginning on
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return ending_of(error) if exiting and error is not None else Ending(LEFT)


@dataclass(frozen=True)
class Plan:
    """What a session sets out to do, 0 where not known: `steps` are updates, of this session.

    `batches` say how its data come, whatever their first step; None where that is not known.
    """

    epochs: int = 0
    steps_per_epoch: int = 0
    steps: int = 0
    batches: Batches | None = None


class StateLog:
    """Says in the log of a run how its training goes.

    Signs of life are made on the writer's thread. The first ending that is told counts.

    Attributes:
        plan: what the next session sets out to do.
        batches: how the data came in all sessions.
        ended: asked at every sign of life whether, and how, a training ended that did not say so.
        epoch, doing: see `RunState`.
    """

    def __init__(
        self, hparams: Mapping[str, Hyperparameter], storage: Storage | None = None
    ) -> None:
        self.plan = Plan()
        self.batches: tuple[Batches, ...] = ()
        self.ended: Callable[[], Ending | None] = lambda: None
        self.epoch, self.doing = 0, ""
        self._seconds = SIGN_SECONDS if storage is None else storage.seen_after
        self._state = RunState(hparams=dict(hparams), heartbeat=self._seconds)
        self._pace = Pace()
        self._resources = Resources()
        self._lock = threading.Lock()
        self._ending: Ending | None = None
        self._told = False

    def data_from(self, step: int) -> tuple[Batches, ...]:
        """How the data came in all sessions, and as planned from this step on."""
        if self.plan.batches is not None:
            self.batches = followed_by(self.batches, replace(self.plan.batches, first_step=step))
        return self.batches

    def open(self, file: RunFile, step: int) -> None:
        """A session begins after this step."""
        plan = self.plan
        self._ending, self._told = None, False
        self._pace = Pace()
        self._state = replace(
            self._state,
            started=time.time(),
            step=step,
            steps=step + plan.steps if plan.steps else 0,
            epochs=plan.epochs,
            steps_per_epoch=plan.steps_per_epoch,
            host=printable(socket.gethostname()),
            pid=os.getpid(),
            versions=_versions(),
        )
        file.follow(self._signs, min(self._seconds, SIGN_SECONDS))
        file.add(step, [encode.state(self._now())])
        if self._state.hparams:
            file.add(step, self._hparams, grouped=False)

    def stepped(self, step: int) -> None:
        """Steps up to this one are done."""
        self._pace.stepped(step, time.monotonic())
        self._state = replace(self._state, step=step)

    def end(self, ending: Ending) -> None:
        """The training has ended so."""
        with self._lock:
            if self._ending is None:
                self._ending = ending

    def close(self, file: RunFile) -> None:
        """Say how the training ended: well, where nobody has told otherwise."""
        self.end(Ending(FINISHED))
        file.add(self._state.step, self._last)
        if self._state.hparams:
            file.add(self._state.step, self._hparams_end, grouped=False)

    def _signs(self) -> tuple[int, Iterable[Any]]:
        """A sign of life; the last one as soon as the training has ended."""
        if self._ending is None and (ending := self.ended()) is not None:
            self.end(ending)
        if self._ending is not None:
            return self._state.step, [] if self._told else self._last()
        state = replace(self._now(), resources=self._resources.sample())
        return state.step, [encode.heartbeat(state)]

    def _last(self) -> list[Any]:
        assert self._ending is not None
        self._told = True
        status, exception = self._ending
        return [encode.state(replace(self._now(), status=status, exception=exception))]

    def _now(self) -> RunState:
        pace, recent = self._pace.usual, self._pace.recent(time.monotonic())
        return replace(self._state, epoch=self.epoch, doing=self.doing, pace=pace, recent=recent)

    def _hparams(self) -> list[Any]:
        return [encode.hparams(self._state.hparams, self._state.started)]

    def _hparams_end(self) -> list[Any]:
        failed = self._ending is not None and self._ending.status == FAILED
        return [encode.hparams_end(failed=failed, ended=time.time())]


def _versions() -> dict[str, str]:
    loaded = {name: getattr(sys.modules.get(name), "__version__", "") for name in _NAMED}
    known = {"python": platform.python_version(), **loaded}
    return {name: str(number) for name, number in known.items() if number}
