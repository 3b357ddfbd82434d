"""The names of the log format, version 2: plugins, tags, and the kinds of decoded values."""

from __future__ import annotations

from collections.abc import Container, Iterable
from enum import Enum

PLUGIN_NAME = "tbgrad"
HISTOGRAM_PLUGIN_NAME = "tbgrad_histograms"
ALERT_PLUGIN_NAME = "tbgrad_alerts"
STEPS_PLUGIN_NAME = "tbgrad_steps"
STEP_LEVELS_PLUGIN_NAME = "tbgrad_step_levels"
STATE_PLUGIN_NAME = "tbgrad_state"
TRAJECTORY_PLUGIN_NAME = "tbgrad_trajectory"

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
DENSITY = "tbgrad/spectrum"
ALERTS = "tbgrad/alerts"
NOTES = "tbgrad/notes"
STEPS = "tbgrad/steps"

GATHERED_STEPS = f"{STEPS}/1"
"""The blocks of `STEPS` again, many small ones in each, for a server that keeps few of them."""

STEP_LEVELS: dict[str, int] = {f"{STEPS}/{4**k}": 4**k for k in range(2, 9)}
"""The coarser levels of `STEPS`, for a server that keeps a sample of them: windows of how many
steps the norms are in each; scalars are in windows of a quarter of that, or in the finest in none.
Whoever reads the file itself needs none of them."""

NEWEST_WINDOWS = f"{STEPS}/newest"
"""What of the finest of the levels is no block yet, again with every window: its newest record is
all that counts, and that a server keeps."""

EVERY_STEP = (LOSS, LEARNING_RATE, GRADIENT_NORM)
"""The scalars of which `STEPS` may have every step."""
TRAJECTORY = "tbgrad/trajectory"
ANALYSES = "tbgrad/analyses/"
"""With a name behind it: one series for each analysis, as a server keeps one value a step and tag.
"""
STATE = "tbgrad/state"
HEARTBEAT = "tbgrad/heartbeat"

HPARAMS_PREFIX = "_hparams_/"
"""Of the tags of TensorBoard's own HParams tab."""

PLUGINS: dict[str, tuple[str, ...]] = {
    MANIFEST: (PLUGIN_NAME,),
    PARAMETERS: (PLUGIN_NAME,),
    HISTOGRAMS: (HISTOGRAM_PLUGIN_NAME,),
    CURVATURE: (PLUGIN_NAME,),
    DENSITY: (PLUGIN_NAME,),
    ALERTS: (ALERT_PLUGIN_NAME, PLUGIN_NAME),
    NOTES: ("text",),
    STEPS: (STEPS_PLUGIN_NAME,),
    GATHERED_STEPS: (STEPS_PLUGIN_NAME,),
    NEWEST_WINDOWS: (STEPS_PLUGIN_NAME,),
    **dict.fromkeys(STEP_LEVELS, (STEP_LEVELS_PLUGIN_NAME,)),
    STATE: (STATE_PLUGIN_NAME,),
    HEARTBEAT: (STATE_PLUGIN_NAME,),
    TRAJECTORY: (TRAJECTORY_PLUGIN_NAME,),
}
"""Of each packed series the plugin name that it is written under, then those it once had."""


def plugin_names(tag: str) -> tuple[str, ...]:
    """The plugin name under which a packed series is written, then those it once had."""
    return PLUGINS.get(tag, (PLUGIN_NAME,))


def in_group(group: str, tag: str) -> str:
    """The tag of a series of a group of parameters; "" is the group of a run that has no others."""
    return f"{group}/{tag}" if group else tag


def split_group(tag: str) -> tuple[str, str]:
    """The group and the packed series that a tag names; ("", tag) for all other series.

    Which group a native series belongs to shows by the groups that have packed ones.
    """
    before, _, name = tag.rpartition(f"{PLUGIN_NAME}/")
    own = f"{PLUGIN_NAME}/{name}"
    if before.endswith("/") and (own in PLUGINS or own.startswith(ANALYSES)):
        return before[:-1], own
    return "", tag


def within(groups: Iterable[str], tag: str) -> tuple[str, str]:
    """Which of a run's groups any series belongs to, and its tag there."""
    for group in groups:
        if group and tag.startswith(f"{group}/"):
            return group, tag[len(group) + 1 :]
    return "", tag


def group_name(run: str, group: str, taken: Container[str] = ()) -> str:
    """The name under which a group of parameters is shown: as if it were a run below its run.

    It gives way to runs of that name, which are `taken`.
    """
    if not group:
        return run
    name = group if run == "." else f"{run}/{group}"
    while name in taken:
        name += " (group)"
    return name


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
    STATE = "state"
    HEARTBEAT = "heartbeat"
    TRAJECTORY = "trajectory"
    ANALYSIS = "analysis"
    TEXT = "text"
    TENSOR = "tensor"
    STEPS = "steps"
