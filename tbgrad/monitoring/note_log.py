"""What the monitor says about itself: a warning each time, and a note in the log of the run."""

from __future__ import annotations

import threading

from tbgrad.log import encode
from tbgrad.monitoring.run_file import RunFile
from tbgrad.monitoring.sentences import logger


class NoteLog:
    """The notes of one run; any thread may add one, that which writes the file among them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: RunFile | None = None
        self._newest = (-1, "")
        self._early: list[str] | None = []
        self._told: set[str] = set()

    def open(self, file: RunFile, step: int) -> None:
        """Log to this file from now on, at this step what there was to say before there was one."""
        with self._lock:
            self._file = file
            early, self._early = "\n".join(self._early or ()), None
            if early:
                self._newest = step, early
                file.add(step, [encode.note(early)])

    def add(self, step: int, text: str) -> None:
        """One warning, and a note at this step."""
        logger.warning("tbgrad: %s", text)
        with self._lock:
            newest, before = self._newest
            # Readers keep one value a step and series.
            self._newest = step, f"{before}\n{text}" if step == newest else text
            if self._file is not None:
                self._file.add(step, [encode.note(self._newest[1])])
            elif self._early is not None:
                self._early.append(text)

    def add_once(self, subject: str, step: int, text: str) -> None:
        """The same, unless there was a note on this subject before."""
        if subject not in self._told:
            self._told.add(subject)
            self.add(step, text)

    def close(self) -> None:
        """Only warn from now on."""
        with self._lock:
            self._file = None
