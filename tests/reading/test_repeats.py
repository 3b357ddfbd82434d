"""What is read by its bytes is what the parser of the protocol reads."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2

from tbgrad.log import encode
from tbgrad.log.records import STATISTICS
from tbgrad.log.tags import MANIFEST, NOTES, Kind
from tbgrad.reading import parse
from tbgrad.reading.directory import read
from tbgrad.reading.repeats import repeat_of, step_of, values_of
from tests.support.events import NAME, snapshot, write_events
from tests.support.logs import manifest

ROWS = 2
FLOATS = st.floats(width=32, allow_subnormal=False)


def tensor(tag: str, array: np.ndarray, dtype: int, plugin: str = "", content: bool = True) -> Any:
    value = tensor_pb2.TensorProto(dtype=dtype)
    for length in array.shape:
        value.tensor_shape.dim.add(size=length)
    if content:
        value.tensor_content = array.tobytes()
    elif dtype == types_pb2.DT_FLOAT:
        value.float_val.extend(array.reshape(-1).tolist())
    else:
        value.double_val.extend(array.reshape(-1).tolist())
    made = summary_pb2.Summary.Value(tag=tag, tensor=value)
    if plugin:
        made.metadata.plugin_data.plugin_name = plugin
    return made


@st.composite
def summary_values(draw: st.DrawFn) -> Any:
    tag = draw(st.sampled_from(["a", "loss", "tag ü/ß", "x" * 200]))
    number = draw(FLOATS)
    plugin = draw(st.sampled_from(["", "", "", "scalars", "histograms", "text"]))
    forms = {
        "older": lambda: summary_pb2.Summary.Value(tag=tag, simple_value=number),
        "float": lambda: tensor(tag, np.float32(number), types_pb2.DT_FLOAT, plugin),
        "float_val": lambda: tensor(tag, np.float32(number), types_pb2.DT_FLOAT, plugin, False),
        "double": lambda: tensor(tag, np.float64(number), types_pb2.DT_DOUBLE, plugin),
        "vector": lambda: tensor(tag, np.full(2, number, np.float32), types_pb2.DT_FLOAT, plugin),
        "histogram": lambda: tensor(
            "h", np.full((draw(st.integers(0, 3)), 3), number), types_pb2.DT_DOUBLE, plugin
        ),
        "packed": lambda: encode.parameters(np.full((ROWS, len(STATISTICS)), number, np.float32)),
        "manifest": lambda: encode.manifest(manifest(1)),
        "note": lambda: encode.note("something"),
    }
    value = forms[draw(st.sampled_from(list(forms)))]()
    if draw(st.booleans()) and value.tag not in (MANIFEST, NOTES):
        value.ClearField("metadata")
    return value


@st.composite
def events(draw: st.DrawFn) -> Any:
    step = draw(
        st.one_of(
            st.integers(0, 400),
            st.sampled_from([-1, 2**21, 2**28 - 1, 2**28, 2**28 + 1, 2**40, 2**63 - 1]),
        )
    )
    event = event_pb2.Event(
        wall_time=draw(st.sampled_from([0.0, 1.5, 1.79e9, -1.0, 1e300, math.nan])), step=step
    )
    if draw(st.integers(0, 20)) == 0:
        event.session_log.status = event_pb2.SessionLog.START
    else:
        event.summary.value.extend(draw(st.lists(summary_values(), max_size=3)))
    return event


@settings(max_examples=300, deadline=None)
@given(found=st.lists(events(), max_size=25))
def test_any_log_reads_as_the_parser_reads_it(tmp_path_factory: Any, found: list[Any]) -> None:
    directory = tmp_path_factory.mktemp("log")
    write_events(directory / NAME, found)
    ours = read(directory)["."]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse, "step_of", lambda content: (0, 0))
        theirs = read(directory)["."]
    assert snapshot(ours) == snapshot(theirs)
    assert ours.damage == theirs.damage


def test_metadata_that_comes_late_counts_from_there_on(tmp_path: Path) -> None:
    """In the same event, too: what was read by its bytes before is something else now."""
    plain = summary_pb2.Summary.Value(tag="a")
    plain.tensor.dtype, plain.tensor.tensor_content = 1, bytes(4)
    said = summary_pb2.Summary.Value()
    said.CopyFrom(plain)
    said.metadata.plugin_data.plugin_name = "histograms"
    summaries = [[plain, plain], [said, plain]]
    write_events(
        tmp_path / NAME,
        [
            event_pb2.Event(step=1, wall_time=t, summary=summary_pb2.Summary(value=values))
            for t, values in zip((7.0, 8.0), summaries, strict=True)
        ],
    )
    run = read(tmp_path)["."]
    assert run["a"].wall_times.tolist() == [7.0]


@pytest.mark.parametrize("bytes_", [b"", b"\x0a", b"\xff" * 40, b"\x09" + bytes(8) + b"\x10\xff"])
def test_what_looks_unusual_is_left_to_the_parser(bytes_: bytes) -> None:
    assert step_of(bytes_) == (0, 0)
    assert values_of(b"\x2a" + bytes_, 0) in (None, [])


def test_a_number_that_is_not_at_the_end_is_not_learned() -> None:
    value = summary_pb2.Summary.Value(tag="a", simple_value=2.0)
    assert repeat_of(value.SerializeToString(), None, Kind.SCALAR, 2.0) is not None
    value.node_name = "node"
    assert repeat_of(value.SerializeToString(), None, Kind.SCALAR, 2.0) is None
    swapped = struct.pack("<Bf", 0x15, 2.0) + b"\x0a\x01a"  # the fields the other way round
    assert summary_pb2.Summary.Value.FromString(swapped).simple_value == 2.0
    assert repeat_of(swapped, None, Kind.SCALAR, 2.0) is None


def test_a_wall_time_that_is_none_is_zero_and_smaller_units_are_known(tmp_path: Path) -> None:
    times = [1.5, math.nan, -3.0, 1.79e12, math.inf, 1.79e9, 1.79e15, 1.79e18, 1e300]
    value = summary_pb2.Summary.Value(tag="a", simple_value=1.0)
    write_events(
        tmp_path / NAME,
        [
            event_pb2.Event(step=i, wall_time=t, summary=summary_pb2.Summary(value=[value]))
            for i, t in enumerate(times, start=1)
        ],
    )
    assert read(tmp_path)["."]["a"].wall_times.tolist() == [
        1.5, 0, 0, 1.79e9, 0, 1.79e9, 1.79e9, 1.79e9, 0,
    ]  # fmt: skip


def test_numbers_keep_their_bits(tmp_path: Path) -> None:
    numbers = [1.5, math.nan, math.inf, -0.0, 1e-42, 3.4e38, 2.0, 0.0]
    write_events(
        tmp_path / NAME,
        [
            event_pb2.Event(
                step=i,
                wall_time=i / 3,
                summary=summary_pb2.Summary(
                    value=[summary_pb2.Summary.Value(tag="a", simple_value=number)]
                ),
            )
            for i, number in enumerate(numbers, start=1)
        ],
    )
    series = read(tmp_path)["."]["a"]
    assert series.values.astype(np.float32).tobytes() == np.float32(numbers).tobytes()
    assert series.wall_times.tolist() == [i / 3 for i in range(1, len(numbers) + 1)]
