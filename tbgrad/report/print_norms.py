"""The smallest and the largest gradients of a run, as text."""

from __future__ import annotations

from tbgrad.log.brief import count
from tbgrad.log.tags import GRADIENT_NORM, GRADIENT_NORM_MAX
from tbgrad.log.text import number, printable
from tbgrad.reading.extremes import Extreme
from tbgrad.report.extremes import Extremes, ParameterExtremes
from tbgrad.report.output import Output
from tbgrad.report.summary import RunReport


def print_gradient_norms(output: Output, report: RunReport) -> None:
    """Print at which steps the whole gradient, and that of every parameter, was at its ends."""
    norm = report.scalars.get(GRADIENT_NORM)
    peak = report.scalars.get(GRADIENT_NORM_MAX)
    extremes = report.extremes
    output.heading("gradient norm (global L2, before clipping)")
    if norm is None or extremes is None:
        output.line("not logged")
        return
    for name, text in _rows(extremes):
        output.entry(name, text)
    if peak is not None and peak.largest is not None and not extremes.every_step:
        where = f"{number(peak.largest.value)} at step {peak.largest.step}"
        output.entry("peak, all steps", where)
    if (end := report.convergence) is not None:
        medians = f"{number(end.last)} in the last tenth, {number(end.before)} in that before"
        output.entry("at the end", f"{medians}: {end}")
    if norm.nonfinite:
        what = "steps" if extremes.every_step else "logged steps"
        output.entry("not finite", f"{norm.nonfinite:,} of {norm.count:,} {what}", "red")
    if extremes.every_step and extremes.parameters:
        output.heading("smallest and largest gradient of every parameter")
        header = ("parameter", "smallest", "at step", "largest", "at step")
        output.table(header, [_parameter_row(one) for one in extremes.parameters])


def _rows(extremes: Extremes) -> list[tuple[str, str]]:
    """Names and texts: the steps, then the layers where every step was looked at."""
    most = None if extremes.every_step else 1
    rows = [
        ("smallest", _listed(extremes.smallest[:most])),
        ("largest", _listed(extremes.largest[:most])),
    ]
    smallest, largest = extremes.smallest_parameter, extremes.largest_parameter
    if extremes.every_step and smallest is not None and largest is not None:
        rows += [
            ("smallest layer", _of_layer(smallest, smallest.smallest)),
            ("largest layer", _of_layer(largest, largest.largest)),
        ]
    if amount := sum(one.is_rounding for one in extremes.parameters):
        what = f"{count(amount, 'bias gradient')}, but for rounding: in brackets below"
        rows.append(("zero", what))
    if extremes.within > 1:
        where = f"of layers to within {extremes.within:,} steps: their norms are kept in windows"
        rows.append(("steps", where))
    if extremes.short:
        rows.append(("left out", "the steps with the short last batch of an epoch"))
    return rows


def _parameter_row(one: ParameterExtremes) -> tuple[str, ...]:
    """A parameter, its smallest and its largest norm, each with its step."""
    path = printable(one.path) or "-"
    cells = [f"({path})" if one.is_rounding else path]
    for end in (one.smallest, one.largest):
        cells += ["-", "-"] if end is None else [number(end.value, 3), f"{end.step:,}"]
    return tuple(cells)


def _listed(ends: tuple[Extreme, ...]) -> str:
    if not ends:
        return "never finite"
    first, *others = ends
    then = [f"{number(one.value)} at {one.step}" for one in others]
    return _at(first) + ("; then " + ", ".join(then) if then else "")


def _at(extreme: Extreme) -> str:
    epoch = "" if extreme.epoch is None else f", epoch {extreme.epoch:,}"
    return f"{number(extreme.value)} at step {extreme.step}{epoch}"


def _of_layer(parameter: ParameterExtremes, extreme: Extreme | None) -> str:
    assert extreme is not None
    return f"{printable(parameter.path)}: {_at(extreme)}"
