"""The gradient over all of the data, and how large it is beside its own noise: the record of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tbgrad.log.text import number


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """The gradient of the mean loss over all samples.

    Attributes:
        loss: the mean over all samples.
        norm: of the whole gradient.
        norms: of each parameter's, by its name.
        layer_norms: of each layer's, by its name.
        noise: root of the mean squared distance of the gradient of a batch of `batch_size` samples,
            drawn at random, from that of all; NaN where there was one batch alone.
        noises: of each parameter, likewise.
        samples: in all.
        batch_size: of the batches gone through.
    """

    loss: float
    norm: float
    norms: dict[str, float]
    layer_norms: dict[str, float]
    noise: float
    noises: dict[str, float]
    samples: int
    batch_size: int

    @property
    def noise_scale(self) -> float:
        """Samples at which the noise of a batch is as large as the gradient.

        The simple noise scale of McCandlish et al., "An empirical model of large-batch training",
        2018, from the exact gradient of these samples.
        """
        return self.batch_size * (self.noise / self.norm) ** 2 if self.norm else math.inf

    @property
    def standard_error(self) -> float:
        """That of the gradient, as an estimate of what more such samples would give."""
        return self.noise * math.sqrt(self.batch_size / self.samples)

    def __repr__(self) -> str:
        lines = [
            f"gradient norm {number(self.norm, 3)} at loss {number(self.loss, 6)}, over "
            f"{self.samples:,} samples",
            f"a batch of {self.batch_size:,} is {number(self.noise, 3)} off it"
            + (f", {number(self.noise / self.norm, 3)} times its norm" if self.norm else ""),
        ]
        largest = sorted(self.layer_norms.items(), key=lambda item: -item[1])
        return "\n".join([*lines, *(f"  {norm:<10.3g} {layer}" for layer, norm in largest)])
