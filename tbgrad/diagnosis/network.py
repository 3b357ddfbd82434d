"""The rows of a manifest as the rules need them: kernels in their order, units, activations."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.records import Manifest

CONSTANT = frozenset({"ones", "constant"})
"""Names of initializers after which all units of a layer are alike."""

SATURATING = frozenset({"sigmoid", "tanh", "softsign", "hard_sigmoid", "hard_tanh"})


class Network:
    """What of a manifest does not change from record to record.

    Attributes:
        kernels: rows of the kernels, in the order of the model: the first is nearest to the input.
        way: the same rows with those of embeddings: what a gradient passes on its way to the input.
        embeds: whether there are embeddings.
        normalized: whether there are layers that normalise.
        heads: for every layer with units, the row that tells best which units get a gradient: its
            bias, whose gradient does not depend on the layer's input, or its kernel.
        bodies: for the same layers the row of the kernel, where the bias tells nothing.
        widths: how many units each of these layers has.
        last: the path of the last of these layers.
        saturating: mask [P] of the rows of layers whose activation saturates, the last layer aside.
        units: output units of every kernel, [P]; NaN elsewhere.
        inner: mask [P] of the kernels of more than one unit, the last kernel aside.
        constant: mask [P] of what begins alike everywhere, but not at zero.
        entrance: rows of the kernel and the bias that the inputs come to first, and the root of how
            many inputs a unit has there; None where a normalization or an embedding is before it.
        bounded: the same of every layer whose inputs lie within one of zero, as they come from an
            activation that saturates.
    """

    def __init__(self, manifest: Manifest) -> None:
        parameters = manifest.parameters
        self.count = len(parameters)
        self.kernels = np.array(
            [i for i, p in enumerate(parameters) if p.role == "kernel" and len(p.shape) > 1],
            np.intp,
        )
        embeddings = [i for i, p in enumerate(parameters) if p.role == "embedding"]
        self.embeds = bool(embeddings)
        self.way = np.sort(np.append(self.kernels, np.array(embeddings, np.intp)))
        self.normalized = any(p.role == "normalization" for p in parameters)
        heads: dict[str, int] = {}
        for i, parameter in enumerate(parameters):
            if parameter.role == "bias" or (
                parameter.role == "kernel" and parameter.layer not in heads
            ):
                heads[parameter.layer] = i
        self.heads = np.array(list(heads.values()), np.intp)
        behind = {parameters[i].layer: i for i in self.kernels}
        self.bodies = np.array([behind.get(layer, i) for layer, i in heads.items()], np.intp)
        shapes = [parameters[i].shape or (1,) for i in self.bodies]
        self.widths = np.array([shape[-1] for shape in shapes], np.float64)
        self.last = parameters[self.kernels[-1]].layer if len(self.kernels) else ""
        self.saturating = np.array(
            [p.activation in SATURATING and p.layer != self.last for p in parameters], np.bool_
        )
        self.units = np.full(self.count, math.nan)
        for i in self.kernels:
            self.units[i] = parameters[i].shape[-1]
        self.entrance = self._entrance(manifest)
        self.bounded = self._bounded(manifest)
        self.inner = np.zeros(self.count, np.bool_)
        for i in self.kernels[:-1]:
            self.inner[i] = parameters[i].shape[-1] > 1
        self.constant = np.array([p.initializer in CONSTANT for p in parameters], np.bool_)

    def without_gradient(self, dead: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of the statistic `dead_fraction` [P] what it tells of each layer with units."""
        told = dead[self.heads].astype(np.float64)
        return np.where(np.isnan(told), dead[self.bodies], told)

    def _entrance(self, manifest: Manifest) -> tuple[int, int, float] | None:
        parameters = manifest.parameters
        if len(self.kernels) < 2:
            return None
        first = int(self.kernels[0])
        kernel = parameters[first]
        if self.embeds or kernel.normalization in ("before", "both"):
            return None
        return self._with_bias(manifest, first)

    def _bounded(self, manifest: Manifest) -> tuple[tuple[int, int, float], ...]:
        behind = (int(row) for row, before in zip(self.kernels[1:], self.kernels, strict=False)
                  if self.saturating[before])  # fmt: skip
        return tuple(found for row in behind if (found := self._with_bias(manifest, row)))

    def _with_bias(self, manifest: Manifest, row: int) -> tuple[int, int, float] | None:
        """A kernel, the bias of its layer, and the root of how many inputs a unit has there."""
        kernel = manifest.parameters[row]
        for other, parameter in enumerate(manifest.parameters):
            if parameter.role == "bias" and parameter.layer == kernel.layer:
                return row, other, math.sqrt(math.prod(kernel.shape[:-1]))
        return None
