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

    def has(self, path: str) -> bool:
        """Whether the parameter of this path is observed."""
        return any(fnmatchcase(path, pattern) for pattern in self.include) and not any(
            fnmatchcase(path, pattern) for pattern in self.exclude
        )
