"""Estimates of the curvature, which a log holds as JSON, as plain data for the tab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tbgrad.diagnosis import standing
from tbgrad.log.decode import decode_json
from tbgrad.log.tags import CURVATURE, FormatError
from tbgrad.plugin import packed
from tbgrad.plugin.source import Samples


def estimates(samples: Samples, problems: list[str]) -> list[dict[str, Any]]:
    """Every curvature estimate that could be read."""
    return [
        {
            "step": step,
            "wall_time": wall_time,
            "eigenvalues": [asdict(e) for e in record.eigenvalues],
            "converged": record.converged,
            "hvps": record.hvps,
            "seconds": record.seconds,
            "loss": record.loss,
            "samples": record.samples,
            "stability_threshold": record.stability_threshold,
            "threshold_formula": record.threshold_formula,
            "preconditioned": record.preconditioned and asdict(record.preconditioned),
            "stability": record.stability,
            "standing": standing(record.stability),
            "trace": record.trace,
            "trace_error": record.trace_error,
            "method": record.method,
            "minimum_ratio": record.minimum_ratio and asdict(record.minimum_ratio),
            "negative_fraction": record.negative_fraction and asdict(record.negative_fraction),
            "zero_fraction": record.zero_fraction and asdict(record.zero_fraction),
        }
        for step, wall_time, record in _decoded(CURVATURE, samples, problems)
    ]


def _decoded(tag: str, samples: Samples, problems: list[str]) -> Iterator[tuple[int, float, Any]]:
    """Step, wall time and record, where there is one; what is wrong with the others."""
    for step, wall_time, value in zip(
        samples.steps.tolist(), samples.wall_times.tolist(), samples.values, strict=True
    ):
        try:
            record = decode_json(tag, packed.text(value))
        except FormatError as error:
            problems.append(f"step {step}: {error}")
            continue
        yield step, wall_time, record
