"""The terminal app: how soon it shows something, what it costs, and what it sends.

    python -m tests.benchmarks.terminal [--repeats 7] [--only start once …] [--peers BIN]
                                        [--big DIR]

All on a pseudo-terminal of 120 × 40, in processes of their own; what is compared is run in turns.

start   the first picture of a small log beside an empty Textual app, and beside the other viewers
        that are in `--peers` (`terminalboard`, `wandb leet`), of a log of two scalars alone
once    one frame as text, beside one of `terminalboard`
delay   from a write to the screen, and the share of a core while nothing is written
live    the share of a core that 20 runs at 10 writes a second each take
keys    from a key to a changed screen, while 10 runs are live
bytes   what is sent over SSH with 10 live runs, 2 writes a second each: the overview and a run
big     30 runs of 150 parameters (copied into `--big`): until the overview is there, and the
        processor time until all is read
memory  what the app holds after 500 and after 4,000 rounds of writes to 10 runs
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tbgrad.diagnosis import RULE_NAMES
from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import STATISTICS
from tbgrad.log.tags import GRADIENT_NORM, LOSS
from tests.support.logs import manifest, write_run
from tests.support.terminal import Terminal

EMPTY_APP = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("here it is")
Empty().run()
"""
WATCH = [sys.executable, "-m", "tbgrad", "watch"]
TICK = os.sysconf("SC_CLK_TCK")
SECONDS = 20.0
RUNS, PARAMETERS, RECORDS = 30, 150, 1000


# ------------------------------------------------------------------------------------ measuring


def first_seen(words: str, command: list[str]) -> float:
    """Seconds from the start of the process until `words` are on the screen."""
    begun = time.monotonic()
    terminal = Terminal(command)
    seconds = terminal.wait_for(words) - begun
    terminal.kill()
    return seconds


def taken(command: list[str]) -> float:
    """Seconds until a command has ended."""
    begun = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True)
    return time.monotonic() - begun


def processor_seconds(terminal: Terminal) -> float:
    """That the app has used so far."""
    fields = Path(f"/proc/{terminal.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def processor_share(terminal: Terminal, seconds: float = SECONDS) -> float:
    """Of one core, over some time."""
    before, begun = processor_seconds(terminal), time.monotonic()
    terminal.settle(seconds)
    return (processor_seconds(terminal) - before) / (time.monotonic() - begun)


def resident_megabytes(terminal: Terminal) -> float:
    """Memory that the app holds."""
    status = Path(f"/proc/{terminal.child.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


class LiveRuns:
    """Runs that are written to, a record of 40 parameters a time.

    As their writer says it has watched all rules, a reader need not; unless they are not `judged`.
    """

    def __init__(self, directory: Path, count: int, *, judged: bool = True) -> None:
        self._writers = [EventFileWriter(directory / f"run{i:02}") for i in range(count)]
        self._rng = np.random.default_rng(0)
        self._manifest = replace(manifest(20), rules=tuple(RULE_NAMES) if judged else ())
        self.rounds = 0
        for writer in self._writers:
            writer.add(0, [encode.manifest(self._manifest)])

    def write(self) -> None:
        """One record to each."""
        self.rounds += 1
        size = len(self._manifest.parameters), len(STATISTICS)
        for writer in self._writers:
            table = self._rng.lognormal(size=size).astype(np.float32)
            loss, norm = self._rng.lognormal(size=2)
            values = [encode.scalar(LOSS, loss), encode.scalar(GRADIENT_NORM, norm)]
            writer.add(self.rounds, [*values, encode.parameters(table)])
            writer.flush()

    @contextmanager
    def written_to(self, a_second: float) -> Iterator[None]:
        """Meanwhile a thread writes."""
        stopped = threading.Event()

        def go_on() -> None:
            due = time.monotonic()
            while not stopped.is_set():
                self.write()
                due += 1 / a_second
                stopped.wait(max(0.0, due - time.monotonic()))

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()


# ----------------------------------------------------------------------------------- what is asked


def start(scratch: Path, repeats: int, peers: Path | None) -> None:
    write_run(scratch / "ours" / "a", steps=5000, layers=20)
    commands = {
        "empty Textual app": ("here it is", [sys.executable, "-c", EMPTY_APP]),
        "tbgrad watch": ("dense_0/kernel", [*WATCH, str(scratch / "ours")]),
    }
    if found := _peer(peers, "terminalboard"):
        command = [found, "--reset-view", str(_scalars(scratch))]
        commands["terminalboard"] = (LOSS, command)
    if found := _peer(peers, "wandb"):
        commands["wandb leet"] = (LOSS, [found, "leet", "run", str(_wandb_run(scratch, peers))])
    _compare("first picture", commands, repeats, lambda one: first_seen(*one))


def once(scratch: Path, repeats: int, peers: Path | None) -> None:
    write_run(scratch / "ours" / "a", steps=1000)
    commands = {"tbgrad watch --once": [*WATCH, "--once", str(scratch / "ours")]}
    if found := _peer(peers, "terminalboard"):
        commands["terminalboard"] = [found, "--once", str(_scalars(scratch))]
    _compare("one frame as text (target: 0.5 s)", commands, repeats, taken)


def _peer(peers: Path | None, name: str) -> str | None:
    """The command, where it is there."""
    return shutil.which(name, path=str(peers)) if peers is not None else None


def _scalars(scratch: Path) -> Path:
    """A log without what other viewers do not know."""
    directory = scratch / "scalars"
    with EventFileWriter(directory / "a") as writer:
        for step in range(1, 501):
            writer.add(step, [encode.scalar(tag, 1 / step) for tag in (LOSS, GRADIENT_NORM)])
    return directory


WANDB_RUN = """
import sys, wandb
with wandb.init(mode="offline", dir=sys.argv[1], settings=wandb.Settings(silent=True)) as run:
    for step in range(1, 501):
        run.log({"loss": 1 / step, "gradient/norm": 1 / step}, step=step)
"""


def _wandb_run(scratch: Path, peers: Path | None) -> Path:
    """The same, as W&B writes it."""
    assert peers is not None
    subprocess.run([peers / "python", "-c", WANDB_RUN, scratch], check=True)
    return (scratch / "wandb" / "latest-run").resolve()


def _compare(
    what: str, commands: dict[str, Any], repeats: int, seconds_of: Callable[[Any], float]
) -> None:
    """Print medians, and ratios to the first of them in the same round."""
    rounds = [
        {name: seconds_of(commands[name]) for name in random.sample([*commands], len(commands))}
        for _ in range(repeats)
    ]
    print(what)
    first = next(iter(commands))
    for name in commands:
        middle = statistics.median(found[name] for found in rounds)
        ratios = [found[name] / found[first] for found in rounds]
        told = f", {statistics.median(ratios):.2f} times {first}" if name != first else ""
        spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if name != first else ""
        print(f"  {name:20} {middle:.2f} s{told}{spread}")


def delay(scratch: Path, repeats: int, _: Path | None) -> None:
    write_run(scratch / "a", steps=5000, layers=20)
    terminal = Terminal([*WATCH, str(scratch)])
    terminal.wait_for("dense_0/kernel")
    found, pauses = [], random.Random(0)
    with EventFileWriter(scratch / "a") as writer:
        for i in range(5 * repeats):
            time.sleep(pauses.uniform(0.1, 0.6))  # writes fall anywhere between two looks
            writer.add(5001 + i, [encode.scalar(LOSS, 0.5)])
            writer.flush()
            written = time.monotonic()
            found.append(terminal.wait_for(f"step {5001 + i:,}") - written)
    print(
        f"write to screen          {statistics.median(found):.2f} s median, "
        f"{max(found):.2f} s at worst of {len(found)} (target: 2 s)"
    )
    terminal.settle(2.0)
    print(f"idle                     {processor_share(terminal):.1%} of one core")
    terminal.kill()


def live(scratch: Path, _: int, __: Path | None) -> None:
    with LiveRuns(scratch, 20).written_to(10):
        terminal = Terminal([*WATCH, str(scratch)])
        terminal.wait_for("20 runs")
        terminal.settle(10.0)
        overview = processor_share(terminal)
        terminal.send("\r")
        terminal.wait_for("dense_0")
        one = processor_share(terminal)
        terminal.kill()
    print(
        f"20 live runs             {overview:.1%} of one core in the overview, {one:.1%} in a "
        "run (target: 15 %)"
    )


def keys(scratch: Path, repeats: int, _: Path | None) -> None:
    found = []
    with LiveRuns(scratch, 10).written_to(2):
        terminal = Terminal([*WATCH, str(scratch)])
        terminal.wait_for("10 runs")
        terminal.settle(3.0)
        terminal.send("\r")
        terminal.wait_for("dense_0")
        for i in range(5 * repeats):
            key, words = (("7", b"2 scalars"), ("5", b"Layers"), ("?", b"Move"))[i % 3]
            terminal.settle(0.3)
            begun = time.monotonic()
            terminal.send(key)
            found.append((terminal.first(words) - begun) * 1000)
            if key == "?":  # and back, which waits for what may follow Esc
                terminal.send("\x1b")
                terminal.settle(0.5)
        terminal.kill()
    told = [
        f"{statistics.median(found[at::3]):.0f} ms ({max(found[at::3]):.0f} at worst)"
        for at in range(3)
    ]
    print(
        f"key to redraw, live      all scalars {told[0]}, the layers {told[1]}, the help {told[2]} "
        "(target: 50 ms)"
    )


def sent(scratch: Path, _: int, __: Path | None) -> None:
    os.environ["SSH_CONNECTION"] = "192.0.2.1 50000 192.0.2.2 22"
    try:
        with LiveRuns(scratch, 10).written_to(2):
            terminal = Terminal([*WATCH, str(scratch)])
            terminal.wait_for("10 runs")
            terminal.settle(10.0)
            rates = [_rate(terminal)]
            terminal.send("\r")
            terminal.wait_for("dense_0")
            terminal.settle(5.0)
            rates.append(_rate(terminal))
            terminal.kill()
    finally:
        del os.environ["SSH_CONNECTION"]
    print(
        f"sent over SSH            {rates[0]:.1f} kB/s in the overview, {rates[1]:.1f} kB/s in a "
        "run (target: 5)"
    )


def _rate(terminal: Terminal) -> float:
    before = len(terminal.received)
    terminal.settle(SECONDS)
    return (len(terminal.received) - before) / SECONDS / 1000


def big(scratch: Path, _: int, __: Path | None) -> None:
    first = scratch / "sweep-0"
    if not first.exists():
        write_run(first, steps=10 * RECORDS, layers=PARAMETERS // 2)
        for i in range(1, RUNS):
            shutil.copytree(first, scratch / f"sweep-{i}")
    size = sum(file.stat().st_size for file in scratch.rglob("events*"))
    begun = time.monotonic()
    terminal = Terminal([*WATCH, str(scratch)])
    there = terminal.wait_for("Overview") - begun
    while "loading" in "\n".join(terminal.screen.display) or time.monotonic() - begun < 3:
        terminal.settle(0.2)
    read = time.monotonic() - begun
    print(
        f"{RUNS} runs, {size / 1e6:.0f} MB          overview after {there:.2f} s (target: 1 s), "
        f"read after {read:.1f} s in {processor_seconds(terminal):.1f} s of processor time "
        "(target: 5)"
    )
    terminal.kill()


def memory(scratch: Path, _: int, __: Path | None) -> None:
    runs = LiveRuns(scratch, 10)
    terminal = Terminal([*WATCH, str(scratch)])
    found = {}
    for until in (500, 4000, 12000, 36000):  # an hour of ten runs with ten writes a second
        while runs.rounds < until:
            runs.write()
            if runs.rounds % 20 == 0:
                terminal.settle(0.1)
        terminal.settle(5.0)
        found[until] = resident_megabytes(terminal)
    terminal.kill()
    told = ", ".join(f"{megabytes:.0f} MB after {rounds:,}" for rounds, megabytes in found.items())
    print(f"memory                   {told} rounds of writes to ten runs")


QUESTIONS = {
    "start": start, "once": once, "delay": delay, "live": live, "keys": keys, "bytes": sent,
    "big": big, "memory": memory,
}  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument(
        "--peers", type=Path, metavar="BIN", help="where terminalboard, wandb and python are"
    )
    parser.add_argument("--big", type=Path, metavar="DIR", help="keeps the large log")
    options = parser.parse_args()
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # whoever has installed it starts what is compiled
    subprocess.run([sys.executable, "-c", "import tbgrad_tui.screenshot"], check=True)
    for name in options.only:
        with tempfile.TemporaryDirectory() as scratch:
            kept = options.big if name == "big" and options.big else Path(scratch)
            QUESTIONS[name](kept, options.repeats, options.peers)


if __name__ == "__main__":
    main()
