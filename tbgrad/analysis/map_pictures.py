"""Maps of sensitivity as pictures, for TensorBoard's own image tab."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.text import number, printable

SIDE = 128
"""Pixels that the shorter side of a picture has at least, by whole multiples."""

STRIP = 24
"""Pixels that a row of a table or of a sequence is high."""

BAR = 30
"""Characters of the longest bar."""

_MARKUP = re.compile(r"[\\`*_{}\[\]()#+.!|-]")
"""What means something in Markdown, where it is no name."""

_MAP = np.array(
    # From dark to bright in even steps of lightness: what is brightest moves the loss most.
    [[0, 0, 4], [51, 13, 89], [132, 32, 107], [212, 72, 66], [250, 158, 59], [252, 255, 164]],
    float,
)
_SIGNED = np.array(
    [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]]
)
"""From what makes the loss smaller, in blue, to what makes it larger, in red."""


def pictures(x: NDArray[np.generic], maps: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    """One a sample, uint8 [height, width, 3].

    Of pictures the input in grey beside its map, of vectors and sequences a strip of the map with a
    column a feature or a step. Maps with both signs are blue and red, others dark to bright; each
    sample fills the scale.
    """
    made = []
    for sample, values in zip(np.asarray(x), maps, strict=True):
        flat = _flattened(np.asarray(values, float))
        if sample.ndim == 3:
            grey = np.asarray(sample, float).mean(axis=-1)
            span = np.ptp(grey) or 1.0
            left = np.repeat(((grey - grey.min()) / span * 255)[..., np.newaxis], 3, axis=-1)
            made.append(_larger(np.hstack([left, _coloured(flat)])))
        else:
            made.append(_strip(_coloured(flat if flat.ndim == 2 else flat[np.newaxis])))
    return made


def table(features: Sequence[str], maps: NDArray[np.float32]) -> str:
    """How much the features of a table move the loss, the most first, as a table in Markdown.

    Args:
        features: what they are called, F.
        maps: [samples, F]; the mean of their magnitudes counts.
    """
    means = np.abs(np.nan_to_num(maps.astype(float))).mean(axis=0)
    largest = means.max() or 1.0
    rows = ["| feature | mean magnitude | |", "| --- | ---: | --- |"]
    for i in np.argsort(-means, kind="stable"):
        name = _MARKUP.sub(r"\\\g<0>", html.escape(printable(str(features[i]))))
        rows.append(
            f"| {name} | {number(float(means[i]))} | {'█' * round(BAR * means[i] / largest)} |"
        )
    return "\n".join(rows)


def _flattened(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a picture [height, width, channels] the sum over channels; of others as they are."""
    if values.ndim == 3:
        signed = (values < 0).any() and (values > 0).any()
        summed: NDArray[np.float64] = (values if signed else np.abs(values)).sum(axis=-1)
        return summed
    return values.T if values.ndim == 2 and values.shape[0] > values.shape[1] else values


def _coloured(values: NDArray[np.float64]) -> NDArray[np.float64]:
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(np.abs(finite).max()) or 1.0
    if (finite < 0).any():
        return _between(_SIGNED, finite / largest / 2 + 0.5)
    return _between(_MAP, finite / largest)


def _between(colours: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    at = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(places, at, colours[:, i]) for i in range(3)], axis=-1)


def _larger(picture: NDArray[np.float64]) -> NDArray[np.uint8]:
    times = max(1, -(-SIDE // min(picture.shape[:2])))
    larger: NDArray[np.uint8] = picture.repeat(times, axis=0).repeat(times, axis=1).astype(np.uint8)
    return larger


def _strip(picture: NDArray[np.float64]) -> NDArray[np.uint8]:
    across = max(1, -(-4 * SIDE // picture.shape[1]))
    down = max(1, STRIP if picture.shape[0] == 1 else -(-SIDE // picture.shape[0]))
    strip: NDArray[np.uint8] = picture.repeat(down, axis=0).repeat(across, axis=1).astype(np.uint8)
    return strip
