"""Packed series as one row per parameter, whatever manifests came and went during the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbgrad.log.decode import decode_json
from tbgrad.log.records import HistogramBins, Manifest, Parameter
from tbgrad.log.tags import MANIFEST, FormatError
from tbgrad.plugin.source import Samples


@dataclass(frozen=True)
class Rows:
    """Every parameter of a run: those of the newest manifest, then those only older ones had.

    `names` are the paths, made unique where a model uses one twice. `manifests` maps the step from
    which each manifest holds to it and to the row numbers of its parameters.
    """

    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    manifests: tuple[tuple[int, Manifest, NDArray[np.intp]], ...]
    problems: tuple[str, ...] = ()

    @property
    def newest(self) -> Manifest | None:
        """The manifest that holds now."""
        return self.manifests[-1][1] if self.manifests else None

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the statistics that the newest manifest has."""
        return self.newest.statistics if self.newest else ()

    @property
    def bins(self) -> HistogramBins:
        """The bins of the newest histograms."""
        return self.newest.histogram_bins if self.newest else HistogramBins(())


def read_rows(manifests: Samples, nameless: Callable[[], Manifest | None]) -> Rows:
    """Decode the manifests of a run; `nameless` stands in where none can be read."""
    problems: list[str] = []
    decoded: list[tuple[int, Manifest]] = []
    for step, value in zip(manifests.steps.tolist(), manifests.values, strict=True):
        try:
            decoded.append((step, decode_json(MANIFEST, text(value))))
        except FormatError as error:  # noqa: PERF203 - there are a handful of manifests
            problems.append(f"step {step}: {error}")
    if not decoded:
        substitute = nameless()
        if substitute is not None:
            decoded.append((0, substitute))
    names: dict[str, int] = {}
    parameters: list[Parameter] = []
    located: list[tuple[int, Manifest, NDArray[np.intp]]] = []
    for step, manifest in reversed(decoded):
        rows = []
        for name, parameter in zip(manifest.names, manifest.parameters, strict=True):
            if name not in names:
                names[name] = len(names)
                parameters.append(parameter)
            rows.append(names[name])
        located.append((step, manifest, np.array(rows, dtype=np.intp)))
    return Rows(tuple(names), tuple(parameters), tuple(reversed(located)), tuple(problems))


def columns(
    rows: Rows, samples: Samples, names: Sequence[str], problems: list[str]
) -> tuple[Samples, NDArray[np.float32]]:
    """Statistics by name over time: the samples that could be read, and float32 [T, P, names].

    What a manifest or a parameter does not have is NaN.
    """
    kept, result = [], np.full((len(samples), len(rows.names), len(names)), np.nan, np.float32)
    for i, manifest, where in _matching(rows, samples, np.dtype(np.float32), problems):
        table = samples.values[i]
        for k, name in enumerate(names):
            column = manifest.column(name)
            if column >= 0:
                result[i, where, k] = table[:, column]
        kept.append(i)
    return _subset(samples, kept), result[kept]


def histogram_of(
    rows: Rows, samples: Samples, row: int, problems: list[str]
) -> tuple[Samples, NDArray[np.int32]]:
    """Counts of one parameter over time, int32 [T, B], where they use the newest bins."""
    kept: list[int] = []
    counts: list[NDArray[np.int32]] = []
    for i, manifest, where in _matching(rows, samples, np.dtype(np.int32), problems):
        position = np.flatnonzero(where == row)
        if position.size and manifest.histogram_bins == rows.bins:
            counts.append(samples.values[i][position[0]])
            kept.append(i)
    width = rows.bins.columns
    return _subset(samples, kept), np.array(counts, dtype=np.int32).reshape(len(kept), width)


def text(value: Any) -> bytes | str:
    """The string in a tensor of one string, as the data provider hands it out."""
    flat = np.asarray(value, dtype=object).reshape(-1)
    item = flat[0] if flat.size else b""
    return item if isinstance(item, bytes | str) else str(item)


def _matching(
    rows: Rows, samples: Samples, dtype: np.dtype[Any], problems: list[str]
) -> Iterator[tuple[int, Manifest, NDArray[np.intp]]]:
    """Index of every sample that fits its manifest, with that manifest."""
    if not rows.manifests:
        return
    begins = np.array([step for step, _, _ in rows.manifests], dtype=np.int64)
    which = np.maximum(np.searchsorted(begins, samples.steps, side="right") - 1, 0)
    for i, value in enumerate(samples.values):
        _, manifest, where = rows.manifests[which[i]]
        packs_counts = dtype.kind == "i"
        width = manifest.histogram_bins.columns if packs_counts else len(manifest.statistics)
        if value.dtype == dtype and value.shape == (len(manifest.parameters), width):
            yield i, manifest, where
        else:
            problems.append(
                f"step {samples.steps[i]}: a packed record of {value.dtype} {value.shape} does not "
                f"fit its manifest, which has {len(manifest.parameters)} parameters "
                f"and {width} columns"
            )


def _subset(samples: Samples, kept: list[int]) -> Samples:
    if len(kept) == len(samples):
        return samples
    return Samples(samples.steps[kept], samples.wall_times[kept], [samples.values[i] for i in kept])
