"""What each view of the tab shows, as plain data: the `*_impl` of every route."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tbgrad.diagnosis import RULE_NAMES
from tbgrad.diagnosis import SCALARS as RULE_SCALARS
from tbgrad.diagnosis.replay import judge, unwatched
from tbgrad.log import encode
from tbgrad.log.records import Manifest, Parameter
from tbgrad.log.tags import (
    ALERT_PLUGIN_NAME,
    ALERTS,
    CLIP_FACTOR,
    CURVATURE,
    GRADIENT_NORM,
    GRADIENT_NORM_MAX,
    HISTOGRAM_PLUGIN_NAME,
    HISTOGRAMS,
    LAMBDA_MAX,
    LAMBDA_MIN,
    LEARNING_RATE,
    LOSS,
    LOSS_SCALE,
    MANIFEST,
    MINIMUM_RATIO,
    NEGATIVE_FRACTION,
    NOTES,
    PARAMETERS,
    PLUGIN_NAME,
    SKIPPED_UPDATES,
    SPECTRUM,
    STABILITY,
    TRACE,
    UPDATE_RATIO,
    VALIDATION_LOSS,
    FormatError,
)
from tbgrad.plugin import jsonrecords, packed, wholerun
from tbgrad.plugin.packed import Rows
from tbgrad.plugin.payload import numbers
from tbgrad.plugin.source import SCALARS, LogSource, Request
from tbgrad.reading import thinning

OWN_SCALARS = (
    LOSS,
    VALIDATION_LOSS,
    LEARNING_RATE,
    GRADIENT_NORM,
    GRADIENT_NORM_MAX,
    CLIP_FACTOR,
    UPDATE_RATIO,
    LOSS_SCALE,
    SKIPPED_UPDATES,
    LAMBDA_MAX,
    LAMBDA_MIN,
    TRACE,
    NEGATIVE_FRACTION,
    MINIMUM_RATIO,
    STABILITY,
)
MAX_POINTS = 2000
"""Points of a curve: more than any screen has pixels across a chart."""
MAX_CELLS = 200_000
MAX_HISTOGRAMS = 500
MAX_ALERTS = 500
_PACKED = (PLUGIN_NAME, HISTOGRAM_PLUGIN_NAME)


class UnknownNameError(LookupError):
    """The request names a run, statistic or parameter that the log does not have."""


class Views:
    """Answers from what TensorBoard has stored; knows neither requests nor responses."""

    def __init__(self, source: LogSource) -> None:
        self._source = source

    def is_active(self, request: Request) -> bool:
        """Whether any run has data of ours."""
        return any(self._source.extents(request, plugin) for plugin in _PACKED)

    def runs_impl(self, request: Request) -> dict[str, Any]:
        """All runs, those with tbgrad series marked."""
        ours = [self._source.extents(request, plugin) for plugin in _PACKED]
        scalars = self._source.extents(request, SCALARS, tags=OWN_SCALARS)
        runs = []
        for name in self._source.runs(request):
            ends = [e for found in (*ours, scalars) for e in found.get(name, {}).values()]
            runs.append(
                {
                    "name": name,
                    "gradients": any(name in found for found in ours),
                    "last_step": max((e.last_step for e in ends), default=None),
                    "last_wall_time": max((e.last_wall_time for e in ends), default=None),
                }
            )
        return {"runs": runs}

    def status_impl(self, request: Request, run: str) -> dict[str, Any]:
        """Where a run stands, and a revision per view that changes when there is more to draw."""
        self._check(request, run)
        scalars = self._source.extents(request, SCALARS, [run]).get(run, {})
        ours = self._source.extents(request, PLUGIN_NAME, [run]).get(run, {})
        histograms = self._source.extents(request, HISTOGRAM_PLUGIN_NAME, [run])
        alerts = self._source.extents(request, ALERT_PLUGIN_NAME, [run]).get(run, {})
        notes = self._source.extents(request, "text", [run], [NOTES]).get(run, {})
        manifest = ours.get(MANIFEST)
        groups = {
            "scalars": list(scalars.values()),
            "layers": [e for e in (manifest, ours.get(PARAMETERS)) if e],
            "histograms": [e for e in (manifest, *histograms.get(run, {}).values()) if e],
            "curvature": [e for e in (ours.get(CURVATURE), ours.get(SPECTRUM)) if e],
            # The manifest names the rules that were watched; the others look at everything.
            "alerts": [e for e in (manifest, ours.get(ALERTS), *alerts.values()) if e],
            "notes": list(notes.values()),
        }
        everything = [e for group in groups.values() for e in group]
        newest = self._rows(request, run).newest if ours or histograms else None
        if unwatched(newest, ()):
            judged = (scalars.get(tag) for tag in RULE_SCALARS)
            groups["alerts"] += [e for e in (*judged, *groups["layers"], *groups["curvature"]) if e]
        return {
            "run": run,
            "gradients": bool(ours or histograms),
            "last_step": max((e.last_step for e in everything), default=None),
            "last_wall_time": max((e.last_wall_time for e in everything), default=None),
            "scalar_tags": sorted(scalars),
            "optimizer": dict(newest.optimizer) if newest else {},
            "cadences": dict(newest.cadences) if newest else {},
            "revisions": {
                name: " ".join(sorted(e.revision for e in group)) for name, group in groups.items()
            },
        }

    def scalars_impl(
        self, request: Request, run: str, tags: Sequence[str] = OWN_SCALARS
    ) -> dict[str, Any]:
        """Scalar series as curves of at most about MAX_POINTS points, no peak lost."""
        self._check(request, run)
        found = self._source.scalars(request, run, tags)
        series = []
        for tag in tags:
            if tag not in found:
                continue
            samples = found[tag]
            values = np.array(samples.values, dtype=np.float64)
            keep = thinning.extremes(values, MAX_POINTS)
            series.append(
                {
                    "tag": tag,
                    "steps": numbers(samples.steps[keep]),
                    "wall_times": numbers(samples.wall_times[keep]),
                    # Scalars of the format are float32; others lose nothing a chart could show.
                    "values": numbers(_as_float32(values[keep])),
                    "stored": len(samples),
                    "sampled": self._source.sampled(SCALARS, len(samples)),
                }
            )
        return {"run": run, "series": series}

    def layers_impl(
        self, request: Request, run: str, statistic: str = "norm", limit: int = 300
    ) -> dict[str, Any]:
        """One statistic of every parameter over time, [P][T], for the heat map."""
        self._check(request, run)
        rows = self._rows(request, run)
        if rows.manifests and statistic not in rows.statistics:
            known = ", ".join(rows.statistics) or "none at all"
            raise UnknownNameError(f"run {run!r} has no statistic {statistic!r}; it has {known}")
        problems = list(rows.problems)
        stored = self._parameters(request, run, rows)
        samples, table = packed.columns(rows, stored, (statistic, "nonfinite"), problems)
        cells = max(1, min(limit, MAX_CELLS // max(1, len(rows.names))))
        starts = thinning.buckets(len(samples), cells)
        ends = np.append(starts[1:], len(samples))[: len(starts)] - 1
        values = thinning.largest(table[:, :, 0], starts)
        bad = thinning.largest(table[:, :, 1], starts) > 0
        return {
            "run": run,
            "statistic": statistic,
            "statistics": list(rows.statistics),
            "parameters": _described(rows.names, rows.parameters),
            "first_steps": numbers(samples.steps[starts]),
            "steps": numbers(samples.steps[ends]),
            "wall_times": numbers(samples.wall_times[ends]),
            "values": numbers(values.T),
            "nonfinite": np.argwhere(bad.T).tolist(),
            "stored": len(samples),
            "sampled": self._source.sampled(PLUGIN_NAME, len(stored)),
            "problems": problems,
        }

    def parameter_impl(self, request: Request, run: str, parameter: str) -> dict[str, Any]:
        """Every statistic of one parameter over time."""
        self._check(request, run)
        rows = self._rows(request, run)
        row = _row(rows, run, parameter)
        names = rows.statistics
        stored = self._parameters(request, run, rows)
        samples, table = packed.columns(rows, stored, names, [])
        starts = thinning.buckets(len(samples), MAX_POINTS)
        ends = np.append(starts[1:], len(samples))[: len(starts)] - 1
        values = thinning.largest(table[:, row, :], starts)
        return {
            "run": run,
            "parameter": _described([parameter], [rows.parameters[row]])[0],
            "steps": numbers(samples.steps[ends]),
            "wall_times": numbers(samples.wall_times[ends]),
            "statistics": {name: numbers(values[:, k]) for k, name in enumerate(names)},
            "stored": len(samples),
        }

    def histogram_impl(self, request: Request, run: str, parameter: str) -> dict[str, Any]:
        """Counts by sign and power of two of one parameter, at every step that has them."""
        self._check(request, run)
        rows = self._rows(request, run)
        row = _row(rows, run, parameter)
        problems: list[str] = []
        stored = self._source.tensors(
            request,
            run,
            HISTOGRAM_PLUGIN_NAME,
            HISTOGRAMS,
            4 * max((len(m.parameters) * m.histogram_bins.columns for _, m, _ in rows.manifests)),
        )
        samples, counts = packed.histogram_of(rows, stored, row, problems)
        # Evenly spaced and never without the newest: a histogram has no peak to lose.
        keep = np.unique(
            np.linspace(0, len(samples) - 1, min(len(samples), MAX_HISTOGRAMS), dtype=int)
        )
        return {
            "run": run,
            "parameter": _described([parameter], [rows.parameters[row]])[0],
            "edges": list(rows.bins.edges),
            "steps": numbers(samples.steps[keep]),
            "wall_times": numbers(samples.wall_times[keep]),
            "counts": numbers(counts[keep]),
            "stored": len(samples),
            "problems": problems,
        }

    def curvature_impl(self, request: Request, run: str) -> dict[str, Any]:
        """Every curvature estimate; of the spectral densities the first and the newest."""
        self._check(request, run)
        problems: list[str] = []
        samples = self._source.tensors(request, run, PLUGIN_NAME, CURVATURE)
        estimates = jsonrecords.estimates(samples, problems)
        densities = self._densities(request, run, problems)
        return {"run": run, "estimates": estimates, "densities": densities, "problems": problems}

    def alerts_impl(self, request: Request, run: str) -> dict[str, Any]:
        """What is wrong in the run, by its log and by the rules that its writer did not watch."""
        self._check(request, run)
        problems: list[str] = []
        newest = self._rows(request, run).newest
        whole = wholerun.for_alerts(self._source, request, run, newest, problems)
        judgement = judge(whole)
        alerts = [asdict(alert) for alert in judgement.alerts]
        return {
            "run": run,
            "rules": list(RULE_NAMES),
            "alerts": alerts[:MAX_ALERTS],
            "not_judged": list(judgement.not_judged),
            "stored": len(alerts),
            "sampled": any(
                self._source.sampled(plugin, whole[tag].total)
                for tag in whole
                for plugin in wholerun.plugins_of(tag)
            ),
            "problems": problems,
        }

    def notes_impl(self, request: Request, run: str) -> dict[str, Any]:
        """What the monitor wrote about itself."""
        self._check(request, run)
        samples = self._source.tensors(request, run, "text", NOTES)
        steps = samples.steps.tolist()
        texts = [_decoded(packed.text(value)) for value in samples.values]
        norms = self._source.extents(request, SCALARS, [run], [GRADIENT_NORM])
        norm = norms.get(run, {}).get(GRADIENT_NORM)
        return {
            "run": run,
            "ended": encode.ended_at(
                zip(steps, texts, strict=True), None if norm is None else norm.last_step
            ),
            "notes": [
                {"step": step, "wall_time": wall_time, "text": text}
                for step, wall_time, text in zip(
                    steps, samples.wall_times.tolist(), texts, strict=True
                )
            ],
        }

    def _densities(self, request: Request, run: str, problems: list[str]) -> list[dict[str, Any]]:
        samples = self._source.tensors(request, run, PLUGIN_NAME, SPECTRUM)
        densities = []
        for i in sorted({0, len(samples) - 1}) if len(samples) else ():
            step, value = int(samples.steps[i]), samples.values[i]
            try:
                grid, density = encode.spectrum_of(value)
            except FormatError as error:
                problems.append(f"step {step}: {error}")
                continue
            densities.append(
                {
                    "step": step,
                    "wall_time": float(samples.wall_times[i]),
                    "grid": numbers(grid),
                    "density": numbers(density),
                }
            )
        return densities

    def _check(self, request: Request, run: str) -> None:
        if run not in self._source.runs(request):
            raise UnknownNameError(f"TensorBoard knows no run {run!r}")

    def _rows(self, request: Request, run: str) -> Rows:
        manifests = self._source.tensors(request, run, PLUGIN_NAME, MANIFEST)
        return packed.read_rows(manifests, lambda: self._nameless(request, run))

    def _nameless(self, request: Request, run: str) -> Manifest | None:
        """A manifest as wide as the records that lost theirs."""
        stored = self._source.tensors(request, run, PLUGIN_NAME, PARAMETERS)
        if not stored.values or stored.values[-1].ndim != 2:
            return None
        return Manifest.nameless(*stored.values[-1].shape)

    def _parameters(self, request: Request, run: str, rows: Rows) -> Any:
        size = max((len(m.parameters) * len(m.statistics) for _, m, _ in rows.manifests), default=0)
        return self._source.tensors(request, run, PLUGIN_NAME, PARAMETERS, 4 * size)


def _row(rows: Rows, run: str, parameter: str) -> int:
    if parameter not in rows.names:
        raise UnknownNameError(f"run {run!r} has no parameter {parameter!r}")
    return rows.names.index(parameter)


def _described(names: Sequence[str], parameters: Sequence[Parameter]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "layer": parameter.layer,
            "shape": list(parameter.shape),
            "size": parameter.size,
            "dtype": parameter.dtype,
            "role": parameter.role,
        }
        for name, parameter in zip(names, parameters, strict=True)
    ]


def _as_float32(values: Any) -> Any:
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow.astype(np.float64), values, equal_nan=True) else values


def _decoded(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
