"""`tbgrad watch` on a real pseudo-terminal, while a log grows."""

import sys
import time

import pexpect
import pyte
import pytest

from tbgrad import logformat
from tbgrad.eventwriter import EventFileWriter
from tests.support.logs import write_run


class Terminal:
    """The command on a pseudo-terminal, and its screen as text."""

    def __init__(self, logdir, columns=120, rows=40):
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.received = b""
        self.child = pexpect.spawn(
            sys.executable, ["-m", "tbgrad", "watch", str(logdir)], dimensions=(rows, columns)
        )

    def wait_for(self, words, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._receive()
            if words in "\n".join(self.screen.display):
                return
        raise AssertionError(f"{words!r} not on the screen:\n" + "\n".join(self.screen.display))

    def ends(self):
        self.child.expect(pexpect.EOF, timeout=30)
        self.received += self.child.before
        self.child.close()
        return self.child.exitstatus

    def _receive(self):
        try:
            data = self.child.read_nonblocking(65536, timeout=0.1)
        except pexpect.TIMEOUT:
            return
        self.received += data
        self._stream.feed(data)


@pytest.mark.parametrize("key", ["q", "\x03"], ids=["q", "ctrl-c"])
def test_new_values_appear_and_the_terminal_is_restored(key, tmp_path):
    terminal = Terminal(tmp_path / "runs")
    terminal.wait_for("does not exist yet")
    write_run(tmp_path / "runs" / "a", steps=300)
    terminal.wait_for("dense_0/kernel")
    with EventFileWriter(tmp_path / "runs" / "a") as writer:
        writer.add(4321, [logformat.scalar(logformat.LOSS, 0.5)])
        writer.flush()
        terminal.wait_for("4,321")
    terminal.child.send(key)
    assert terminal.ends() == 0
    assert terminal.received.rindex(b"\x1b[?1049l") > terminal.received.rindex(b"\x1b[?1049h")
    assert terminal.received.rindex(b"\x1b[?25h") > terminal.received.rindex(b"\x1b[?25l")
