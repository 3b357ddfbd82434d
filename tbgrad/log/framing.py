"""The framing of event files, in both directions, and the only place that knows it.

An event file is a sequence of records: an 8-byte little-endian length, the masked CRC32C of these
8 bytes, the data (an `Event` protocol buffer), and the masked CRC32C of the data.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 12
FOOTER_BYTES = 4
SEARCH_BYTES = 64 << 10
MAX_RECORD_BYTES = 1 << 30
"""A longer record is taken for damage: no event is, and nobody has the memory."""

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_MASK = 0xA282EAD8


def masked_crc32c(data: bytes) -> int:
    """The checksum that guards lengths and data: CRC32C, rotated by 15 bits and offset."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF


_EMPTY_CHECKSUM = masked_crc32c(_LENGTH.pack(0))


def frame(data: bytes) -> bytes:
    """One record around `data`, as it stands in the file."""
    length = _LENGTH.pack(len(data))
    return b"".join(
        (
            length,
            _CHECKSUM.pack(masked_crc32c(length)),
            data,
            _CHECKSUM.pack(masked_crc32c(data)),
        )
    )


class Records(NamedTuple):
    """Records that follow one another, by where they start.

    `damaged` start where the data fails its checksum; they are not among `starts`. The next record
    starts at `end`, if its header is not `broken`.
    """

    starts: list[int]
    contents: list[bytes]
    damaged: list[int]
    end: int
    broken: bool


def records_in(data: bytes, start: int, most: int) -> Records:
    """The complete records of `data` from the one that starts at `start`, at most so many."""
    ends = len(data) - FOOTER_BYTES
    unpack = _LENGTH.unpack_from
    starts: list[int] = []
    position = start
    while position + HEADER_BYTES <= ends and len(starts) < most:
        following = position + HEADER_BYTES + unpack(data, position)[0]
        if following > ends:
            break
        starts.append(position)
        position = following + FOOTER_BYTES
    bounds = np.array([*starts, position])
    sound = _headers_hold(data, bounds[:-1])
    if not sound.all():
        whole = int(np.argmin(sound))
        starts, position, broken = starts[:whole], starts[whole], True
        bounds = bounds[: whole + 1]
    else:
        broken = len(starts) < most and _is_broken(data, position)
    contents = [
        data[a + HEADER_BYTES : b - FOOTER_BYTES]
        for a, b in zip(starts, bounds[1:].tolist(), strict=True)
    ]
    crc = google_crc32c.value
    checksums = np.array([crc(content) for content in contents], dtype=np.uint32)
    intact = checksums == _unmasked(_words(data, bounds[1:] - FOOTER_BYTES))
    if intact.all():
        return Records(starts, contents, [], position, broken)
    pairs = list(zip(starts, contents, intact.tolist(), strict=True))
    return Records(
        [start for start, _, good in pairs if good],
        [content for _, content, good in pairs if good],
        [start for start, _, good in pairs if not good],
        position,
        broken,
    )


def missing_bytes(rest: bytes) -> int:
    """How many bytes more than `rest`, which begins with a record, make it whole."""
    if len(rest) < HEADER_BYTES:
        return 1
    return HEADER_BYTES + int(_LENGTH.unpack_from(rest)[0]) + FOOTER_BYTES - len(rest)


def next_header(data: bytes, start: int) -> int:
    """The first position from `start` where a length holds, or else the first one cut off."""
    end = max(start, len(data) - HEADER_BYTES + 1)
    for block in range(start, end, SEARCH_BYTES):
        count = min(SEARCH_BYTES, end - block)
        lengths = np.ndarray((count,), "<u8", data, block, (1,))
        checksums = np.ndarray((count,), "<u4", data, block + _LENGTH.size, (1,))
        possible = (lengths <= MAX_RECORD_BYTES) & ((lengths > 0) | (checksums == _EMPTY_CHECKSUM))
        for i in np.flatnonzero(possible).tolist():
            if masked_crc32c(data[block + i : block + i + _LENGTH.size]) == checksums[i]:
                return int(block + i)
    return end


def _is_broken(data: bytes, position: int) -> bool:
    """Whether there is a whole header that does not hold."""
    if position + HEADER_BYTES > len(data):
        return False
    length = data[position : position + _LENGTH.size]
    (checksum,) = _CHECKSUM.unpack_from(data, position + _LENGTH.size)
    return bool(masked_crc32c(length) != checksum or _LENGTH.unpack(length)[0] > MAX_RECORD_BYTES)


def _headers_hold(data: bytes, starts: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether each of these records' lengths has the checksum beside it."""
    lengths = np.frombuffer(data, np.uint8)[starts[:, None] + np.arange(_LENGTH.size)]
    nothing, tables = _tables()
    crc = np.full(len(starts), nothing, dtype=np.uint32)
    for column, table in enumerate(tables):
        crc ^= table[lengths[:, column]]
    holds: NDArray[np.bool_] = crc == _unmasked(_words(data, starts + _LENGTH.size))
    return holds


def _words(data: bytes, positions: NDArray[np.intp]) -> NDArray[np.uint32]:
    """The 4-byte numbers at these positions."""
    picked = np.frombuffer(data, np.uint8)[positions[:, None] + np.arange(_CHECKSUM.size)]
    words: NDArray[np.uint32] = picked.reshape(-1).view("<u4")
    return words


def _unmasked(checksums: NDArray[np.uint32]) -> NDArray[np.uint32]:
    rotated = checksums - np.uint32(_MASK)
    return (rotated << np.uint32(15)) | (rotated >> np.uint32(17))


@cache
def _tables() -> tuple[int, list[NDArray[np.uint32]]]:
    """The CRC32C of a length of zero, and what each value of each of its 8 bytes adds to that.

    A checksum of so few bytes is made up from its bytes: it is affine over them.
    """
    nothing = google_crc32c.value(bytes(_LENGTH.size))
    tables = []
    for column in range(_LENGTH.size):
        before, after = bytes(column), bytes(_LENGTH.size - 1 - column)
        row = [google_crc32c.value(before + bytes([byte]) + after) for byte in range(256)]
        tables.append(np.array(row, dtype=np.uint32) ^ np.uint32(nothing))
    return nothing, tables
