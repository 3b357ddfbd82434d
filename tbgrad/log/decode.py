"""From a Summary value to the record it holds; what does not fit the format is refused here."""

from __future__ import annotations

import json
import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto import types_pb2

from tbgrad.log.records import (
    FORMAT_VERSION,
    Alert,
    CurvatureEstimate,
    Eigenvalue,
    HistogramBins,
    Manifest,
    Parameter,
    Share,
)
from tbgrad.log.tags import (
    ALERTS,
    CURVATURE,
    HISTOGRAMS,
    MANIFEST,
    NOTES,
    PARAMETERS,
    FormatError,
    Kind,
    split_group,
)

MAX_PARAMETERS = 1_000_000
"""More rows than this in a manifest are taken for damage, not for a model."""

MAX_DEPTH = 16
"""Settings nested deeper than this are taken for damage, not for an optimizer."""

MAX_REPEATED = 65_536
"""A tensor in the protocol's short form (last number repeated) may unfold to this many numbers."""

Value: TypeAlias = Any  # summary_pb2.Summary.Value: the generated module has no types
Metadata: TypeAlias = Any  # summary_pb2.SummaryMetadata

_MISFITS = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)


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
        return f"a tensor of type {types_pb2.DataType.Name(value.tensor.dtype)}"
    return f"of the plugin {plugin}" if plugin else "of no known form"


def decode_json(tag: str, text: str | bytes) -> Any:
    """The record of one of our JSON tags; raises as `decode` does."""
    try:
        return _JSON_TAGS[tag][1](json.loads(text))
    except _MISFITS as error:
        raise _misfit(tag, error) from error


def _misfit(tag: str, error: Exception) -> FormatError:
    reason = f"{type(error).__name__}: {error}"[:200]
    return FormatError(f"{tag[:200]!r} does not hold what the format says ({reason})")


def _decode(value: Value, metadata: Metadata | None) -> tuple[Kind, Any] | None:
    form, tag = value.WhichOneof("value"), split_group(value.tag)[1]
    if tag in _JSON_TAGS:
        kind, build = _JSON_TAGS[tag]
        return kind, build(json.loads(value.tensor.string_val[0]))
    if tag == PARAMETERS:
        return Kind.PARAMETERS, _matrix(value.tensor, np.float32)
    if tag == HISTOGRAMS:
        return Kind.HISTOGRAMS, _matrix(value.tensor, np.int32)
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


def _matrix(tensor: Any, dtype: type[np.generic]) -> NDArray[Any]:
    if tensor.dtype not in DTYPES:
        raise ValueError(f"expected a {np.dtype(dtype)} matrix, found tensor type {tensor.dtype}")
    array = _array(tensor)
    if array.ndim != 2 or array.dtype.type is not dtype:
        raise ValueError(f"expected a {np.dtype(dtype)} matrix, found {array.dtype} {array.shape}")
    return array


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


def _manifest(content: Any) -> Manifest:
    rows, statistics = content["parameters"], content["statistics"]
    if not isinstance(rows, list) or len(rows) > MAX_PARAMETERS:
        raise ValueError("the list of parameters is missing or too long")
    if not isinstance(statistics, list):
        raise TypeError("the statistics are not a list")
    return Manifest(
        parameters=tuple(
            Parameter(
                path=str(row["path"]),
                layer=str(row.get("layer", "")),
                shape=tuple(int(length) for length in row.get("shape", ())),
                size=_size(row.get("size", 0)),
                dtype=str(row.get("dtype", "")),
                role=str(row.get("role", "other")),
                activation=str(row.get("activation", "")),
            )
            for row in rows
        ),
        statistics=tuple(str(name) for name in statistics),
        histogram_bins=_bins(content.get("histogram_edges", ())),
        optimizer=_settings(content.get("optimizer", {})),
        cadences={str(k): int(v) for k, v in content.get("cadences", {}).items()},
        frozen=tuple(str(layer) for layer in content.get("frozen", ())),
        rules=tuple(str(rule) for rule in content.get("rules", ())),
        group=str(content.get("group", "")),
        first_step=int(content.get("first_step", 0)),
        format_version=int(content.get("format_version", FORMAT_VERSION)),
    )


def _size(content: Any) -> int:
    size = int(content)
    if not 0 <= size < 2**63:
        raise ValueError("the size of a parameter is out of range")
    return size


def _bins(content: Any) -> HistogramBins:
    edges = np.array(content, dtype=np.float64)
    if edges.ndim != 1 or not np.isfinite(edges).all() or (np.diff(edges, prepend=0.0) <= 0).any():
        raise ValueError("histogram edges are not positive and rising")
    return HistogramBins(tuple(edges.tolist()))


def _settings(content: Any) -> dict[str, object]:
    if not isinstance(content, dict) or not _shallow(content, MAX_DEPTH):
        raise ValueError("the settings of the optimizer are not an object, or nested too deep")
    return content


def _shallow(content: Any, depth: int) -> bool:
    if not isinstance(content, dict | list):
        return True
    items = content.values() if isinstance(content, dict) else content
    return depth > 0 and all(_shallow(item, depth - 1) for item in items)


def _number(content: Any) -> float:
    return math.nan if content is None else float(content)


def _curvature(content: Any) -> CurvatureEstimate:
    if not content["eigenvalues"]:
        raise ValueError("no eigenvalues")
    threshold = content.get("stability_threshold")
    preconditioned = content.get("preconditioned")
    return CurvatureEstimate(
        eigenvalues=tuple(_eigenvalue(e) for e in content["eigenvalues"]),
        converged=bool(content["converged"]),
        hvps=int(content.get("hvps", 0)),
        seconds=_number(content.get("seconds")),
        loss=_number(content.get("loss")),
        samples=int(content.get("samples", 0)),
        stability_threshold=None if threshold is None else float(threshold),
        threshold_formula=str(content.get("threshold_formula", "")),
        preconditioned=None if preconditioned is None else _eigenvalue(preconditioned),
        trace=_number(content.get("trace")),
        trace_error=_number(content.get("trace_error")),
        method=str(content.get("method", "")),
        minimum_ratio=_share(content.get("minimum_ratio")),
        negative_fraction=_share(content.get("negative_fraction")),
        zero_fraction=_share(content.get("zero_fraction")),
    )


def _share(content: Any) -> Share | None:
    if content is None:
        return None
    return Share(*(float(content[name]) for name in ("value", "low", "high")))


def _eigenvalue(content: Any) -> Eigenvalue:
    return Eigenvalue(_number(content["value"]), _number(content["residual"]))


def _alerts(content: Any) -> tuple[Alert, ...]:
    if not isinstance(content, list):
        raise TypeError("the alerts are not a list")
    return tuple(_alert(row) for row in content)


def _alert(row: Any) -> Alert:
    if row["severity"] not in ("info", "warning", "error"):
        raise ValueError("an alert has an unknown severity")
    if row["state"] not in ("open", "closed"):
        raise ValueError("an alert is neither open nor closed")
    return Alert(
        rule=str(row["rule"]),
        severity=row["severity"],
        parameters=tuple(str(path) for path in row.get("parameters", ())),
        first_step=int(row["first_step"]),
        last_step=int(row["last_step"]),
        state=row["state"],
        evidence=str(row.get("evidence", "")),
        causes=tuple(str(cause) for cause in row.get("causes", ())),
        advice=str(row.get("advice", "")),
    )


_JSON_TAGS = {
    MANIFEST: (Kind.MANIFEST, _manifest),
    CURVATURE: (Kind.CURVATURE, _curvature),
    ALERTS: (Kind.ALERTS, _alerts),
}

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

_HALVES = (types_pb2.DT_HALF, types_pb2.DT_BFLOAT16)
