"""What a reader had no room for, or a later value took the place of: how much, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

REPLACED = "gave way to later ones of the same or a lower step"

NAMED = 3
"""So many series are named where many have left something out for one reason."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Values of a series that the file has and the series has not: how many, and why."""

    tag: str
    count: int
    reason: str

    def __str__(self) -> str:
        return f"{_values(self.count)} of {self.tag} {self.reason}"


def left_out_lines(left_out: Iterable[LeftOut]) -> list[str]:
    """What is left out, in words: a line for each reason."""
    reasons: dict[str, list[LeftOut]] = {}
    for entry in left_out:
        reasons.setdefault(entry.reason, []).append(entry)
    lines = []
    for reason, entries in reasons.items():
        if len(entries) == 1:
            lines.append(str(entries[0]))
            continue
        entries.sort(key=lambda entry: -entry.count)
        named = [f"{entry.tag} {entry.count:,}" for entry in entries[:NAMED]]
        named += ["…"] if len(entries) > NAMED else []
        total = _values(sum(entry.count for entry in entries))
        lines.append(f"{total} of {len(entries):,} series {reason} ({', '.join(named)})")
    return lines


def _values(count: int) -> str:
    return f"{count:,} {'value' if count == 1 else 'values'}"
