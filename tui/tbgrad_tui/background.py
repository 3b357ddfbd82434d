"""Asks the terminal whether its background is light."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator

ASK = b"\x1b]11;?\x1b\\\x1b[c"
"""The colour of its background (OSC 11), and what it is (DA1), which every terminal answers: so
nobody waits for one that does not know the first."""

ANSWER_SECONDS = 0.3
REMOTE_SECONDS = 1.0
"""As long an answer is waited for where it is needed at once; over a network longer."""

_COLOUR = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]+)/([0-9a-fA-F]+)/([0-9a-fA-F]+)")
_ANSWERED = re.compile(rb"\x1b\[\?[0-9;]*c")


class Question:
    """Asks a terminal whether its background is light; meanwhile other work can be done.

    `unanswered` is what has come of an answer that may yet come, None where all of it has.

    >>> with Question.asked() as question:
    ...     import_what_takes_long()
    ...     question.look()
    ...     question.light
    """

    def __init__(self) -> None:
        self.light = False
        self.unanswered: str | None = None
        self._source = -1

    @staticmethod
    @contextlib.contextmanager
    def asked() -> Iterator[Question]:
        """Ask, and keep the answer off the screen until the end."""
        question = Question()
        try:
            import termios
            import tty

            source, sink = sys.stdin.fileno(), sys.stdout.fileno()
            before = termios.tcgetattr(source)
        except (ImportError, OSError, ValueError, termios.error):
            yield question
            return
        try:
            tty.setcbreak(source, termios.TCSANOW)  # or the answer is shown to the user
            os.write(sink, ASK)
            question._source = source
            yield question
        finally:
            with contextlib.suppress(termios.error):  # the terminal may be gone
                termios.tcsetattr(source, termios.TCSAFLUSH, before)

    def look(self, seconds: float = 0.0) -> None:
        """Take in what has been answered within so many seconds."""
        import select

        deadline, said = time.monotonic() + seconds, b""
        while self._source >= 0 and not _ANSWERED.search(said):
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._source], [], [], left)[0]:
                self.unanswered = said.decode(errors="replace")
                break
            said += os.read(self._source, 1024)
        self.light = is_light(said)


def is_light(answer: bytes) -> bool:
    """Whether the colour in this answer is lighter than it is dark; not where there is none.

    >>> is_light(b"\\x1b]11;rgb:ffff/ffff/dddd\\x1b\\\\")
    True
    """
    found = _COLOUR.search(answer)
    if found is None:
        return False
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5)
