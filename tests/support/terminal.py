"""A command on a real pseudo-terminal, for tests and benchmarks."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pyte


def watch(logdir: Path) -> Terminal:
    """`tbgrad watch LOGDIR` on a pseudo-terminal."""
    return Terminal([sys.executable, "-m", "tbgrad", "watch", str(logdir)])


class Terminal:
    """A command on a pseudo-terminal, and its screen as text.

    The command is started by `subprocess`: a fork in Python beside the threads of TensorFlow and
    gRPC may never reach its `exec`. It is `said` in the environment how large the terminal is,
    unless that is going to change.
    """

    def __init__(
        self, command: list[str], columns: int = 120, rows: int = 40, *, said: bool = True
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.received = b""
        size = {"COLUMNS": str(columns), "LINES": str(rows)} if said else {}
        state = {"XDG_STATE_HOME": os.devnull}  # nothing is kept of how a test looked at its log
        self._terminal, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.child = subprocess.Popen(
            command,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=os.environ | size | state | {"TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(inner)

    def send(self, keys: str) -> None:
        """Press keys."""
        os.write(self._terminal, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Make the window another size."""
        self.screen.resize(rows, columns)
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)
        self.child.send_signal(signal.SIGWINCH)

    def wait_for(self, words: str, seconds: float = 60) -> float:
        """The time (as `time.monotonic`) when `words` were first seen on the screen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._receive():
            if words in "\n".join(self.screen.display):
                return time.monotonic()
        raise AssertionError(
            f"{words!r} not on the screen (exit status {self.child.poll()}):\n"
            + "\n".join(self.screen.display)
        )

    def first(self, needle: bytes, seconds: float = 60) -> float:
        """The time when these bytes first came, before the screen that they make is worked out."""
        deadline, since = time.monotonic() + seconds, len(self.received)
        while needle not in self.received[since:]:
            assert time.monotonic() < deadline, f"{needle!r} never came"
            if select.select([self._terminal], [], [], 0.02)[0]:
                self.received += os.read(self._terminal, 65536)
        came = time.monotonic()
        self._stream.feed(self.received[since:])
        return came

    def ends(self, seconds: float = 30) -> int:
        """The exit status, once the command has ended by itself."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._receive():
            pass
        status = self.child.wait(max(0.1, deadline - time.monotonic()))
        os.close(self._terminal)
        return status

    def close(self, seconds: float = 30) -> int:
        """Take the terminal away, without a signal; the exit status of the command."""
        os.close(self._terminal)
        return self.child.wait(seconds)

    def kill(self) -> None:
        """End the command."""
        self.child.kill()
        self.child.wait()
        os.close(self._terminal)

    def settle(self, seconds: float) -> None:
        """Go on reading what the command draws, for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._receive():
            pass

    def _receive(self) -> bool:
        """Take in what was written; False at the end."""
        if not select.select([self._terminal], [], [], 0.02)[0]:
            return True
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.received += data
        self._stream.feed(data)
        return bool(data)
