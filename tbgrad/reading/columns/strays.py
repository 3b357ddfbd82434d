"""A series whose steps fell back: what was there before, until it shows which of it stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_STRAYS = 100
"""After so many falls of the step a series is one whose steps do not rise: the newest counts."""


@dataclass(frozen=True)
class Former:
    """The first `count` entries of arrays as they were when the step fell to `fell_to`.

    `kept` of them lie before that, and so are there still. `replaced` were replaced until then.
    """

    arrays: Mapping[str, NDArray[Any]]
    count: int
    fell_to: int
    replaced: int

    @property
    def kept(self) -> int:
        """How many entries lie before the step that it fell to."""
        return int(np.searchsorted(self.arrays["steps"][: self.count], self.fell_to))

    @property
    def last_step(self) -> int:
        """Where the series ended."""
        return int(self.arrays["steps"][self.count - 1])

    def values_after(self, step: int) -> int:
        """How many values lie behind a step."""
        behind = self.arrays["steps"][: self.count] > step
        counts = self.arrays.get("counts")
        return int(np.count_nonzero(behind) if counts is None else counts[: self.count] @ behind)

    def with_strays(
        self, arrays: Mapping[str, NDArray[Any]], count: int
    ) -> tuple[dict[str, NDArray[Any]], int]:
        """All entries, those that came since in their places; and how many gave way to them."""
        strays = slice(self.kept, count)
        stays = ~np.isin(self.arrays["steps"][: self.count], arrays["steps"][strays])
        together = {
            name: np.concatenate([array[: self.count][stays], arrays[name][strays]])
            for name, array in self.arrays.items()
        }
        order = np.argsort(together["steps"], kind="stable")
        gone = int(np.count_nonzero(~stays))
        return {name: array[order] for name, array in together.items()}, gone
