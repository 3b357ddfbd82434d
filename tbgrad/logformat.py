"""The log format, version 1: plugin names, tags, and record <-> Summary value.

The only place that knows both the records and the protocol buffers. Needs no TensorFlow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2

from tbgrad.records import (
    FORMAT_VERSION,
    Alert,
    CurvatureEstimate,
    Eigenvalue,
    HistogramBins,
    Manifest,
    Parameter,
)

PLUGIN_NAME = "tbgrad"
HISTOGRAM_PLUGIN_NAME = "tbgrad_histograms"

LOSS = "loss"
LEARNING_RATE = "learning_rate"
GRADIENT_NORM = "gradient/norm"
GRADIENT_NORM_MAX = "gradient/norm_max"
CLIP_FACTOR = "gradient/clip_factor"
UPDATE_RATIO = "update/ratio"
LAMBDA_MAX = "curvature/lambda_max"
LAMBDA_MIN = "curvature/lambda_min"
STABILITY = "curvature/stability"
HISTOGRAM_PREFIX = "gradient_histogram/"

MANIFEST = "tbgrad/manifest"
PARAMETERS = "tbgrad/parameters"
HISTOGRAMS = "tbgrad/histograms"
CURVATURE = "tbgrad/curvature"
SPECTRUM = "tbgrad/spectrum"
ALERTS = "tbgrad/alerts"
NOTES = "tbgrad/notes"

MAX_PARAMETERS = 1_000_000
"""More rows than this in a manifest are taken for damage, not for a model."""

Value: TypeAlias = Any  # summary_pb2.Summary.Value: the generated module has no types
Metadata: TypeAlias = Any  # summary_pb2.SummaryMetadata


class FormatError(ValueError):
    """A value that carries one of our tags but does not hold what the format says."""


class Kind(Enum):
    """What a decoded value is, and so how a reader keeps it."""

    SCALAR = "scalar"
    HISTOGRAM = "histogram"
    MANIFEST = "manifest"
    PARAMETERS = "parameters"
    HISTOGRAMS = "histograms"
    CURVATURE = "curvature"
    ALERTS = "alerts"
    TEXT = "text"
    TENSOR = "tensor"


# ---------------------------------------------------------------------------- record -> value


def scalar(tag: str, value: float) -> Value:
    """A native scalar series, float32."""
    return _value(tag, "scalars", summary_pb2.DATA_CLASS_SCALAR, np.float32(value))


def histogram(tag: str, buckets: NDArray[np.float64]) -> Value:
    """A native histogram: rows of left edge, right edge, count; shape [k, 3]."""
    return _value(
        tag, "histograms", summary_pb2.DATA_CLASS_TENSOR, np.asarray(buckets, dtype=np.float64)
    )


def note(text: str) -> Value:
    """A sentence from the monitor about itself, in TensorBoard's own text tab."""
    return _text_value(NOTES, "text", text)


def manifest(record: Manifest) -> Value:
    """The manifest as JSON."""
    content = asdict(record)
    content["histogram_edges"] = list(content.pop("histogram_bins")["edges"])
    return _text_value(MANIFEST, PLUGIN_NAME, _to_json(content))


def parameters(statistics: NDArray[np.float32]) -> Value:
    """Packed statistics: float32 [P, S]."""
    return _value(
        PARAMETERS,
        PLUGIN_NAME,
        summary_pb2.DATA_CLASS_TENSOR,
        np.asarray(statistics, dtype=np.float32),
    )


def histograms(counts: NDArray[np.int32]) -> Value:
    """Packed histograms: int32 [P, B]."""
    return _value(
        HISTOGRAMS,
        HISTOGRAM_PLUGIN_NAME,
        summary_pb2.DATA_CLASS_TENSOR,
        np.asarray(counts, dtype=np.int32),
    )


def curvature(record: CurvatureEstimate) -> Value:
    """One curvature estimate as JSON."""
    return _text_value(CURVATURE, PLUGIN_NAME, _to_json(asdict(record)))


def alerts(records: Sequence[Alert]) -> Value:
    """The alerts opened, updated or closed at one step, as JSON."""
    return _text_value(ALERTS, PLUGIN_NAME, _to_json([asdict(record) for record in records]))


def native_buckets(
    counts: NDArray[np.int32], bins: HistogramBins, abs_max: float
) -> NDArray[np.float64]:
    """TensorBoard's [k, 3] buckets from one packed histogram row, with the true edges.

    Empty columns outside the range of the data are dropped; the open-ended outer columns end at
    `abs_max`. Values that are not finite have no place on the axis and are left out.
    """
    used = np.flatnonzero(counts[:-1])
    if used.size == 0:
        return np.zeros((0, 3))
    columns = slice(used[0], used[-1] + 1)
    limit = abs_max if math.isfinite(abs_max) else float(np.finfo(np.float32).max)
    edges = np.clip(bins.bounds[columns], -limit, limit)
    return np.column_stack([edges, counts[columns]])


def _value(tag: str, plugin: str, data_class: int, array: NDArray[Any] | np.generic) -> Value:
    dtype = _DTYPE_NUMBERS[array.dtype.type]
    tensor = tensor_pb2.TensorProto(dtype=dtype, tensor_content=array.tobytes())
    for length in array.shape:
        tensor.tensor_shape.dim.add(size=length)
    return _with_metadata(summary_pb2.Summary.Value(tag=tag, tensor=tensor), plugin, data_class)


def _text_value(tag: str, plugin: str, text: str) -> Value:
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[text.encode()])
    value = summary_pb2.Summary.Value(tag=tag, tensor=tensor)
    return _with_metadata(value, plugin, summary_pb2.DATA_CLASS_TENSOR)


def _with_metadata(value: Value, plugin: str, data_class: int) -> Value:
    value.metadata.plugin_data.plugin_name = plugin
    value.metadata.data_class = data_class
    return value


def _to_json(content: object) -> str:
    return json.dumps(
        to_jsonable(content), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )


def to_jsonable(content: Any) -> Any:
    """JSON has no NaN and no infinity: write NaN as null and infinities as strings."""
    if isinstance(content, float) and not math.isfinite(content):
        return None if math.isnan(content) else ("inf" if content > 0 else "-inf")
    if isinstance(content, Mapping):
        return {str(key): to_jsonable(item) for key, item in content.items()}
    if isinstance(content, list | tuple):
        return [to_jsonable(item) for item in content]
    if isinstance(content, np.generic):
        return to_jsonable(content.item())
    return content


# ---------------------------------------------------------------------------- value -> record


def decode(value: Value, metadata: Metadata | None) -> tuple[Kind, Any] | None:
    """What a Summary value holds; None for what no face of ours shows (images, audio, graphs).

    `metadata` is the metadata of the first value of this tag, where TensorBoard keeps it.
    Scalars come as float, histograms as float64 [k, 3], packed series as arrays, JSON as records.

    Raises:
        FormatError: the tag is one of ours and its content is not what the format says.
    """
    try:
        return _decode(value, metadata)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        reason = f"{value.tag[:200]!r} does not hold what the format says: {str(error)[:200]}"
        raise FormatError(reason) from error


def decode_json(tag: str, text: str | bytes) -> Any:
    """The record of one of our JSON tags; raises as `decode` does."""
    try:
        return _JSON_TAGS[tag][1](json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise FormatError(f"{tag!r} does not hold what the format says: {error}") from error


def _decode(value: Value, metadata: Metadata | None) -> tuple[Kind, Any] | None:
    form = value.WhichOneof("value")
    if form == "simple_value":
        return Kind.SCALAR, float(value.simple_value)
    if form == "histo":
        return Kind.HISTOGRAM, _legacy_buckets(value.histo)
    if form != "tensor":
        return None
    tag, tensor = value.tag, value.tensor
    if tag in _JSON_TAGS:
        kind, build = _JSON_TAGS[tag]
        return kind, build(json.loads(tensor.string_val[0]))
    if tensor.dtype == types_pb2.DT_STRING:
        return Kind.TEXT, "\n".join(s.decode(errors="replace") for s in tensor.string_val)
    array = _array(tensor)
    if tag == PARAMETERS:
        return Kind.PARAMETERS, _matrix(array, np.float32)
    if tag == HISTOGRAMS:
        return Kind.HISTOGRAMS, _matrix(array, np.int32)
    plugin = metadata.plugin_data.plugin_name if metadata is not None else ""
    if plugin == "histograms" and array.ndim == 2 and array.shape[1] == 3:
        return Kind.HISTOGRAM, array.astype(np.float64)
    if plugin in ("scalars", "") and array.size == 1:
        return Kind.SCALAR, float(array.reshape(()))
    return Kind.TENSOR, array


def _matrix(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    if array.ndim != 2 or array.dtype.type is not dtype:
        raise ValueError(f"expected a {np.dtype(dtype)} matrix, found {array.dtype} {array.shape}")
    return array


def _array(tensor: Any) -> NDArray[Any]:
    if tensor.dtype not in _DTYPES:
        raise ValueError(f"tensor type {tensor.dtype} is not supported")
    dtype, field = _DTYPES[tensor.dtype]
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    size = math.prod(shape)
    if tensor.tensor_content:
        flat = np.frombuffer(tensor.tensor_content, dtype=np.dtype(dtype).newbyteorder("<"))
    else:
        flat = np.array(getattr(tensor, field), dtype=dtype)
        if flat.size == 1 and 1 < size <= 65_536:  # the protocol's short form of a constant
            flat = np.broadcast_to(flat, (size,))
    if flat.size != size:
        raise ValueError(f"shape {shape} does not match {flat.size} numbers")
    return flat.reshape(shape)


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
    rows = content["parameters"]
    if not isinstance(rows, list) or len(rows) > MAX_PARAMETERS:
        raise ValueError("the list of parameters is missing or too long")
    return Manifest(
        parameters=tuple(
            Parameter(
                path=str(row["path"]),
                layer=str(row.get("layer", "")),
                shape=tuple(int(length) for length in row.get("shape", ())),
                size=int(row.get("size", 0)),
                dtype=str(row.get("dtype", "")),
                role=str(row.get("role", "other")),
            )
            for row in rows
        ),
        statistics=tuple(str(name) for name in content["statistics"]),
        histogram_bins=HistogramBins(
            tuple(float(edge) for edge in content.get("histogram_edges", ()))
        ),
        optimizer=dict(content.get("optimizer", {})),
        cadences={str(k): int(v) for k, v in content.get("cadences", {}).items()},
        format_version=int(content.get("format_version", FORMAT_VERSION)),
    )


def _number(content: object) -> float:
    return math.nan if content is None else float(content)  # type: ignore[arg-type]


def _curvature(content: Any) -> CurvatureEstimate:
    if not content["eigenvalues"]:
        raise ValueError("no eigenvalues")
    threshold = content.get("stability_threshold")
    return CurvatureEstimate(
        eigenvalues=tuple(
            Eigenvalue(_number(e["value"]), _number(e["residual"])) for e in content["eigenvalues"]
        ),
        converged=bool(content["converged"]),
        hvps=int(content.get("hvps", 0)),
        seconds=_number(content.get("seconds")),
        loss=_number(content.get("loss")),
        samples=int(content.get("samples", 0)),
        stability_threshold=None if threshold is None else float(threshold),
        threshold_formula=str(content.get("threshold_formula", "")),
    )


def _alerts(content: Any) -> tuple[Alert, ...]:
    return tuple(
        Alert(
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
        for row in content
    )


_JSON_TAGS = {
    MANIFEST: (Kind.MANIFEST, _manifest),
    CURVATURE: (Kind.CURVATURE, _curvature),
    ALERTS: (Kind.ALERTS, _alerts),
}

_DTYPES: dict[int, tuple[type[np.generic], str]] = {
    types_pb2.DT_FLOAT: (np.float32, "float_val"),
    types_pb2.DT_DOUBLE: (np.float64, "double_val"),
    types_pb2.DT_INT32: (np.int32, "int_val"),
    types_pb2.DT_INT64: (np.int64, "int64_val"),
    types_pb2.DT_BOOL: (np.bool_, "bool_val"),
}
_DTYPE_NUMBERS = {dtype: number for number, (dtype, _) in _DTYPES.items()}
