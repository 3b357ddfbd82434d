"""Records and values shared by the tests of the log format."""

from __future__ import annotations

from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2

from tbgrad.log.decode import decode
from tbgrad.log.records import Alert, CurvatureEstimate, Eigenvalue

ESTIMATE = CurvatureEstimate(
    eigenvalues=(Eigenvalue(70.0, 1.4), Eigenvalue(-1.5, 0.05)),
    converged=True,
    hvps=9,
    seconds=0.25,
    loss=1.0,
    samples=256,
    stability_threshold=76.0,
    threshold_formula="(2 + 2 β) / η",
)
ALERT = Alert(
    rule="dead_units",
    severity="warning",
    parameters=("dense/kernel",),
    first_step=10,
    last_step=90,
    state="open",
    evidence="48 of 64 units",
    causes=("learning rate too high",),
    advice="lower it",
)


def through_bytes(value):
    """The value as a reader meets it: serialised and parsed."""
    parsed = summary_pb2.Summary.Value.FromString(value.SerializeToString())
    return decode(parsed, parsed.metadata)


def text_value(tag: str, text: str):
    """A value that holds text and says nothing about itself."""
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[text.encode()])
    return summary_pb2.Summary.Value(tag=tag, tensor=tensor)
