"""What the terminal is like that the app is started on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.driver import Driver

NETWORK_SECONDS = 1.0
"""Between two pictures where each goes over a network."""


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


def driver_for(*, remote: bool, unanswered: bool) -> type[Driver] | None:
    """What talks to a terminal over a network, or to one that may answer late; else None.

    None, too, where there is none for this system.
    """
    try:
        if remote:
            from tbgrad_tui.driver import NetworkDriver

            return NetworkDriver
        if unanswered:
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
