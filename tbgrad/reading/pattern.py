"""Regular expressions whose search takes a time in proportion to the text, whatever they are.

Those of `re` may take for ever: `(a+)+$` doubles its time with every letter. RE2 follows all ways
through an expression at once, so that nobody's filter holds up a server.
"""

from __future__ import annotations

from collections.abc import Callable

MOST_CHARACTERS = 200


def pattern(text: str) -> Callable[[str], bool]:
    """Whether an expression is found in a text, without regard to case.

    It is one of RE2 (https://github.com/google/re2/wiki/Syntax), which has all of Python's but
    backreferences and what looks ahead or behind.

    Raises:
        ValueError: it is no such expression, or too long.

    >>> pattern("adam|sgd.*seed[12]$")("sweep/SGD-seed2")
    True
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters; {MOST_CHARACTERS} may be")
    import re2  # most filters have no expression

    options = re2.Options()
    options.case_sensitive = options.log_errors = False
    try:
        compiled = re2.compile(_encodable(text), options)
    except re2.error as error:
        raise ValueError(error.args[0].decode()) from None
    return lambda name: compiled.search(_encodable(name)) is not None


def _encodable(text: str) -> str:
    """Without what no UTF-8 has: names of files may be any bytes."""
    return text.encode(errors="replace").decode()
