"""Answers of the terminal that come once nobody waits for them: they are not what was typed."""

from __future__ import annotations

import math
import os
import re
import select
import time
from codecs import getincrementaldecoder

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from tbgrad_tui.background import is_light

_ANSWERS = re.compile(r"\x1b\]11;[^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[\?[\d;]*c")
"""To what `background.ASK` asks."""

_BEGUN = re.compile(r"\x1b(?:\](?:1(?:1(?:;[^\x07\x1b]{0,40}\x1b?)?)?)?|\[(?:\?[\d;]{0,40})?)?\Z")
"""What may be the beginning of one, at the end of what was read."""

HELD_SECONDS = 0.1
"""So long the rest of an answer is waited for; a key that begins alike, as Escape, waits too."""

AWAITED_SECONDS = 30.0
"""So long after the start answers may come; later such a key does not wait any more."""


class Background(Message):
    """The terminal has told, later than its answer was waited for, whether its ground is light."""

    def __init__(self, light: bool) -> None:
        super().__init__()
        self.light = light


class Answers:
    """Takes answers of the terminal out of what is typed, also those that come in parts.

    `begun` is what came of one before.

    >>> answers = Answers()
    >>> answers.left("x\\x1b]11;rgb:0", 0.0), answers.left("0/0/0\\x07y", 0.05)
    ('x', 'y')
    """

    def __init__(self, begun: str = "") -> None:
        self._held = begun
        self._since = 0.0
        self.colours: list[str] = []

    def left(self, typed: str, now: float) -> str:
        """What of it are keys; what may begin an answer is held until more comes, or `overdue`.

        Those that name a colour are added to `colours`.
        """
        typed = self._held + typed
        self.colours += [found for found in _ANSWERS.findall(typed) if found.startswith("\x1b]")]
        typed = _ANSWERS.sub("", typed)
        begun = _BEGUN.search(typed)
        if begun is None:
            self._held = ""
            return typed
        if begun[0] != self._held:
            self._since = now
        self._held = begun[0]
        return typed[: begun.start()]

    def overdue(self, now: float) -> str:
        """What was held, once its rest has not come in time."""
        if not self._held or now - self._since < HELD_SECONDS:
            return ""
        held, self._held = self._held, ""
        return "" if held.startswith("\x1b]11;") else held


class PatientDriver(LinuxDriver):
    """Knows answers that come late: posts `Background` for one that names a colour.

    Of an app that says in `unanswered` what of an answer has come, None where all of it has.
    """

    def run_input_thread(self) -> None:
        """Pass on what is typed."""
        unanswered: str | None = getattr(self._app, "unanswered", None)
        parser, answers = XTermParser(self._debug), Answers(unanswered or "")
        decode = getincrementaldecoder("utf-8")("replace").decode
        until = time.monotonic() + AWAITED_SECONDS if unanswered is not None else 0.0
        while not self.exit_event.is_set():
            typed = ""
            if select.select([self.fileno], [], [], HELD_SECONDS / 2)[0]:
                try:
                    read = os.read(self.fileno, 4096)
                except OSError:
                    read = b""
                if not read:  # the terminal is gone, which the app finds out
                    return
                typed = decode(read)
            now = time.monotonic()
            if now > until:
                typed = answers.overdue(math.inf) + typed
            else:
                typed = answers.left(typed, now) if typed else answers.overdue(now)
            told = [Background(is_light(answers.colours.pop().encode()))] if answers.colours else []
            keys = parser.feed(typed) if typed else ()
            for message in [*told, *keys, *parser.tick()]:
                self.process_message(message)
