"""What the terminal is like that the app is started on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.driver import Driver

ASK = b"\x1b]11;?\x1b\\\x1b[c"
"""The colour of its background (OSC 11), and what it is (DA1), which every terminal answers: so
nobody waits for one that does not know the first."""

ANSWER_SECONDS = 0.3
REMOTE_SECONDS = 1.0
"""As long an answer may take; over a network longer."""

NETWORK_SECONDS = 1.0
"""Between two pictures where each goes over a network."""

_COLOUR = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]+)/([0-9a-fA-F]+)/([0-9a-fA-F]+)")
_ANSWERED = re.compile(rb"\x1b\[\?[0-9;]*c")


def in_ascii(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the user's language says that there is nothing but ASCII: C, and no other one."""
    if environment.get("TERM") == "dumb":
        return True
    language = environment.get("LC_ALL") or environment.get("LANG", "")
    # Python itself sets LC_CTYPE to C.UTF-8 where the language is C.
    of_letters = environment.get("LC_CTYPE", "")
    return language in ("C", "POSIX") and of_letters in ("", "C", "POSIX", "C.UTF-8")


def is_remote(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether each byte goes over a network."""
    return "SSH_CONNECTION" in environment or "SSH_TTY" in environment


def quit_on_signals(quit: Callable[[], object]) -> None:
    """A terminal that goes away, or a polite kill, must not leave the terminal in disorder."""
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(getattr(signal, name), quit)


def driver_for(*, remote: bool, answered: bool) -> type[Driver] | None:
    """What talks to a terminal over a network, or to one that may answer late; else None.

    None, too, where there is none for this system.
    """
    try:
        if remote:
            from tbgrad_tui.driver import NetworkDriver

            return NetworkDriver
        if not answered:
            from tbgrad_tui.answers import PatientDriver

            return PatientDriver
    except ImportError:  # of what Windows does not have
        pass
    return None


def forget_cells(driver: Driver | None) -> None:
    """Have everything sent anew, by a driver that sends what differs."""
    forget = getattr(driver, "forget", None)
    if forget is not None:
        forget()


def is_gone() -> bool:
    """Whether the terminal was closed, which whoever is not its session is not told."""
    import select

    if not hasattr(select, "poll") or sys.__stdin__ is None:
        return False
    poll = select.poll()
    try:
        poll.register(sys.__stdin__.fileno(), 0)  # what is asked for or not, a hang-up is told
        return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))
    except (OSError, ValueError):
        return False


class Background:
    """Asks a terminal whether its background is light; meanwhile other work can be done.

    >>> with Background.asked() as background:
    ...     import_what_takes_long()
    >>> background.light
    """

    def __init__(self) -> None:
        self.light = False
        self.answered = True

    @staticmethod
    @contextlib.contextmanager
    def asked() -> Iterator[Background]:
        """Ask at the beginning, and wait for the answer at the end."""
        background = Background()
        try:
            import termios
            import tty

            source, sink = sys.stdin.fileno(), sys.stdout.fileno()
            before = termios.tcgetattr(source)
        except (ImportError, OSError, ValueError, termios.error):
            yield background
            return
        begun = time.monotonic()
        try:
            tty.setcbreak(source, termios.TCSANOW)  # or the answer is shown to the user
            os.write(sink, ASK)
            yield background
            said = _answer(source, begun)
            background.light = is_light(said)
            background.answered = _ANSWERED.search(said) is not None
        finally:
            termios.tcsetattr(source, termios.TCSAFLUSH, before)


def _answer(source: int, begun: float) -> bytes:
    import select

    deadline = begun + (REMOTE_SECONDS if is_remote() else ANSWER_SECONDS)
    said = b""
    while not _ANSWERED.search(said):
        left = max(0.0, deadline - time.monotonic())
        if not select.select([source], [], [], left)[0]:
            break
        said += os.read(source, 1024)
    return said


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
