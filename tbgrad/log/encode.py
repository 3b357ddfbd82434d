"""From records to Summary values, the other way than `tbgrad.log.decode`. Needs no TensorFlow."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2

from tbgrad.log.analyses import Analysis, content_of
from tbgrad.log.decode import DTYPES, Value
from tbgrad.log.png import png
from tbgrad.log.records import Alert, CurvatureEstimate, HistogramBins, Manifest
from tbgrad.log.state import CHANGING, Hyperparameter, RunState
from tbgrad.log.step_blocks import StepBlock, to_bytes
from tbgrad.log.tags import (
    ALERTS,
    ANALYSES,
    CURVATURE,
    DENSITY,
    HEARTBEAT,
    HISTOGRAMS,
    MANIFEST,
    NOTES,
    PARAMETERS,
    STATE,
    STEPS,
    TRAJECTORY,
    plugin_names,
)


def scalar(tag: str, value: float) -> Value:
    """A native scalar series, float32."""
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there, as in training
        number = np.float32(value)
    return _value(tag, "scalars", summary_pb2.DATA_CLASS_SCALAR, number)


def histogram(tag: str, buckets: NDArray[np.float64]) -> Value:
    """A native histogram: rows of left edge, right edge, count; shape [k, 3]."""
    return _value(
        tag, "histograms", summary_pb2.DATA_CLASS_TENSOR, np.asarray(buckets, dtype=np.float64)
    )


def note(text: str) -> Value:
    """A sentence from the monitor about itself, in TensorBoard's own text tab."""
    return _text_value(NOTES, text)


def text(tag: str, content: str) -> Value:
    """A text for TensorBoard's own tab of them, which takes it as Markdown."""
    return _with_metadata(_text_value(tag, content), "text", summary_pb2.DATA_CLASS_TENSOR)


def manifest(record: Manifest) -> Value:
    """The manifest as JSON, without what is not known of a parameter."""
    content = asdict(record)
    content["parameters"] = [
        {key: value for key, value in row.items() if value != ""} for row in content["parameters"]
    ]
    content["histogram_edges"] = list(content.pop("histogram_bins")["edges"])
    return _text_value(MANIFEST, _to_json(content))


def parameters(statistics: NDArray[np.float32]) -> Value:
    """Packed statistics: float32 [P, S]."""
    return _packed(PARAMETERS, np.asarray(statistics, dtype=np.float32))


def histograms(counts: NDArray[np.int32]) -> Value:
    """Packed histograms: int32 [P, B]."""
    return _packed(HISTOGRAMS, np.asarray(counts, dtype=np.int32))


def curvature(record: CurvatureEstimate) -> Value:
    """One curvature estimate as JSON."""
    return _text_value(CURVATURE, _to_json(asdict(record)))


def density(eigenvalues: NDArray[Any], values: NDArray[Any]) -> Value:
    """The density of the Hessian's eigenvalues on a grid of these: float32 [2, G]."""
    rows = np.stack([eigenvalues, values]).astype(np.float32)
    return _packed(DENSITY, rows)


def alerts(records: Sequence[Alert]) -> Value:
    """The alerts opened, updated or closed at one step, as JSON.

    Under a plugin name of their own, so that a server can keep all of them: where one telling in
    three is left out, alerts that were closed come back open.
    """
    return _text_value(ALERTS, _to_json([asdict(record) for record in records]))


def trajectory(weights: NDArray[np.float32]) -> Value:
    """Where the weights are: float32 [1, n], all of them, or a sketch of each layer [layers, D]."""
    return _packed(TRAJECTORY, np.asarray(weights, dtype=np.float32))


def analysis(name: str, record: Analysis) -> Value:
    """What an analysis found, as JSON, in a series of its own."""
    return _text_value(f"{ANALYSES}{name}", _to_json(content_of(record)))


def images(tag: str, pictures: Sequence[NDArray[np.uint8]]) -> Value:
    """Pictures [height, width, 3] for TensorBoard's own tab of images: all of one size."""
    height, width, _ = pictures[0].shape
    sizes = [str(length).encode() for length in (width, height)]
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, string_val=[*sizes, *(png(each) for each in pictures)]
    )
    tensor.tensor_shape.dim.add(size=2 + len(pictures))
    value = summary_pb2.Summary.Value(tag=tag, tensor=tensor)
    return _with_metadata(value, "images", summary_pb2.DATA_CLASS_BLOB_SEQUENCE)


def steps(block: StepBlock, tag: str = STEPS) -> Value:
    """A block of steps, in the series of its level."""
    return _packed(tag, np.frombuffer(to_bytes(block), np.uint8))


def state(record: RunState) -> Value:
    """How a run goes, as JSON, without what is not known."""
    content = {name: value for name, value in asdict(record).items() if value not in ("", 0, {})}
    return _text_value(STATE, _to_json(content))


def heartbeat(record: RunState) -> Value:
    """A sign of life: of a state no more than what changes, in three digits."""
    content = {name: getattr(record, name) for name in CHANGING}
    short = {name: _short(value) for name, value in content.items() if value not in ("", 0, {})}
    return _text_value(HEARTBEAT, _to_json(short))


def _short(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _short(value) for name, value in content.items()}
    return float(f"{content:.3g}") if isinstance(content, float) else content


def hparams(values: Mapping[str, Hyperparameter], started: float) -> Value:
    """Hyperparameters for TensorBoard's own tab of them."""
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    info = plugin_data_pb2.SessionStartInfo(start_time_secs=started)
    for name, value in values.items():
        if isinstance(value, bool):
            info.hparams[name].bool_value = value
        elif isinstance(value, str):
            info.hparams[name].string_value = value.encode(errors="replace").decode()
        else:
            info.hparams[name].number_value = value
    content = plugin_data_pb2.HParamsPluginData(session_start_info=info)
    return _hparams_value(metadata.SESSION_START_INFO_TAG, content)


def hparams_end(*, failed: bool, ended: float) -> Value:
    """That a run with hyperparameters is over, for the same."""
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=ended)
    content = plugin_data_pb2.HParamsPluginData(session_end_info=info)
    return _hparams_value(metadata.SESSION_END_INFO_TAG, content)


def _hparams_value(tag: str, content: Any) -> Value:
    from tensorboard.plugins.hparams import metadata

    return summary_pb2.Summary.Value(
        tag=tag,
        metadata=metadata.create_summary_metadata(content),
        tensor=metadata.NULL_TENSOR,
    )


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
    sound = tag.encode(errors="replace").decode()  # the tag may hold a layer's name
    return _with_metadata(summary_pb2.Summary.Value(tag=sound, tensor=tensor), plugin, data_class)


def _packed(tag: str, array: NDArray[Any]) -> Value:
    return _value(tag, plugin_names(tag)[0], summary_pb2.DATA_CLASS_TENSOR, array)


def _text_value(tag: str, text: str) -> Value:
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, string_val=[text.encode(errors="replace")]
    )
    value = summary_pb2.Summary.Value(tag=tag, tensor=tensor)
    return _with_metadata(value, plugin_names(tag)[0], summary_pb2.DATA_CLASS_TENSOR)


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


_DTYPE_NUMBERS = {dtype: number for number, (dtype, _) in DTYPES.items()}
