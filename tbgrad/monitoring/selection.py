"""Which parameters are observed, by patterns of their paths."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Selection:
    """Which parameters are observed, by patterns of their paths as of a shell's file names.

    `*` stands for anything, `/` included. Without `include` it is all; `exclude` takes from them.
    """

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()

    def has(self, *names: str) -> bool:
        """Whether the parameter with these names is observed: what it is called, and in full."""
        return _fits(names, self.include) and not _fits(names, self.exclude)


def _fits(names: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
