"""The names of the log format, version 1: plugins, tags, and the kinds of decoded values."""

from __future__ import annotations

from enum import Enum

PLUGIN_NAME = "tbgrad"
HISTOGRAM_PLUGIN_NAME = "tbgrad_histograms"
ALERT_PLUGIN_NAME = "tbgrad_alerts"

LOSS = "loss"
VALIDATION_LOSS = "val_loss"
LEARNING_RATE = "learning_rate"
GRADIENT_NORM = "gradient/norm"
GRADIENT_NORM_MAX = "gradient/norm_max"
CLIP_FACTOR = "gradient/clip_factor"
UPDATE_RATIO = "update/ratio"
LOSS_SCALE = "loss_scale"
SKIPPED_UPDATES = "skipped_updates"
LAMBDA_MAX = "curvature/lambda_max"
LAMBDA_MIN = "curvature/lambda_min"
TRACE = "curvature/trace"
NEGATIVE_FRACTION = "curvature/negative_fraction"
MINIMUM_RATIO = "curvature/minimum_ratio"
STABILITY = "curvature/stability"
HISTOGRAM_PREFIX = "gradient_histogram/"

MANIFEST = "tbgrad/manifest"
PARAMETERS = "tbgrad/parameters"
HISTOGRAMS = "tbgrad/histograms"
CURVATURE = "tbgrad/curvature"
SPECTRUM = "tbgrad/spectrum"
ALERTS = "tbgrad/alerts"
NOTES = "tbgrad/notes"

_PACKED = frozenset({MANIFEST, PARAMETERS, HISTOGRAMS, CURVATURE, SPECTRUM, ALERTS, NOTES})


def in_group(group: str, tag: str) -> str:
    """The tag of a series of a group of parameters; "" is the group of a run that has no others."""
    return f"{group}/{tag}" if group else tag


def split_group(tag: str) -> tuple[str, str]:
    """The group and the packed series that a tag names; ("", tag) for all other series.

    Which group a native series belongs to shows by the groups that have packed ones.
    """
    before, _, name = tag.rpartition(f"{PLUGIN_NAME}/")
    if before.endswith("/") and f"{PLUGIN_NAME}/{name}" in _PACKED:
        return before[:-1], f"{PLUGIN_NAME}/{name}"
    return "", tag


def group_name(run: str, group: str) -> str:
    """The name under which a group of parameters is shown: as if it were a run below its run."""
    if not group:
        return run
    return group if run == "." else f"{run}/{group}"


class FormatError(ValueError):
    """A value that carries one of our tags but does not hold what the format says."""


ENDED = "ended after a failure of its own"
"""What a note says of a monitoring that is over while the training goes on."""


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
