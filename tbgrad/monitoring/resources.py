"""What a training takes of its machine, where the packages are there that tell.

With `psutil`: `processor`, of this process, and `host_processor`, of all, in cores; `memory`, of
this process, and `host_memory`, of all, in bytes. With `nvidia-ml-py`, of each GPU that the process
may see: `gpu0_use`, a share of the time, and `gpu0_memory`, in bytes, of all who use it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any


class Resources:
    """Samples them; whatever cannot be told is left out."""

    def __init__(self) -> None:
        self._samplers: list[Callable[[], Mapping[str, float]]] | None = None

    def sample(self) -> dict[str, float]:
        """The numbers by name; processor time since the last sample."""
        if self._samplers is None:
            self._samplers = []
            for make in (_Processor, _Gpus):
                with contextlib.suppress(Exception):  # not installed, no GPU, no driver
                    self._samplers.append(make())
        numbers: dict[str, float] = {}
        for sampler in self._samplers:
            with contextlib.suppress(Exception):
                numbers |= sampler()
        return numbers


class _Processor:
    def __init__(self) -> None:
        import psutil

        self._psutil: Any = psutil
        self._process = psutil.Process()
        self._cores = os.cpu_count() or 1
        psutil.cpu_percent()
        self._before = self._time()

    def __call__(self) -> Mapping[str, float]:
        now, before = self._time(), self._before
        self._before = now
        spent = (now[1] - before[1]) / max(1e-3, now[0] - before[0])
        return {
            "processor": spent,
            "memory": float(self._process.memory_info().rss),
            "host_processor": self._psutil.cpu_percent() / 100 * self._cores,
            "host_memory": float(self._psutil.virtual_memory().used),
        }

    def _time(self) -> tuple[float, float]:
        times = self._process.cpu_times()
        return time.monotonic(), times.user + times.system


class _Gpus:
    def __init__(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        self._pynvml: Any = pynvml
        count = pynvml.nvmlDeviceGetCount()
        self._devices = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]

    def __call__(self) -> Mapping[str, float]:
        numbers = {}
        for index, device in enumerate(self._devices):
            use = self._pynvml.nvmlDeviceGetUtilizationRates(device)
            numbers[f"gpu{index}_use"] = use.gpu / 100
            memory = self._pynvml.nvmlDeviceGetMemoryInfo(device)
            numbers[f"gpu{index}_memory"] = float(memory.used)
        return numbers
