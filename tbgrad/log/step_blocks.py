"""A block of steps: what the log keeps of consecutive steps, and its bytes both ways.

Little-endian, after a header of `_HEADER`:

- the names of the scalars in UTF-8, each behind its length in one byte;
- each scalar: float32 [T], or windows of it (see `SCALAR_WINDOW`) where `scalar_width` is above 1;
- norms: uint16 codes [T, P] (see `tbgrad.log.norm_codes`), or the smallest, the mean and the
  largest [3, W, P] where `norm_width` is above 1.

Windows begin at the first step of the block; the last one may be shorter.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.norm_codes import Codes
from tbgrad.log.step_windows import NEVER, SCALAR_WINDOW, moved
from tbgrad.log.wall_time import seconds

MAGIC = b"TBGS"
VERSION = 1
"""Of the bytes: a reader of a lower one cannot make sense of them."""

_HEADER = struct.Struct("<4sHHqIIIIIdd")
"""MAGIC, VERSION, bytes of the header, first step, T, P, width of the windows of scalars, of those
of norms, number of scalars, wall time of the first step and of the last."""


MAX_WINDOWS = 65_536
"""More windows, or single steps, in a block are taken for damage."""


class NewerBlockError(ValueError):
    """A block that a newer version wrote in another way."""


@dataclass(frozen=True)
class StepBlock:
    """T consecutive steps from `first_step` on, seen from `start` to `end` (wall times).

    `scalars` are float32 [T] by tag, or windows [W] of `SCALAR_WINDOW` where `scalar_width` is
    above 1. `norms` are codes [T, P], or [3, W, P] of the smallest, mean and largest of windows
    where `norm_width` is above 1.
    """

    first_step: int
    count: int
    start: float
    end: float
    scalar_width: int
    scalars: Mapping[str, NDArray[Any]]
    norm_width: int
    norms: Codes

    @property
    def last_step(self) -> int:
        """The newest of its steps."""
        return self.first_step + self.count - 1

    @property
    def rows(self) -> int:
        """P, of how many parameters it has norms."""
        return int(self.norms.shape[-1])

    def ends(self, width: int) -> NDArray[np.int64]:
        """The last step of every window of this width: [W]."""
        ends = np.arange(self.first_step + width - 1, self.last_step + width, width)
        return np.minimum(ends, self.last_step)

    def wall_times(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """When these of its steps were, by an even pace."""
        if self.count == 1:
            return np.full(len(steps), self.end)
        share = (steps - self.first_step) / (self.count - 1)
        return self.start + (self.end - self.start) * share


def windows_in(count: int, width: int) -> int:
    """How many windows so many steps have."""
    return -(-count // width)


def to_bytes(block: StepBlock) -> bytes:
    """A block as it stands in the log."""
    header = _HEADER.pack(
        MAGIC, VERSION, _HEADER.size, block.first_step, block.count, block.rows,
        block.scalar_width, block.norm_width, len(block.scalars), block.start, block.end,
    )  # fmt: skip
    names = b"".join(bytes([len(tag.encode())]) + tag.encode() for tag in block.scalars)
    kind = np.dtype("<f4") if block.scalar_width == 1 else SCALAR_WINDOW
    numbers = [np.ascontiguousarray(x, kind).tobytes() for x in block.scalars.values()]
    norms = np.ascontiguousarray(block.norms, "<u2").tobytes()
    return b"".join([header, names, *numbers, norms])


def from_bytes(data: bytes) -> StepBlock:
    """The block of these bytes; its arrays are views of them.

    Raises:
        NewerBlockError: a newer version wrote them.
        ValueError, LookupError, OverflowError, struct.error: they are no block.
    """
    (
        magic, version, position, first_step, count, rows, scalar_width, norm_width, scalars,
        start, end,
    ) = _HEADER.unpack_from(data)  # fmt: skip
    if magic != MAGIC:
        raise ValueError("it does not begin as a block of steps")
    if version > VERSION:
        raise NewerBlockError(f"version {version} of a block of steps is not known")
    widths = min(scalar_width, norm_width)
    usual = count and widths and 0 <= first_step <= 2**62 and scalars <= len(data)
    if not usual or windows_in(count, widths) > MAX_WINDOWS:
        raise ValueError("the header of a block of steps is out of range")
    names = []
    for _ in range(scalars):
        length = data[position]
        names.append(data[position + 1 : position + 1 + length].decode())
        position += 1 + length
    kind = np.dtype("<f4") if scalar_width == 1 else SCALAR_WINDOW
    each = windows_in(count, scalar_width)
    shape = (count, rows) if norm_width == 1 else (3, windows_in(count, norm_width), rows)
    numbers = math.prod(shape)
    if len(data) != position + len(names) * each * kind.itemsize + 2 * numbers:
        raise ValueError(f"a block of {count} steps does not have {len(data)} bytes")
    values = {}
    for tag in names:
        values[tag] = np.frombuffer(data, kind, each, position)
        if scalar_width > 1:
            _check(values[tag], count)
        position += each * kind.itemsize
    codes = np.frombuffer(data, "<u2", numbers, position)
    return StepBlock(
        first_step=first_step,
        count=count,
        start=seconds(start),
        end=seconds(end),
        scalar_width=scalar_width,
        scalars=values,
        norm_width=norm_width,
        norms=codes.reshape(shape),
    )


def _check(windows: NDArray[Any], count: int) -> None:
    """Refuse windows that say more than so many steps can hold."""
    at = [windows[name] for name in ("minimum_at", "maximum_at", "nonfinite")]
    at.append(np.where(windows["nan_at"] == NEVER, 0, windows["nan_at"]))
    if max(int(steps.max()) for steps in at) > count:
        raise ValueError("a window of a block of steps reaches beyond it")


def ahead(block: StepBlock, step: int) -> StepBlock | None:
    """What of a block lies wholly ahead of a step; None where nothing does."""
    if step > block.last_step:
        return block
    width = max(block.scalar_width, block.norm_width)
    count = max(0, step - block.first_step) // width * width
    if not count:
        return None
    scalars, norms = count // block.scalar_width, count // block.norm_width
    last = block.first_step + count - 1
    return replace(
        block,
        count=count,
        end=float(block.wall_times(np.array([last]))[0]),
        scalars={tag: values[:scalars] for tag, values in block.scalars.items()},
        norms=block.norms[:norms] if block.norm_width == 1 else block.norms[:, :norms],
    )


def after(block: StepBlock, step: int) -> StepBlock | None:
    """What of a block lies wholly behind a step; None where nothing does."""
    if step < block.first_step:
        return block
    width = max(block.scalar_width, block.norm_width)
    gone = windows_in(step + 1 - block.first_step, width) * width
    if gone >= block.count:
        return None
    scalars, norms = gone // block.scalar_width, gone // block.norm_width
    kept = {tag: values[scalars:] for tag, values in block.scalars.items()}
    if block.scalar_width > 1:
        kept = {tag: moved(windows, -gone) for tag, windows in kept.items()}
    first = block.first_step + gone
    return StepBlock(
        first_step=first,
        count=block.count - gone,
        start=float(block.wall_times(np.array([first]))[0]),
        end=block.end,
        scalar_width=block.scalar_width,
        scalars=kept,
        norm_width=block.norm_width,
        norms=block.norms[norms:] if block.norm_width == 1 else block.norms[:, norms:],
    )
