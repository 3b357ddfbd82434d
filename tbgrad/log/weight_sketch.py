"""Where the weights of a model are, in few numbers that keep distances: what a trajectory logs.

Up to `EXACT` weights are kept as they are. Of more each layer has a count sketch (Charikar, Chen
and Farach-Colton, "Finding frequent items in data streams", 2002): every weight goes, with a random
sign, into one of D sums. It is linear, so that the sketch of a difference is the difference of the
sketches, and E‖S x‖² = ‖x‖² with a variance of at most 2 ‖x‖⁴ / D. Signs and sums are told from the
place of a weight alone: they are the same for all runs of one architecture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.records import Parameter

EXACT = 4096
"""So many weights are kept as they are, where no more is asked for."""

NUMBERS = 8192
"""Of a sketch, all layers together: 32 kB, unless there are more than 512 layers."""

WIDEST, NARROWEST = 512, 16

CHUNK = 1 << 20
"""Weights hashed at a time."""

KEPT = 1 << 24
"""Of so many weights, 32 MB, the places are kept from one sketch to the next."""


def layers_of(parameters: Sequence[Parameter]) -> tuple[str, ...]:
    """The layers in the order of their rows; a parameter without one is its own."""
    return tuple(dict.fromkeys(parameter.layer or parameter.path for parameter in parameters))


def width_of(layers: int) -> int:
    """D: sums a layer, a power of two between 16 and 512."""
    fitting = 1 << max(0, (NUMBERS // max(1, layers)).bit_length() - 1)
    return min(WIDEST, max(NARROWEST, fitting))


def standard_error(width: int) -> float:
    """Of a distance told from a sketch, as a share of it: at most 1/√(2 D), of one layer.

    Of several layers together it is at most that, and smaller the more of them have moved.
    """
    return 1 / math.sqrt(2 * width)


def is_exact(shape: tuple[int, ...], parameters: Sequence[Parameter]) -> bool:
    """Whether what was logged are all weights, [1, n], and no sketch, [layers, D]."""
    return shape == (1, sum(parameter.size for parameter in parameters))


class WeightSketch:
    """Makes what is logged of the weights of one architecture.

    Args:
        parameters: the rows of its manifest, with their sizes.
        exact: whether to keep all weights, whatever their number.
    """

    def __init__(self, parameters: Sequence[Parameter], exact: bool = False) -> None:
        layers = layers_of(parameters)
        self._rows = [layers.index(p.layer or p.path) for p in parameters]
        self._sizes = [parameter.size for parameter in parameters]
        self._width = width_of(len(layers))
        self._shape = (len(layers), self._width)
        self.exact = exact or sum(self._sizes) <= EXACT
        self._places: dict[tuple[int, int], NDArray[np.uint16]] = {}

    def of(self, weights: Sequence[NDArray[np.generic]]) -> NDArray[np.float32]:
        """What is logged of these weights, an array a parameter: [1, n] or [layers, D]."""
        flat = [np.asarray(array).reshape(-1) for array in weights]
        if [len(array) for array in flat] != self._sizes:
            raise ValueError("the weights are of another architecture than the manifest")
        if self.exact:
            return np.concatenate([array.astype(np.float32) for array in flat])[np.newaxis]
        sums = np.zeros(self._shape)
        for number, (row, array) in enumerate(zip(self._rows, flat, strict=True)):
            for start in range(0, len(array), CHUNK):
                part = array[start : start + CHUNK].astype(np.float64)
                places = self._placed(number, start, len(part))
                signed = np.bincount(places, weights=part, minlength=2 * self._width)
                sums[row] += signed[::2] - signed[1::2]
        return sums.astype(np.float32)

    def _placed(self, number: int, start: int, count: int) -> NDArray[np.uint16]:
        """Of weights of a parameter: twice the sum that each goes into, one more if negative."""
        key = number, start
        if key in self._places:
            return self._places[key]
        places = hashed(number, np.arange(start, start + count, dtype=np.uint64), self._width)
        if sum(self._sizes) <= KEPT:
            self._places[key] = places
        return places


def hashed(number: int, places: NDArray[np.uint64], width: int) -> NDArray[np.uint16]:
    """Numbers below 2 D, at random but the same for ever: of these places of parameter `number`.

    The finalizer of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014).
    """
    with np.errstate(over="ignore"):
        state = (places + np.uint64(1) + (np.uint64(number) << np.uint64(40))) * np.uint64(
            0x9E3779B97F4A7C15
        )
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    drawn: NDArray[np.uint16] = (state % np.uint64(2 * width)).astype(np.uint16)
    return drawn
