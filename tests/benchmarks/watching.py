"""The terminal app: time to the first picture, from a write to the screen, and cost while idle.

    python -m tests.benchmarks.watching [--repeats 7]

Start is compared with an empty Textual app on the same pseudo-terminal, in turns.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.tags import LOSS
from tests.support.logs import write_run
from tests.support.terminal import Terminal

EMPTY_APP = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("here it is")
Empty().run()
"""
IDLE_SECONDS = 10.0
TICK = os.sysconf("SC_CLK_TCK")


def start_seconds(words: str, command: list[str]) -> float:
    """From the start of the process until `words` are on the screen."""
    begun = time.monotonic()
    terminal = Terminal(command)
    seconds = terminal.wait_for(words) - begun
    terminal.kill()
    return seconds


def delays(terminal: Terminal, directory: Path, repeats: int) -> list[float]:
    """Seconds from the return of `flush` until a value is on the screen."""
    found, pauses = [], random.Random(0)
    with EventFileWriter(directory) as writer:
        for i in range(repeats):
            time.sleep(pauses.uniform(0.1, 0.6))  # writes fall anywhere between two looks
            writer.add(5001 + i, [encode.scalar(LOSS, 0.5)])
            writer.flush()
            written = time.monotonic()
            found.append(terminal.wait_for(f"step {5001 + i:,}") - written)
    return found


def processor_share(terminal: Terminal) -> float:
    """Share of one core that the app takes while nothing is written."""

    def used() -> float:
        fields = Path(f"/proc/{terminal.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    terminal.settle(2.0)
    before, begun = used(), time.monotonic()
    terminal.settle(IDLE_SECONDS)
    return (used() - before) / (time.monotonic() - begun)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as scratch:
        logdir = Path(scratch)
        write_run(logdir / "a", steps=5000, layers=20)
        watch = [sys.executable, "-m", "tbgrad", "watch", scratch]
        pairs = [
            (
                start_seconds("here it is", [sys.executable, "-c", EMPTY_APP]),
                start_seconds("dense_0/kernel", watch),
            )
            for _ in range(repeats)
        ]
        empty, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"start to first picture   {ours:.2f} s (an empty Textual app: {empty:.2f} s)")
        print(f"  ratio, paired          {ratio:.2f}")
        terminal = Terminal(watch)
        terminal.wait_for("dense_0/kernel")
        found = delays(terminal, logdir / "a", 5 * repeats)
        print(
            f"write to screen          {statistics.median(found):.2f} s median, "
            f"{max(found):.2f} s at worst of {len(found)}; target: 2 s"
        )
        print(f"idle                     {processor_share(terminal):.1%} of one core")
        terminal.kill()


if __name__ == "__main__":
    main()
