"""How many records TensorBoard is to keep of each series, so that its memory stays bounded.

A bound on the records of a series says nothing of memory: that depends on how many runs there are
and how many parameters they have. So as TensorBoard starts, the log is looked at.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tbgrad.log.decode import decode
from tbgrad.log.records import Manifest
from tbgrad.log.tags import (
    ALERT_PLUGIN_NAME,
    HISTOGRAM_PLUGIN_NAME,
    MANIFEST,
    PLUGIN_NAME,
    STATE_PLUGIN_NAME,
    STEP_LEVELS_PLUGIN_NAME,
    STEPS_PLUGIN_NAME,
    TRAJECTORY_PLUGIN_NAME,
    FormatError,
    split_group,
)
from tbgrad.log.tail import EventFileTail
from tbgrad.reading.tree import is_event_file

SAMPLES = {
    PLUGIN_NAME: 2000,
    HISTOGRAM_PLUGIN_NAME: 200,
    ALERT_PLUGIN_NAME: 0,
    STEPS_PLUGIN_NAME: 32,
    STEP_LEVELS_PLUGIN_NAME: 300,
    STATE_PLUGIN_NAME: 20,
    TRAJECTORY_PLUGIN_NAME: 128,
    "scalars": 5000,
}
"""Records TensorBoard keeps per tag at most, unless `--samples_per_plugin` says otherwise.

Its defaults (10 in Python, 100 in the data server, 1000 scalars) keep a random choice, which loses
the very spike one is looking for. 2000 packed records are more than a screen has columns and cost
20 MB for 200 parameters; a packed histogram is ten times larger and is looked at one at a time, so
200 of them; scalars are 16 bytes each. 0 is all of them: each telling of an alert counts. Of the
state of a run the newest counts, which is always kept. Blocks of single steps hold what was drained
at once, 256 at most, and small ones are there again in large ones: all of a short training are
kept, and of others the newest and some. Of each coarser level, whose blocks have four windows,
1,200 windows are kept: so one of the levels is whole and has 280 or more, however long the run, at
about 2 MB a level for 200 parameters.
"""

LEAST = {
    PLUGIN_NAME: 100,
    HISTOGRAM_PLUGIN_NAME: 10,
    STEPS_PLUGIN_NAME: 4,
    STEP_LEVELS_PLUGIN_NAME: 75,
    "scalars": 1000,
}
"""However many runs there are: a level is whole then that has 75 windows or more."""

MEMORY = 144 * 2**20
"""Bytes that all series together may take in the server."""

LARGE = (PLUGIN_NAME, HISTOGRAM_PLUGIN_NAME)

SHARES = (
    (1.0, 1.0), (0.7, 1.0), (0.5, 1.0), (0.35, 1.0), (0.25, 1.0), (0.18, 0.7), (0.12, 0.5),
    (0.09, 0.35), (0.06, 0.25), (0.0, 0.0),
)  # fmt: skip
"""Of `SAMPLES`, the largest first: of what is `LARGE`, then of the others."""

SCALAR_BYTES = 32 * 10
"""Of a logged step: ten scalars."""

FULL_LEVELS = 3
"""So many of the coarser levels fill what is kept of them, in a run of 50,000 steps."""

EXPECTED_RUNS = 8
EXPECTED_PARAMETERS = 200
"""Fewer runs may become as many while TensorBoard runs; of an empty log nothing else is known."""

OVER_SECONDS = 3600.0
"""A run that was not written to for so long does not grow: its files tell how large it is."""

LOOKING_SECONDS = 1.0
"""After so long the log is judged by what was seen of it."""

LOOKED_INTO = 50
"""Runs whose parameters are counted: the others are taken to be like these."""

RECORDS_AHEAD = 8
BYTES_AHEAD = 2**20
"""The manifest is among so many records, and bytes, at the beginning of a file."""


class _Run(NamedTuple):
    """How many bytes it has at most, and what it describes; None where it is not ours."""

    bytes: float
    manifest: Manifest | None


def samples_for(logdir: str) -> dict[str, int]:
    """Records to keep of each plugin's series, for this log as it is now.

    >>> samples_for("runs")["tbgrad"]
    2000
    """
    runs = list(_runs(logdir)) if logdir and "://" not in logdir else []
    limits = dict(SAMPLES)
    for large, rest in SHARES:
        for plugin, least in LEAST.items():
            share = large if plugin in LARGE else rest
            limits[plugin] = max(least, int(share * SAMPLES[plugin]))
        if _taken(runs, limits) <= MEMORY:
            break
    return limits


def _taken(runs: list[_Run], limits: dict[str, int]) -> float:
    """About how many bytes the series of these runs take."""
    looked_into = runs[:LOOKED_INTO] or [_Run(math.inf, Manifest.nameless(EXPECTED_PARAMETERS))]
    each = [min(_most(run.manifest, limits), run.bytes) for run in looked_into if run.manifest]
    return sum(each) / len(looked_into) * max(len(runs), EXPECTED_RUNS)


def _most(manifest: Manifest, limits: dict[str, int]) -> int:
    rows = len(manifest.parameters)
    return SCALAR_BYTES * limits["scalars"] + rows * (
        limits[PLUGIN_NAME] * 4 * len(manifest.statistics)
        + limits[HISTOGRAM_PLUGIN_NAME] * 4 * manifest.histogram_bins.columns
        + limits[STEPS_PLUGIN_NAME] * 512
        + limits[STEP_LEVELS_PLUGIN_NAME] * 24 * FULL_LEVELS
    )


def _runs(logdir: str) -> Iterator[_Run]:
    """The runs below a directory, as many as are seen in time."""
    deadline = time.monotonic() + LOOKING_SECONDS
    count = 0
    for directory, _, names in os.walk(Path(logdir).expanduser()):
        files = sorted(Path(directory, name) for name in names if is_event_file(name))
        if files:
            count += 1
            try:
                told = [file.stat() for file in files]
                over = time.time() - max(one.st_mtime for one in told) > OVER_SECONDS
                size = sum(one.st_size for one in told) if over else math.inf
                yield _Run(size, _manifest(files[0]) if count <= LOOKED_INTO else None)
            except OSError:
                continue  # TensorBoard itself will say what is wrong with it
        if time.monotonic() > deadline:
            return


def _manifest(file: Path) -> Manifest | None:
    """What is described at the beginning of an event file."""
    tail = EventFileTail(file, batch_records=RECORDS_AHEAD)
    for offset, content in zip(*next(tail.stretch(0, BYTES_AHEAD), ((), ())), strict=True):
        event = tail.event(offset, content)
        for value in event.summary.value if event is not None else ():
            if split_group(value.tag)[1] == MANIFEST:
                with contextlib.suppress(FormatError):
                    found = decode(value, value.metadata)
                    return found[1] if found is not None else None
    return None
