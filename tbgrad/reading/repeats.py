"""Values whose bytes repeat those of an earlier value but for the numbers, read without a parser.

A series writes the same bytes at every step: tag, type and shape, and then the numbers at the end.
Whatever a parsed value turned out to be, the next one with the same bytes before its numbers is the
same. That is seen by putting other numbers there and parsing it again, so that nothing here knows
more of the protocol than how an `Event` holds the time, the step and its values.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tensorboard.compat.proto import summary_pb2

from tbgrad.log.decode import decode
from tbgrad.log.tags import FormatError, Kind

_FLOAT = struct.Struct("<f")
_PROBES = (0.3125, -3 * 2.0**40)
"""Numbers that float32 holds exactly, and that no value is made of by chance."""

NUMBER_BYTES = 4
"""Of a scalar."""

WALL_TIME = slice(1, 9)
"""Where an event has its wall time, a double, in the usual order of its fields."""

STEP = slice(9, 15)
"""Where an event has its step, between the keys of it and of its summary, if it has 4 bytes."""

TIME_KEY = b"\x09"
_STEP_KEY, _SUMMARY_KEY, _VALUE_KEY, _TAG_KEY = 0x10, 0x2A, 0x0A, 0x0A
"""Keys of the fields of an Event, of a Summary and of a Summary.Value as the protocol writes them:
field 1 fixed64, field 2 varint, field 5 bytes; field 1 bytes; field 1 bytes."""

_SHORTEST = 13
"""An event: 1 + 8 bytes of time, 1 + 1 of the step, 1 + 1 of an empty summary."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """What values of a tag begin with, and what the numbers after that are."""

    kind: Kind
    prefix: bytes
    length: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def is_scalar(self, value: bytes) -> bool:
        """Whether a value is one number of this series."""
        return self.kind is Kind.SCALAR and self.numbers(value) is not None

    def numbers(self, value: bytes) -> NDArray[Any] | None:
        """The numbers of a value of this length; None where it is another kind of value."""
        if not value.startswith(self.prefix):
            return None
        numbers = np.frombuffer(value, self.dtype, -1, len(self.prefix)).reshape(self.shape)
        if self.kind is Kind.HISTOGRAM and numbers.itemsize < 8:
            return numbers.astype(np.float64)
        return numbers


def repeat_of(value: bytes, metadata: Any, kind: Kind, decoded: Any) -> Repeat | None:
    """How a value's bytes, which hold no metadata, repeat; `decoded` is what they came to."""
    if kind is Kind.SCALAR:
        prefix = value[: -_FLOAT.size]
        for number in _PROBES:
            if _decoded(prefix + _FLOAT.pack(number), metadata) != (kind, number):
                return None
        return Repeat(kind, prefix, len(value), np.dtype("<f4"), ())
    if kind not in (Kind.PARAMETERS, Kind.HISTOGRAMS, Kind.HISTOGRAM) or not decoded.size:
        return None
    probe = np.arange(decoded.size).reshape(decoded.shape) % 251
    for dtype in (decoded.dtype.newbyteorder("<"), np.dtype("<f4")):
        prefix = value[: len(value) - dtype.itemsize * decoded.size]
        again = _decoded(prefix + probe.astype(dtype).tobytes(), metadata)
        if again is not None and again[0] is kind and np.array_equal(again[1], probe):
            return Repeat(kind, prefix, len(value), dtype, decoded.shape)
    return None


def step_of(content: bytes) -> tuple[int, int]:
    """The step of an event, and where its summary begins; (0, 0) where it looks unusual."""
    if len(content) < _SHORTEST or content[9] != _STEP_KEY or not content.startswith(TIME_KEY):
        return 0, 0
    step, position = _varint(content, 10)
    if step >= 2**63 or position >= len(content) or content[position] != _SUMMARY_KEY:
        return 0, 0
    return step, position


def values_of(content: bytes, position: int) -> list[bytes] | None:
    """The bytes of each value of the summary that begins there; None where it looks unusual."""
    length, position = _varint(content, position + 1)
    if position + length != len(content):
        return None
    values = []
    while position < len(content):
        if content[position] != _VALUE_KEY:
            return None
        length, start = _varint(content, position + 1)
        position = start + length
        values.append(content[start:position])
    return values if position == len(content) else None


def tag_bytes(value: bytes) -> bytes:
    """The tag of a value as it stands there; empty where it is not what comes first."""
    if len(value) < 2 or value[0] != _TAG_KEY or value[1] > 127:
        return b""
    return value[2 : 2 + value[1]]


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """The number that begins there, and where it ends; huge where it does not end."""
    number = 0
    for shift, byte in enumerate(content[position : position + 10]):
        number |= (byte & 127) << (7 * shift)
        if byte < 128:
            return number, position + shift + 1
    return 2**70, position


def _decoded(value: bytes, metadata: Any) -> tuple[Kind, Any] | None:
    try:
        parsed = summary_pb2.Summary.Value.FromString(value)
        return decode(parsed, metadata)
    except (FormatError, DecodeError):
        return None
