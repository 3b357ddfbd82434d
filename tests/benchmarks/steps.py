"""What every step on file costs, and what TensorBoard keeps of it.

    python -m tests.benchmarks.steps [--steps 1000000] [--parameters 200] [--pace 0.01]
        [--drain 250] [--budget MB] [--server]

Writes a log of so many steps, which come in blocks of `--drain`, at the default budget unless
another number of megabytes a minute is given: processor time of the writer's thread a step, bytes.
Reads it in a process of its own as the terminal app does, and as the report does: seconds, and peak
memory above that of the imports.
Then gives it to TensorBoard's Python reader with the limits of our loader, and with `--server` to
its data server: bytes that are kept of the steps, seconds until the tab has its answers, and the
longest stretch of steps that is missing in them, in columns of its heat map.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tbgrad.log.tags import (
    GATHERED_STEPS,
    GRADIENT_NORM,
    LOSS,
    NEWEST_WINDOWS,
    STEP_LEVELS,
    STEPS,
)
from tbgrad.monitoring.step_log import StepLog
from tests.plugin.conftest import PROVIDERS, Api, poll
from tests.support.logs import manifest
from tests.support.steps import StepWriter, synthetic

CHUNK = 20_000
DRAIN = 250


class TimedStepLog(StepLog):
    """Counts the processor time that it takes."""

    seconds = 0.0

    def values(self, *arguments: Any) -> Any:
        """As its base does."""
        began = time.thread_time()
        made = super().values(*arguments)
        for _, values in made:
            for value in values:
                value.SerializeToString()
        self.seconds += time.thread_time() - began
        return made


READING = """
import sys, time
from tbgrad.commands.report import EXTREMES
from tbgrad.reading.columns import Limits
from tbgrad.reading.directory import LogDirectory
from tbgrad.report.summary import build
def peak():
    return int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
before = peak()
began = time.perf_counter()
report = sys.argv[2] == "report"
log = LogDirectory(sys.argv[1], bounded=Limits(extremes=EXTREMES) if report else True)
log.poll()
if report:
    build(log.finish()["a"])
seconds = time.perf_counter() - began
more = (peak() - before) / 1024
print(f"{sys.argv[2]}: {seconds:.1f} s, {more:.0f} MB more memory at its peak")
"""
"""What a process that reads does."""


def write(
    directory: Path,
    steps: int,
    parameters: int,
    pace: float,
    drain: int = DRAIN,
    budget: float | None = None,
) -> TimedStepLog:
    """A log of so many steps, an outlier in each 9,973rd."""
    log = TimedStepLog() if budget is None else TimedStepLog(1e6 * budget, 1e12)
    layers = manifest(parameters // 2)
    with StepWriter(directory, log=log, manifest=layers, every=1000, pace=pace) as writer:
        for at in range(0, steps, CHUNK):
            made = synthetic(min(CHUNK, steps - at), parameters, 1 + at, seed=at)
            spikes = np.flatnonzero((np.arange(len(made)) + at) % 9973 == 0)
            made.norms[spikes, 3] = made.scalars[GRADIENT_NORM][spikes] = 1e4
            writer.write(made, drain)
            notice = log.notice()
            if notice is not None:
                print(f"    {notice[1]}")
    return log


def kept_bytes(provider: Any) -> int:
    """What the Python reader holds of the steps."""
    multiplexer = provider._multiplexer
    total = 0
    for tag in (STEPS, GATHERED_STEPS, NEWEST_WINDOWS, *STEP_LEVELS):
        try:
            events = multiplexer.Tensors("a", tag)
        except KeyError:
            continue
        total += sum(event.tensor_proto.ByteSize() for event in events)
    return total


def missing(answer: dict[str, Any], steps: int) -> float:
    """The longest stretch without a value, in columns."""
    values = np.array([[np.nan if v is None else float(v) for v in r] for r in answer["values"]])
    lost = np.isnan(values).any(axis=0)
    width = answer["steps"][0] - answer["first_steps"][0] + 1
    runs = np.diff(np.flatnonzero(np.concatenate([[True], ~lost, [True]])))
    return float((runs - 1).max()) + (steps - answer["steps"][-1]) / width


def look(provider: Any, steps: int) -> str:
    """What the tab answers, in words."""
    api = Api(provider)
    poll(lambda: api.get("runs")["runs"], "the run is known")
    poll(lambda: (api.get("status", run="a")["last_step"] or 0) >= steps, "all is read")
    began = time.perf_counter()
    layers = api.get("layers", run="a")
    first = time.perf_counter() - began
    loss = api.get("scalars", run="a", tag=[LOSS, GRADIENT_NORM])["series"]
    spikes = np.array([float(v) for v in layers["values"][3]]) > 9e3
    firsts, lasts = np.array(layers["first_steps"]), np.array(layers["steps"])
    truth = np.zeros(len(firsts), np.bool_)
    for step in range(1, steps + 1, 9973):
        truth |= (firsts <= step) & (step <= lasts)
    return (
        f"{first:.2f} s; {len(firsts)} columns, {missing(layers, steps):.2f} missing at most, "
        f"{np.count_nonzero(spikes & truth)} of {np.count_nonzero(truth)} with their spike; "
        f"{len(loss[0]['steps']):,} points of the loss, of {loss[0]['stored']:,}"
    )


def main() -> None:
    """Write, and look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--parameters", type=int, default=200)
    parser.add_argument("--pace", type=float, default=0.01)
    parser.add_argument("--drain", type=int, default=DRAIN)
    parser.add_argument("--budget", type=float)
    parser.add_argument("--server", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        logdir = Path(name)
        steps = options.steps
        log = write(
            logdir / "a", steps, options.parameters, options.pace, options.drain, options.budget
        )
        size = sum(path.stat().st_size for path in (logdir / "a").iterdir())
        print(f"written: {log.seconds / steps * 1e6:.1f} µs a step, {size / 1e6:.0f} MB")
        for reader in ("app", "report"):
            subprocess.run([sys.executable, "-c", READING, name, reader], check=True)
        provider = PROVIDERS["python"](logdir)
        print(f"kept by TensorBoard: {kept_bytes(provider) / 1e6:.2f} MB")
        print(f"tab, Python reader: {look(provider, steps)}")
        if options.server:
            print(f"tab, data server: {look(PROVIDERS['rust'](logdir), steps)}")


if __name__ == "__main__":
    main()
