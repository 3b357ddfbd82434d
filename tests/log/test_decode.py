"""What a reader makes of values it did not expect: other writers, other versions, nonsense."""

from __future__ import annotations

import contextlib
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2

from tbgrad.log import encode
from tbgrad.log.decode import decode, decode_array, unread
from tbgrad.log.records import Manifest
from tbgrad.log.tags import ALERTS, CURVATURE, HISTOGRAMS, MANIFEST, PARAMETERS, FormatError, Kind
from tests.support.logs import manifest
from tests.support.values import ALERT, ESTIMATE, text_value, through_bytes


def tensor_value(tag: str, plugin: str, **tensor):
    value = summary_pb2.Summary.Value(tag=tag, tensor=tensor_pb2.TensorProto(**tensor))
    value.metadata.plugin_data.plugin_name = plugin
    return value


def shape(*lengths: int):
    proto = tensor_pb2.TensorProto().tensor_shape
    for length in lengths:
        proto.dim.add(size=length)
    return proto


def test_older_forms_of_scalar_and_histogram():
    value = summary_pb2.Summary.Value(tag="loss", simple_value=0.25)
    assert through_bytes(value) == (Kind.SCALAR, 0.25)
    histo = summary_pb2.HistogramProto(
        min=-1.5, max=7, num=6, bucket_limit=[-5, -1, 2, 10, 50], bucket=[0, 2, 3, 1, 0]
    )
    kind, buckets = through_bytes(summary_pb2.Summary.Value(tag="w", histo=histo))
    assert kind is Kind.HISTOGRAM
    assert buckets.tolist() == [[-1.5, -1, 2], [-1, 2, 3], [2, 7, 1]]


def test_older_histogram_without_counts():
    kind, buckets = through_bytes(
        summary_pb2.Summary.Value(tag="w", histo=summary_pb2.HistogramProto())
    )
    assert (kind, buckets.shape) == (Kind.HISTOGRAM, (0, 3))


def test_short_form_of_a_tensor_repeats_its_last_number():
    value = tensor_value(
        "h", "histograms", dtype=types_pb2.DT_DOUBLE, double_val=[1, 2], tensor_shape=shape(2, 3)
    )
    assert through_bytes(value)[1].tolist() == [[1, 2, 2], [2, 2, 2]]


def test_what_no_face_shows_is_passed_over():
    image = tensor_value("i", "images", dtype=types_pb2.DT_STRING, string_val=[b"9", b"9", b"PNG"])
    wide = tensor_value("x", "custom", dtype=types_pb2.DT_COMPLEX64, scomplex_val=[1, 1])
    assert through_bytes(image) is None
    assert through_bytes(wide) is None
    assert through_bytes(summary_pb2.Summary.Value(tag="none")) is None
    assert through_bytes(summary_pb2.Summary.Value(tag="i", image={"height": 1})) is None


DT = types_pb2
NUMBERS = [
    (DT.DT_HALF, np.array([1.5], np.float16), "half_val", [0x3E00], 1.5),
    (DT.DT_BFLOAT16, np.array([0xBFC0], np.uint16), "half_val", [0xBFC0], -1.5),
    (DT.DT_UINT8, np.array([255], np.uint8), "int_val", [255], 255),
    (DT.DT_INT8, np.array([-128], np.int8), "int_val", [-128], -128),
    (DT.DT_INT16, np.array([-300], np.int16), "int_val", [-300], -300),
    (DT.DT_UINT16, np.array([65535], np.uint16), "int_val", [65535], 65535),
    (DT.DT_UINT32, np.array([2**32 - 1], np.uint32), "uint32_val", [2**32 - 1], 2**32 - 1),
    (DT.DT_UINT64, np.array([2**64 - 1], np.uint64), "uint64_val", [2**64 - 1], 2**64 - 1),
    (DT.DT_INT64, np.array([2**53 + 1], np.int64), "int64_val", [2**53 + 1], 2**53 + 1),
    (DT.DT_INT64, np.array([-7], np.int64), "int64_val", [-7], -7),
]


@pytest.mark.parametrize(("dtype", "array", "field", "unpacked", "number"), NUMBERS)
def test_scalars_of_every_type_that_numpy_holds(dtype, array, field, unpacked, number):
    packed = {"tensor_content": array.tobytes()}
    for content in (packed, {field: unpacked}):
        kind, found = through_bytes(tensor_value("x", "scalars", dtype=dtype, **content))
        assert kind is Kind.SCALAR
        assert found == number
        assert isinstance(found, float) == (float(number) == number and abs(number) < 2**60)


def test_text_of_other_writers():
    value = tensor_value("t", "text", dtype=types_pb2.DT_STRING, string_val=[b"a", b"\xff"])
    assert through_bytes(value) == (Kind.TEXT, "a\n�")


# ------------------------------------------------------------------------------ what does not fit


def broken(record_value, **changes):
    content = json.loads(record_value.tensor.string_val[0])
    target = content[0] if isinstance(content, list) else content
    for key, item in changes.items():
        if item is ...:
            del target[key]
        else:
            target[key] = item
    return text_value(record_value.tag, json.dumps(content))


M, C, A = encode.manifest(manifest()), encode.curvature(ESTIMATE), encode.alerts([ALERT])
MISFITS = {
    "not JSON": text_value(MANIFEST, "{"),
    "not an object": text_value(MANIFEST, "[]"),
    "a number": text_value(CURVATURE, "3"),
    "endless nesting": text_value(ALERTS, "[" * 100_000),
    "no text at all": summary_pb2.Summary.Value(
        tag=MANIFEST, tensor=tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING)
    ),
    "a scalar under the manifest's tag": encode.scalar(MANIFEST, 1.0),
    "a scalar under a packed tag": summary_pb2.Summary.Value(tag=PARAMETERS, simple_value=1.0),
    "text under a packed tag": text_value(HISTOGRAMS, "x"),
    "no parameters": broken(M, parameters=...),
    "parameters that are text": broken(M, parameters="abc"),
    "a parameter that is a list": broken(M, parameters=[["path"]]),
    "a shape that is a number": broken(M, parameters=[{"path": "p", "shape": 3}]),
    "a negative size": broken(M, parameters=[{"path": "p", "size": -1}]),
    "a size beyond 64 bits": broken(M, parameters=[{"path": "p", "size": 10**400}]),
    "statistics that are text": broken(M, statistics="norm"),
    "cadences that are a list": broken(M, cadences=[1]),
    "edges that fall": broken(M, histogram_edges=[2.0, 1.0]),
    "edges of text": broken(M, histogram_edges=["a"]),
    "an infinite edge": broken(M, histogram_edges=[1.0, "inf"]),
    "an optimizer that is text": broken(M, optimizer="SGD"),
    "an optimizer nested deep": broken(M, optimizer=json.loads('{"a":' * 20 + "1" + "}" * 20)),
    "no eigenvalues": broken(C, eigenvalues=[]),
    "an eigenvalue of text": broken(C, eigenvalues=[{"value": "big", "residual": 1}]),
    "an infinite count": broken(C, hvps=math.inf),
    "alerts that are an object": text_value(ALERTS, "{}"),
    "an unknown severity": broken(A, severity="fatal"),
    "a severity that is a list": broken(A, severity=[]),
    "a state that is none": broken(A, state="half"),
    "one row too few": tensor_value(
        PARAMETERS,
        "tbgrad",
        dtype=types_pb2.DT_FLOAT,
        tensor_content=bytes(8),
        tensor_shape=shape(3, 1),
    ),
    "half a number": tensor_value(
        PARAMETERS,
        "tbgrad",
        dtype=types_pb2.DT_FLOAT,
        tensor_content=bytes(7),
        tensor_shape=shape(1, 1),
    ),
    "negative lengths": tensor_value(
        PARAMETERS,
        "tbgrad",
        dtype=types_pb2.DT_FLOAT,
        tensor_content=bytes(24),
        tensor_shape=shape(-2, -3),
    ),
    "a table of 10^18 numbers in four bytes": tensor_value(
        PARAMETERS,
        "tbgrad",
        dtype=types_pb2.DT_FLOAT,
        float_val=[1.0],
        tensor_shape=shape(10**9, 10**9),
    ),
    "a table without rows or end": tensor_value(
        PARAMETERS,
        "tbgrad",
        dtype=types_pb2.DT_FLOAT,
        tensor_shape=shape(0, 10**18, 10**18),
    ),
    "doubles under a packed tag": tensor_value(
        PARAMETERS,
        "tbgrad",
        dtype=types_pb2.DT_DOUBLE,
        double_val=[1.0],
        tensor_shape=shape(1, 1),
    ),
    "a vector under a packed tag": tensor_value(
        HISTOGRAMS,
        "tbgrad",
        dtype=types_pb2.DT_INT32,
        int_val=[1],
        tensor_shape=shape(1),
    ),
    "limits without counts": summary_pb2.Summary.Value(
        tag="w", histo=summary_pb2.HistogramProto(bucket_limit=[1, 2], bucket=[1])
    ),
}


@pytest.mark.parametrize("value", MISFITS.values(), ids=MISFITS.keys())
def test_what_does_not_fit_is_refused(value):
    with pytest.raises(FormatError) as caught:
        through_bytes(value)
    assert len(str(caught.value)) < 500


def test_json_of_the_plugin_is_refused_alike():
    with pytest.raises(FormatError):
        decode_array(MANIFEST, np.array("[]"))
    text = encode.manifest(manifest()).tensor.string_val[0]
    assert decode_array(MANIFEST, np.array(text))[1] == manifest()


def test_a_manifest_of_a_newer_version_is_read_as_far_as_it_goes():
    value = broken(M, format_version=2, statistics=["norm", "sharpness"], colour="blue")
    _, record = through_bytes(value)
    assert record.format_version == 2
    assert record.column("norm") == 0
    assert record.column("sharpness") == 1
    assert record.column("snr") == -1


def test_a_sparse_manifest_of_an_older_version_is_read():
    content = {"parameters": [{"path": "p"}], "statistics": ["norm"]}
    _, record = through_bytes(text_value(MANIFEST, json.dumps(content)))
    assert isinstance(record, Manifest)
    assert [p.path for p in record.parameters] == ["p"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["parameters", "statistics", "eigenvalues", "path", "value", "rule", "shape"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from([MANIFEST, CURVATURE, ALERTS]),
)
def test_any_json_is_read_or_refused(content, tag):
    with contextlib.suppress(FormatError):
        through_bytes(text_value(tag, json.dumps(content)))


def test_a_tensor_of_a_type_that_the_protocol_does_not_name_is_left_out():
    """As damage makes one: it must not stop the reader."""
    tensor = tensor_pb2.TensorProto(dtype=40, tensor_content=b"\0")
    value = summary_pb2.Summary.Value(tag="a", tensor=tensor)
    assert decode(value, None) is None
    assert unread(value, None) == "a tensor of type 40"
