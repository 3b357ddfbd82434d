"""The names of the log format, version 1: plugins, tags, and the kinds of decoded values."""

from __future__ import annotations

from enum import Enum

PLUGIN_NAME = "tbgrad"
HISTOGRAM_PLUGIN_NAME = "tbgrad_histograms"

LOSS = "loss"
LEARNING_RATE = "learning_rate"
GRADIENT_NORM = "gradient/norm"
GRADIENT_NORM_MAX = "gradient/norm_max"
CLIP_FACTOR = "gradient/clip_factor"
UPDATE_RATIO = "update/ratio"
LOSS_SCALE = "loss_scale"
SKIPPED_UPDATES = "skipped_updates"
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
