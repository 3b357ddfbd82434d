"""What commands make of what the user gave: one sentence where it cannot be used."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbgrad.reading.places import Place


class InputError(Exception):
    """What the user gave cannot be used; the message is one sentence for them."""


def place_at(logdir: str, *, there: bool = True) -> Place:
    """Where the logs are; one sentence where they cannot be there, or, asked for, are not."""
    from tbgrad.log.text import printable
    from tbgrad.reading.places import place_of

    try:
        place = place_of(logdir)
        if there:
            place.check()
            if not place.remote:
                os.scandir(place.path).close()
    except OSError as error:
        reason = str(error)
        if error.filename is not None:
            reason = f"{error.filename} cannot be read: {error.strerror}"
        raise InputError(printable(reason, 1000)) from None
    return place


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
