"""From a Summary value to the record it holds; what does not fit the format is refused here."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto import types_pb2

from tbgrad.log.json_records import holds_json, record_of
from tbgrad.log.step_blocks import NewerBlockError, StepBlock, from_bytes
from tbgrad.log.tags import (
    DENSITY,
    ENDED,
    GATHERED_STEPS,
    HISTOGRAMS,
    NEWEST_WINDOWS,
    NOTES,
    PARAMETERS,
    STEP_LEVELS,
    STEPS,
    TRAJECTORY,
    FormatError,
    Kind,
    split_group,
)

MAX_REPEATED = 65_536
"""A tensor in the protocol's short form (last number repeated) may unfold to this many numbers."""

Value: TypeAlias = Any  # summary_pb2.Summary.Value: the generated module has no types
Metadata: TypeAlias = Any  # summary_pb2.SummaryMetadata

_MISFITS = (
    ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError, struct.error,
)  # fmt: skip


def decode(value: Value, metadata: Metadata | None) -> tuple[Kind, Any] | None:
    """What a Summary value holds; None for what no face of ours shows (images, audio, graphs).

    `metadata` is the metadata of the first value of this tag, where TensorBoard keeps it.
    Scalars come as float (as int where float would lose digits), histograms as float64 [k, 3],
    packed series as arrays, JSON as records.

    Raises:
        FormatError: the content is not what the tag or the plugin promises.
    """
    try:
        return _decode(value, metadata)
    except _MISFITS as error:
        raise _misfit(value.tag, error) from error


def unread(value: Value, metadata: Metadata | None) -> str:
    """What it is that a value for which `decode` has nothing holds, in a word or two."""
    plugin = metadata.plugin_data.plugin_name if metadata is not None else ""
    form = value.WhichOneof("value")
    if form in ("image", "audio"):
        return str(form)
    if form == "tensor" and value.tensor.dtype != types_pb2.DT_STRING:
        known = value.tensor.dtype in types_pb2.DataType.values()
        name = types_pb2.DataType.Name(value.tensor.dtype) if known else value.tensor.dtype
        return f"a tensor of type {name}"
    return f"of the plugin {plugin}" if plugin else "of no known form"


def decode_array(tag: str, array: NDArray[Any]) -> tuple[Kind, Any]:
    """What a packed series holds, given as an array, as a server of TensorBoard hands it out.

    Raises:
        FormatError: the content is not what the tag promises.
    """
    try:
        if holds_json(tag):
            return record_of(tag, _string_in(array))
        if tag in _MATRICES:
            kind, dtype = _MATRICES[tag]
            return kind, _matrix(array, dtype)
        if tag in _BLOCKS:
            return Kind.STEPS, _block(array)
    except _MISFITS as error:
        raise _misfit(tag, error) from error
    if array.dtype.kind in "OSU":
        text = _string_in(array)
        return Kind.TEXT, text.decode(errors="replace") if isinstance(text, bytes) else text
    return Kind.TENSOR, array


def decode_density(rows: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues, rising, and their density: both [G].

    Raises:
        FormatError: that is not what it holds.
    """
    fits = isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.shape[0] == 2
    if not fits or rows.shape[1] < 2 or not (np.diff(rows[0]) > 0).all():
        raise FormatError(f"{DENSITY!r} does not hold rising eigenvalues and their density")
    grid, density = rows.astype(np.float64)
    return grid, density


def ended_at(notes: Iterable[tuple[int, str]], newest: int | None) -> int | None:
    """The step at which the monitoring ended after a failure; None where it did not.

    Args:
        notes: step and text of the notes of a log, in any order.
        newest: step of the newest gradient in it, which may be of a later session.
    """
    ends = [step for step, text in notes if ENDED in text]
    if not ends or (newest is not None and newest > max(ends)):
        return None
    return max(ends)


def _misfit(tag: str, error: Exception) -> FormatError:
    reason = f"{type(error).__name__}: {error}"[:200]
    return FormatError(f"{tag[:200]!r} does not hold what the format says ({reason})")


def _decode(value: Value, metadata: Metadata | None) -> tuple[Kind, Any] | None:
    form, tag = value.WhichOneof("value"), split_group(value.tag)[1]
    if holds_json(tag):
        return record_of(tag, value.tensor.string_val[0])
    if tag in _MATRICES:
        kind, dtype = _MATRICES[tag]
        if value.tensor.dtype not in DTYPES:
            name = types_pb2.DataType.Name(value.tensor.dtype)
            raise ValueError(f"expected a {np.dtype(dtype)} matrix, found a tensor of {name}")
        return kind, _matrix(_array(value.tensor), dtype)
    if tag in _BLOCKS:
        try:
            return Kind.STEPS, _block(_array(value.tensor))
        except NewerBlockError:
            return None
    if form == "simple_value":
        return Kind.SCALAR, float(value.simple_value)
    if form == "histo":
        return Kind.HISTOGRAM, _legacy_buckets(value.histo)
    if form != "tensor":
        return None
    plugin = metadata.plugin_data.plugin_name if metadata is not None else ""
    if value.tensor.dtype == types_pb2.DT_STRING:
        if plugin != "text" and tag != NOTES:
            return None
        strings = value.tensor.string_val
        return Kind.TEXT, "\n".join(string.decode(errors="replace") for string in strings)
    if value.tensor.dtype not in (*DTYPES, types_pb2.DT_BFLOAT16):
        return None
    array = _array(value.tensor)
    if plugin == "histograms" and array.ndim == 2 and array.shape[1] == 3:
        return Kind.HISTOGRAM, array.astype(np.float64)
    if plugin in ("scalars", "") and array.size == 1:
        return Kind.SCALAR, _number_in(array)
    return Kind.TENSOR, array


def _number_in(array: NDArray[Any]) -> float | int:
    """The one number of an array: as float, unless that would lose digits of an integer."""
    number = array.reshape(-1)[0].item()
    return number if isinstance(number, int) and int(float(number)) != number else float(number)


def _string_in(array: NDArray[Any]) -> bytes | str:
    """The one string of an array."""
    text = np.asarray(array, dtype=object).reshape(-1)[0]
    return text if isinstance(text, bytes | str) else str(text)


def _matrix(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    if array.ndim != 2 or array.dtype.type is not dtype:
        raise ValueError(f"expected a {np.dtype(dtype)} matrix, found {array.dtype} {array.shape}")
    return array


def _block(array: NDArray[Any]) -> StepBlock:
    if array.ndim != 1 or array.dtype != np.uint8:
        raise ValueError(f"expected bytes, found {array.dtype} {array.shape}")
    return from_bytes(array.tobytes())


def _array(tensor: Any) -> NDArray[Any]:
    if tensor.dtype in _HALVES:
        return _halves(tensor)
    dtype, field = DTYPES[tensor.dtype]
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    size = math.prod(shape)
    if tensor.tensor_content:
        flat = np.frombuffer(tensor.tensor_content, dtype=np.dtype(dtype).newbyteorder("<"))
    else:
        flat = np.array(getattr(tensor, field), dtype=dtype)
        if 0 < flat.size < size <= MAX_REPEATED:
            flat = np.pad(flat, (0, size - flat.size), mode="edge")
    if flat.size != size:
        raise ValueError(f"shape {shape} does not match {flat.size} numbers")
    return flat.reshape(shape)


def _halves(tensor: Any) -> NDArray[Any]:
    """Numbers of 16 bits: what stands in the message unpacked are their bits."""
    bits = _array(_bits_of(tensor))
    if tensor.dtype == types_pb2.DT_HALF:
        return bits.view(np.float16)
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _bits_of(tensor: Any) -> Any:
    """The same tensor, as unsigned integers of 16 bits."""
    bits = type(tensor)()
    bits.CopyFrom(tensor)
    bits.dtype = types_pb2.DT_UINT16
    bits.int_val.extend(tensor.half_val)
    return bits


def _legacy_buckets(histo: Any) -> NDArray[np.float64]:
    right = np.array(histo.bucket_limit, dtype=np.float64)
    counts = np.array(histo.bucket, dtype=np.float64)
    if right.size != counts.size:
        raise ValueError(f"{right.size} limits for {counts.size} counts")
    used = np.flatnonzero(counts)
    if used.size == 0:
        return np.zeros((0, 3))
    left = np.clip(np.concatenate([[-np.inf], right[:-1]]), histo.min, histo.max)
    right = np.clip(right, histo.min, histo.max)
    keep = slice(used[0], used[-1] + 1)
    return np.column_stack([left, right, counts])[keep]


DTYPES: dict[int, tuple[type[np.generic], str]] = {
    types_pb2.DT_FLOAT: (np.float32, "float_val"),
    types_pb2.DT_DOUBLE: (np.float64, "double_val"),
    types_pb2.DT_INT32: (np.int32, "int_val"),
    types_pb2.DT_INT64: (np.int64, "int64_val"),
    types_pb2.DT_BOOL: (np.bool_, "bool_val"),
    types_pb2.DT_HALF: (np.float16, "half_val"),
    types_pb2.DT_INT8: (np.int8, "int_val"),
    types_pb2.DT_INT16: (np.int16, "int_val"),
    types_pb2.DT_UINT8: (np.uint8, "int_val"),
    types_pb2.DT_UINT16: (np.uint16, "int_val"),
    types_pb2.DT_UINT32: (np.uint32, "uint32_val"),
    types_pb2.DT_UINT64: (np.uint64, "uint64_val"),
}
"""Tensor types that are understood: the NumPy type, and the field that holds them unpacked."""

_MATRICES: dict[str, tuple[Kind, type[np.generic]]] = {
    PARAMETERS: (Kind.PARAMETERS, np.float32),
    HISTOGRAMS: (Kind.HISTOGRAMS, np.int32),
    TRAJECTORY: (Kind.TRAJECTORY, np.float32),
}

_BLOCKS = frozenset((STEPS, GATHERED_STEPS, NEWEST_WINDOWS, *STEP_LEVELS))

_HALVES = (types_pb2.DT_HALF, types_pb2.DT_BFLOAT16)
