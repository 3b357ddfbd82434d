"""Where a training stands against the limit of its optimizer, in one word for all faces."""

from __future__ import annotations

import math

from tbgrad.diagnosis.settings import AlertSettings

NEAR = 0.9
"""From here on it is at the edge, where full-batch training hovers; an alert ends that."""

STANDINGS = {
    "below": "below the limit",
    "at": "at the edge of stability",
    "beyond": "beyond the limit: unstable",
    "": "",
}


def standing(stability: float) -> str:
    """One of `STANDINGS`: "beyond" from where the alert begins; "" where no limit is known."""
    if not math.isfinite(stability):
        return ""
    if stability > AlertSettings.stability:
        return "beyond"
    return "at" if stability >= NEAR else "below"
