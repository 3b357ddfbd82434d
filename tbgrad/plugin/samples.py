"""What a data provider hands out: where series end, and their stored records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.data.provider import RunTagFilter

from tbgrad.log.wall_time import all_seconds, seconds

SCALARS_PLUGIN = "scalars"

EVERYTHING = 2**31 - 1
"""`downsample` is required and random: ask for more than is stored and choose afterwards."""

MAX_REPLY = 128 * 2**20
"""The data server gives up at replies of 256 MiB; larger series are asked for in part."""


class UnknownNameError(LookupError):
    """The request names a run, statistic or parameter that the log does not have."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a series ends, without its values."""

    last_step: int
    last_wall_time: float

    @property
    def revision(self) -> str:
        """Changes whenever a record was added."""
        return f"{self.last_step}@{self.last_wall_time!r}"


@dataclass(frozen=True)
class Samples:
    """The stored records of one series: steps strictly rising, the newest of equal steps."""

    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    values: list[Any]

    def __len__(self) -> int:
        return len(self.values)


NOTHING = Samples(np.zeros(0, np.int64), np.zeros(0), [])


@dataclass(frozen=True)
class Place:
    """Where the series of a run of the tab lie: in a run of TensorBoard, or a group of one."""

    run: str
    group: str = ""
    groups: tuple[str, ...] = ()


def extents_of(listed: Mapping[str, Any]) -> dict[str, Extent]:
    """Where the series of a run end, of what a provider lists of them by tag."""
    return {
        tag: Extent(int(series.max_step), seconds(float(series.max_wall_time)))
        for tag, series in listed.items()
        if series.max_step is not None
    }


def samples_of(data: Iterable[Any], values: list[Any]) -> Samples:
    """Records of a provider, with their values, as `Samples`."""
    steps = np.array([datum.step for datum in data], dtype=np.int64)
    wall_times = all_seconds(np.array([datum.wall_time for datum in data], dtype=np.float64))
    order = np.argsort(steps, kind="stable")
    last = np.append(steps[order][1:] != steps[order][:-1], True) if len(steps) else order
    order = order[last] if len(steps) else order
    return Samples(steps[order], wall_times[order], [values[i] for i in order])


def list_runs(provider: Any, context: Any, experiment: str) -> list[str]:
    """The runs of an experiment."""
    return [run.run_name for run in provider.list_runs(context, experiment_id=experiment)]


def list_series(
    provider: Any, context: Any, experiment: str, plugin: str
) -> dict[str, dict[str, Extent]]:
    """By run and tag, where the series of a plugin end."""
    listing = provider.list_scalars if plugin == SCALARS_PLUGIN else provider.list_tensors
    listed = listing(
        context,
        experiment_id=experiment,
        plugin_name=plugin,
        run_tag_filter=RunTagFilter(),
    )
    return {run: extents_of(by_tag) for run, by_tag in (listed or {}).items()}
