"""One computation with an operator: what it costs, how far it is, whether the loss stays."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tbgrad.hessian.batches import BatchedLoss, Loss
from tbgrad.hessian.errors import Interrupted
from tbgrad.hessian.operator import SymmetricOperator, operator_of
from tbgrad.hessian.rows import Vector

LONG_SECONDS = 1.0
"""A computation shows how far it is from this time on."""


class Computation:
    """Products with an operator that are counted, timed and shown on a terminal.

    Args:
        loss, variables: a loss and its variables, or an operator alone.
        title: what is computed, for the terminal.
        progress: whether to show it there; by default where standard error is a terminal and the
            computation takes longer than a second. With False, Ctrl-C goes on to whoever called,
            as a training that is to end; otherwise a computation returns what it has.

    Use as a context manager. `hvps`, `seconds` and `loss` describe what was done so far. `total` is
    how many products there will be, for the terminal, or at most if `at_most`.

    Raises:
        HessianError, ImportError: as `operator_of` says.
    """

    def __init__(
        self,
        loss: Loss | BatchedLoss | SymmetricOperator,
        variables: Sequence[Any] | None,
        title: str,
        progress: bool | None = None,
        at_most: int | None = None,
    ) -> None:
        self._begun = time.perf_counter()
        self.operator = operator_of(loss, variables)
        self._products = self.operator.products
        self._losses: list[float] = []
        self._title = title
        self.total = at_most
        self._detail = "" if at_most is None else "products at most"
        self._silent = progress is False
        self._wanted = sys.stderr.isatty() if progress is None else progress
        self._delay = LONG_SECONDS if progress is None else 0.0
        self._progress: Progress | None = None
        self._multiplying = self._interrupted = False
        self._handles = False

    @property
    def hvps(self) -> int:
        """Products spent so far, with those that saw that the loss is deterministic."""
        return self.operator.products - self._products

    @property
    def seconds(self) -> float:
        """Wall-clock time spent so far."""
        return time.perf_counter() - self._begun

    @property
    def loss(self) -> float:
        """The loss at the weights of the computation."""
        return self._losses[0]

    def product(self, vector: Vector) -> Vector:
        """The operator's product; raises HessianError where the loss has changed."""
        operator = self.operator
        result, value = self._interruptible(operator.apply, vector)
        self._losses.append(value)
        # The loss comes with each product, so that watching it is free.
        if abs(value - self.loss) > 1e3 * np.finfo(operator.dtype).eps * abs(self.loss):
            operator.check_deterministic(vector)
        self._show()
        return result

    def _show(self) -> None:
        """Tell the terminal how far it is."""
        if not self._wanted or self.seconds < self._delay:
            return
        if self._progress is None:
            columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
            self._progress = Progress(
                *columns,
                TimeRemainingColumn(),
                TextColumn("{task.fields[detail]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
            self._task = self._progress.add_task(self._title, detail=self._detail)
        self._progress.update(self._task, completed=len(self._losses), total=self.total)

    def _interruptible(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of a function that does products; raises Interrupted for Ctrl-C."""
        if self._interrupted:
            raise Interrupted
        try:
            self._multiplying = True
            return function(*arguments)
        except KeyboardInterrupt as interrupt:
            if self._silent:
                raise
            self._interrupted = True
            raise Interrupted from interrupt
        finally:
            self._multiplying = False

    def __enter__(self) -> Computation:
        on_main_thread = threading.current_thread() is threading.main_thread()
        if on_main_thread and not self._silent:
            # A program that handles Ctrl-C in a way of its own goes on to do so.
            self._handles = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._handles:
            signal.signal(signal.SIGINT, self._interrupt)
        try:
            self._interruptible(self.operator.begin)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """End the product under way, or the computation ahead of the next: not what is between."""
        if self._multiplying or self._interrupted:
            signal.default_int_handler(number, frame)
        self._interrupted = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handles:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._progress is not None:
            self._progress.stop()
        if kind is Interrupted:  # there is nothing yet that could be returned
            raise KeyboardInterrupt from None
