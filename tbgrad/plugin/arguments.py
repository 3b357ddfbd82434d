"""The arguments of a request: each is read here, and a bad one is refused in one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Reader = Callable[[str, list[str]], Any]
"""Makes of the name of an argument and of all that was given for it what a view takes."""

MAX_LENGTH = 4000
"""Characters of a text: paths of parameters are long, but not so long."""

_SPOKEN = {"from": "first", "to": "last", "with": "other", "format": "form"}
"""What a view calls arguments whose names mean something in Python."""


class BadRequestError(ValueError):
    """An argument is missing or is not what it should be."""


def parsed(given: Any, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The arguments that `readers` know out of those `given` (a MultiDict), as a view takes them.

    Raises:
        BadRequestError: one of them is not what its reader takes.

    >>> parsed(request.args, {"run": text(), "columns": whole(300, 1, 2000)})
    {'run': 'a', 'columns': 300}
    """
    read = {
        _SPOKEN.get(name, name): reader(name, given.getlist(name))
        for name, reader in readers.items()
    }
    first, last = read.get("first"), read.get("last")
    if first is not None and last is not None and first > last:
        raise BadRequestError(f"'from' must not be behind 'to', but {first} is behind {last}")
    return read


def text(default: str | None = None) -> Reader:
    """One text that is not empty; required unless there is a default."""

    def read(name: str, given: list[str]) -> str:
        value = _one(name, given)
        if value:
            return _checked(name, value)
        if default is None:
            raise BadRequestError(f"the argument {name!r} is missing")
        return default

    return read


def texts(most: int, *, required: bool = False) -> Reader:
    """Several, each once, in the order in which they come."""

    def read(name: str, given: list[str]) -> tuple[str, ...]:
        values = tuple(dict.fromkeys(given))
        if required and not any(values):
            raise BadRequestError(f"the argument {name!r} is missing")
        if not all(values):
            raise BadRequestError(f"{name!r} must not be empty")
        if len(values) > most:
            raise BadRequestError(f"{name!r} may be given {most} times, not {len(values):,}")
        return tuple(_checked(name, value) for value in values)

    return read


def whole(default: int, least: int, most: int) -> Reader:
    """A whole number within bounds."""

    def read(name: str, given: list[str]) -> int:
        value = _one(name, given)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            raise BadRequestError(
                f"{name!r} must be a whole number from {least} to {most}, not {_shown(value)}"
            )
        return int(value)

    return read


def step() -> Reader:
    """A step, None where it is not given."""

    def read(name: str, given: list[str]) -> int | None:
        value = _one(name, given)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise BadRequestError(f"{name!r} must be a step, a whole number, not {_shown(value)}")
        return int(value)

    return read


def choice(*options: str) -> Reader:
    """One of these; the first unless given."""

    def read(name: str, given: list[str]) -> str:
        value = _one(name, given)
        if value is None:
            return options[0]
        if value not in options:
            raise BadRequestError(f"{name!r} must be {' or '.join(options)}, not {_shown(value)}")
        return value

    return read


def _one(name: str, given: list[str]) -> str | None:
    if len(given) > 1:
        raise BadRequestError(f"the argument {name!r} is given {len(given):,} times, not once")
    return given[0] if given else None


def _checked(name: str, value: str) -> str:
    if len(value) > MAX_LENGTH:
        raise BadRequestError(f"{name!r} has {len(value):,} characters; {MAX_LENGTH:,} may be")
    return value


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else f"{value[:40]}…")
