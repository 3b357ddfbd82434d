"""Names that a run does not have: one sentence with those that it has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbgrad.reading.run import Run

NAMED = 12
"""So many names are listed."""


def unknown(what: str, name: str, known: Iterable[str]) -> KeyError:
    """The error of a name that is not there: the nearest of those that are, or else the first.

    >>> raise unknown("layer", "conv1", ["conv_1", "dense"])
    KeyError: "no layer 'conv1'; did you mean 'conv_1'?"
    """
    there = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, there, n=3, cutoff=0.6)
    if near:
        return KeyError(f"no {what} {name!r}; did you mean {' or '.join(map(repr, near))}?")
    if not there:
        return KeyError(f"no {what} {name!r}: the log has none")
    more = f" and {len(there) - NAMED:,} more" if len(there) > NAMED else ""
    return KeyError(f"no {what} {name!r}; there are {', '.join(there[:NAMED])}{more}")


def row_of(run: Run, parameter: str) -> int:
    """The row of a parameter.

    Raises:
        KeyError: the run has no such parameter.
    """
    if parameter not in run.names:
        raise unknown("parameter", parameter, run.names)
    return run.names.index(parameter)
