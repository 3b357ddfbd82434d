"""What it takes to follow logs while they grow: time to the first points, idling, delay, memory.

    python -m tests.benchmarks.following [--small] [--keep DIRECTORY]

Every measurement has a process of its own, with the poller of the terminal app but, save for one,
no screen:

- A log of 1 GB: until the first points are handed out, and until all are; and until the terminal
  app, from its start, shows them and how much is read.
- 200 runs of which none grows: processor time as a share of one core, over 20 seconds.
- From the moment an event is on disk until it is handed out, for one run, and for one that grows
  among 200.
- A log of 1,000 parameters × 12 statistics × 100,000 steps, some 5 GB: the most memory it takes.

`--small` takes a fiftieth of the large logs and fewer seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tbgrad.log import encode, tags
from tbgrad.log.records import STATISTICS
from tests.benchmarks.reading import LOGS, NAME, SMALL, event, manifest, without_metadata, write
from tests.support.logs import write_run
from tests.support.terminal import Terminal

COUNT, STEPS, RUNS = 1000, 100_000, 200


def write_large(file: Any, share: int) -> int:
    """Packed statistics of a large model, at every step of a long run."""
    rng = np.random.default_rng(0)
    file.write(event(0, [encode.manifest(manifest(COUNT))]))
    table = rng.normal(size=(COUNT, len(STATISTICS))).astype(np.float32)
    for step in range(1, STEPS // share + 1):
        table[step % COUNT] += 1
        value = encode.parameters(table)
        value = value if step == 1 else without_metadata(value)
        file.write(event(step, [encode.scalar("gradient/norm", 1 + step % 977), value]))
    return STEPS // share


class Watched:
    """The poller of the terminal app, and when it handed out what."""

    def __init__(self, logdir: Path) -> None:
        from tbgrad_tui.poller import Poller

        self.snapshot: Any = None
        self._news = threading.Condition()
        self._poller = Poller(logdir, self._publish)
        self._poller.start()

    def _publish(self, snapshot: Any) -> None:
        with self._news:
            self.snapshot = snapshot
            self._news.notify_all()

    def until(self, condition: Any) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self.snapshot and condition(self.snapshot), 600)


def first_points(logdir: Path, _: float) -> dict[str, float]:
    begun = time.perf_counter()
    watched = Watched(logdir)
    watched.until(lambda s: any(len(series) for run in s.runs.values() for series in run.values()))
    first = time.perf_counter() - begun
    shows_progress = watched.snapshot.loading is not None
    watched.until(lambda s: s.loading is None)
    whole = time.perf_counter() - begun
    return {"first": first, "all": whole, "shows_progress": float(shows_progress)}


def idle(logdir: Path, seconds: float) -> dict[str, float]:
    watched = Watched(logdir)
    watched.until(lambda s: len(s.runs) == RUNS and s.loading is None)
    time.sleep(2)
    begun, used = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    share = (time.process_time() - used) / (time.perf_counter() - begun)
    return {"share": share}


def delay(logdir: Path, count: float) -> dict[str, float]:
    """Appends to the run "live" at random moments."""
    live = logdir / "live"
    live.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    watched = Watched(logdir)
    found = []
    with (live / NAME).open("ab", buffering=0) as file:
        for step in range(1, int(count) + 1):
            time.sleep(rng.uniform(0.1, 0.9))
            data = event(step, [encode.scalar("loss", 1.0)])
            begun = time.perf_counter()
            file.write(data)

            def there(snapshot: Any, step: int = step) -> bool:
                return "live" in snapshot.runs and snapshot.runs["live"].last_step == step

            watched.until(there)
            found.append(time.perf_counter() - begun)
    return {"median": float(np.median(found)), "worst": max(found)}


def memory(logdir: Path, _: float) -> dict[str, float]:
    """As the terminal app polls, which holds on to what it was handed out last."""
    from tbgrad.reading.directory import LogDirectory

    log, shown, begun = LogDirectory(logdir), {}, time.perf_counter()
    while log.poll(seconds=0.25):
        shown = log.runs
    seconds = time.perf_counter() - begun
    ((name, run),) = shown.items()
    norm = run["gradient/norm"]
    found = {
        "seconds": seconds,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "buckets": float(len(run[tags.PARAMETERS])),
        "peak_step": float(norm.steps[norm.values.argmax()]),
    }
    middle = run.last_step // 2
    for what, first, last in (("wide", 1, run.last_step), ("narrow", middle, middle + 20)):
        begun = time.perf_counter()
        window = log.window(name, "gradient/norm", first, last, 100)
        found[what] = time.perf_counter() - begun
        assert what == "wide" or window.counts.tolist() == [1] * 21
    return found


MEASUREMENTS = {"first": first_points, "idle": idle, "delay": delay, "memory": memory}


def measured(name: str, logdir: Path, amount: float = 0.0) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.following", "--one", name, str(logdir)]
    done = subprocess.run([*command, str(amount)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--small", action="store_true", help="a fiftieth of the large logs")
    parser.add_argument("--keep", type=Path, help="where the large logs stay for another time")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, logdir, amount = arguments.one
        print(json.dumps(MEASUREMENTS[name](Path(logdir), float(amount))))
        return
    console, share = Console(), SMALL if arguments.small else 1
    with tempfile.TemporaryDirectory() as scratch:
        directory = arguments.keep or Path(scratch)
        for name, log in (("mixed", LOGS["mixed"]), ("large", write_large)):
            if not (directory / name).exists():
                write(directory / name, log, share)
        many = Path(scratch) / "many"
        for i in range(RUNS):
            write_run(many / f"run_{i}", steps=100)

        begun = time.perf_counter()
        command = [str(Path(sys.executable).with_name("tbgrad")), "watch", str(directory / "mixed")]
        terminal = Terminal(command)
        terminal.wait_for("loading" if share == 1 else "step")
        on_screen = time.perf_counter() - begun
        terminal.kill()
        found = measured("first", directory / "mixed")
        console.print(
            f"1 GB: first points after {found['first']:.2f} s (target 1 s), all after "
            f"{found['all']:.1f} s; progress shown: {bool(found['shows_progress'])}; on the screen "
            f"{on_screen:.2f} s after the start of the app"
        )
        found = measured("idle", many, 5 if share > 1 else 20)
        console.print(f"200 idle runs: {found['share']:.1%} of a core (target 2 %)")
        single = Path(scratch) / "single"
        single.mkdir()
        for where, name in ((single, "one run"), (many, "one of 201 runs")):
            found = measured("delay", where, 10 if share > 1 else 40)
            console.print(
                f"from disk to the caller, {name}: {found['median'] * 1e3:.0f} ms median, "
                f"{found['worst'] * 1e3:.0f} ms at worst (target 250 ms alone, 1 s among others)"
            )
        size = sum(path.stat().st_size for path in (directory / "large").glob("*/*"))
        found = measured("memory", directory / "large")
        console.print(
            f"{size / 1e9:.1f} GB of {COUNT:,} parameters: {found['megabytes']:,.0f} MB at "
            f"most (target 400 MB), {found['seconds']:.0f} s, {found['buckets']:.0f} buckets, "
            f"largest norm found at step {found['peak_step']:.0f}; a window of all steps takes "
            f"{found['wide'] * 1e3:.1f} ms, one of 21 steps out of the file "
            f"{found['narrow'] * 1e3:.0f} ms"
        )


if __name__ == "__main__":
    main()
