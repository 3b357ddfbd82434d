"""What the machines are doing that runs train on, as the runs say themselves."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping

from tbgrad.reading.run import Run
from tbgrad_tui.chart.text import percent

GIGA = 1e9
_GPU = re.compile(r"gpu(\d+)_use")


def machine_words(runs: Iterable[Run], now: float) -> str:
    """Of each machine what the newest of these runs says, and the time of day.

    >>> machine_words(runs, now)
    'gpu-box: GPU 0 83 %, 22 GB; processor 3.1 cores, 40 GB · 14:03'
    """
    newest: dict[str, Mapping[str, float]] = {}
    for run in sorted(runs, key=lambda run: run.last_sign):
        if run.state is not None and run.state.resources:
            newest[run.state.host] = run.state.resources
    told = ((host, resource_words(resources)) for host, resources in newest.items())
    said = [f"{host}: {words}" for host, words in told if words]
    return " · ".join([*said, time.strftime("%H:%M", time.localtime(now))])


def resource_words(resources: Mapping[str, float]) -> str:
    """Use and memory of GPUs, cores in use and memory of the machine: what of it is known."""
    said = []
    for name, use in sorted(resources.items()):
        if (gpu := _GPU.fullmatch(name)) is not None:
            memory = resources.get(f"gpu{gpu[1]}_memory")
            taken = f", {memory / GIGA:.0f} GB" if memory is not None else ""
            said.append(f"GPU {gpu[1]} {percent(use)}{taken}")
    if "host_processor" in resources:
        memory = resources.get("host_memory")
        taken = f", {memory / GIGA:.0f} GB" if memory is not None else ""
        said.append(f"processor {resources['host_processor']:.1f} cores{taken}")
    return "; ".join(said)
