"""Every step of a stretch, as a tap has seen it: the finest thing that a log keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Steps:
    """Consecutive steps from `first_step` on: T of them, of P parameters.

    `scalars` are float32 [T] by tag, of those of `loss`, `learning_rate` and `gradient/norm` that
    are known of all of these steps; a NaN in them is what was computed. `norms` are float32 [T, P],
    of the true gradient of every parameter: NaN where it had none in a step, infinite where it was
    not finite.
    """

    first_step: int
    scalars: Mapping[str, NDArray[np.float32]]
    norms: NDArray[np.float32]

    @property
    def last_step(self) -> int:
        """The newest of them."""
        return self.first_step + len(self.norms) - 1

    def __len__(self) -> int:
        return len(self.norms)

    def __getitem__(self, part: slice) -> Steps:
        """Some of them: a slice without a stride."""
        scalars = {tag: values[part] for tag, values in self.scalars.items()}
        return Steps(self.first_step + part.indices(len(self))[0], scalars, self.norms[part])
