"""What is said to those who train: one sentence at a time, the rest for those who look for it."""

from __future__ import annotations

import logging

logger = logging.getLogger("tbgrad")

LINE = 240
"""So many characters of an exception's first line are told."""


def brief(error: Exception) -> str:
    """An exception in one line; the whole of it is logged for those who look for more."""
    logger.debug("tbgrad: in full", exc_info=error)
    lines = str(error).strip().splitlines() or [""]
    line = lines[0] if len(lines[0]) <= LINE else f"{lines[0][:LINE]}…"
    return f"{type(error).__name__}: {line}".strip(": ")
