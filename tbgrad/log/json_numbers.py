"""Numbers in the JSON of a log, where NaN is null, and shares of eigenvalues."""

from __future__ import annotations

import math
from typing import Any

from tbgrad.log.share import Share


def number(content: Any) -> float:
    """The number that was written."""
    return math.nan if content is None else float(content)


def share(content: Any) -> Share | None:
    """The share that was written, None where none was."""
    if content is None:
        return None
    return Share(*(float(content[name]) for name in ("value", "low", "high")))
