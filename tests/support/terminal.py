"""The terminal app on a real pseudo-terminal, for tests and benchmarks."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pexpect
import pyte


def watch(logdir: Path) -> Terminal:
    """`tbgrad watch LOGDIR` on a pseudo-terminal."""
    return Terminal([sys.executable, "-m", "tbgrad", "watch", str(logdir)])


class Terminal:
    """A command on a pseudo-terminal, and its screen as text."""

    def __init__(self, command: list[str], columns: int = 120, rows: int = 40) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.received = b""
        size = {"COLUMNS": str(columns), "LINES": str(rows), "TERM": "xterm-256color"}
        self.child = pexpect.spawn(
            command[0], command[1:], dimensions=(rows, columns), env=os.environ | size
        )

    def wait_for(self, words: str, seconds: float = 60) -> float:
        """The time (as `time.monotonic`) when `words` were first seen on the screen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._receive()
            if words in "\n".join(self.screen.display):
                return time.monotonic()
        raise AssertionError(f"{words!r} not on the screen:\n" + "\n".join(self.screen.display))

    def ends(self) -> int:
        """The exit status, once the command has ended."""
        self.child.expect(pexpect.EOF, timeout=30)
        self.received += self.child.before
        self.child.close()
        return self.child.exitstatus

    def settle(self, seconds: float) -> None:
        """Go on reading what the command draws, for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self.child.read_nonblocking(65536, timeout=0.02)
        except pexpect.TIMEOUT:
            return
        self.received += data
        self._stream.feed(data)
