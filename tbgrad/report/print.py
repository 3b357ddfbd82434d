"""A report as text, run by run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import IO

from tbgrad.diagnosis import STANDINGS, standing
from tbgrad.judgement.story import stories_by_cause
from tbgrad.log.records import SEVERITIES
from tbgrad.log.scalars import in_order, scalar_of
from tbgrad.log.statistics import statistic_of
from tbgrad.log.tags import GRADIENT_NORM, GRADIENT_NORM_MAX, LEARNING_RATE, LOSS, VALIDATION_LOSS
from tbgrad.log.text import duration, measured, number, percent_between, printable
from tbgrad.reading.left_out import left_out_lines
from tbgrad.report.output import Output
from tbgrad.report.parameters import ParameterSummary
from tbgrad.report.print_norms import print_gradient_norms
from tbgrad.report.state_rows import state_rows
from tbgrad.report.summary import (
    MAX_LISTED,
    CurvatureSummary,
    RunReport,
    ScalarSummary,
)

_SEVERITY_STYLES = dict(zip(SEVERITIES, ("bold red", "yellow", "cyan"), strict=True))
_SAID = (LOSS, VALIDATION_LOSS, LEARNING_RATE, GRADIENT_NORM, GRADIENT_NORM_MAX)
_KINDS = {"histogram": "histograms", "text": "texts", "tensor": "tensors"}
_GRADIENT_MONITOR = (
    "No tbgrad series in this run. To see gradients and curvature, add "
    'callbacks=[tbgrad.GradientMonitor("runs/a")] to model.fit.'
)


def print_reports(
    reports: Iterable[RunReport], problems: Mapping[str, str], file: IO[str] | None = None
) -> None:
    """Print the reports, and above them what of the directory could not be read.

    `file` is standard output unless given. Rules and colours appear on a terminal only.
    """
    output = Output(file)
    for path, reason in problems.items():
        output.line(f"not read: {printable(path)}: {printable(reason)}", "yellow")
    for number_of_run, report in enumerate(reports):
        if number_of_run:
            output.line("")
        _print_run(output, report)


def _print_run(output: Output, report: RunReport) -> None:
    output.line(f"run {printable(report.name)}", "bold underline")
    if report.newer_format:
        output.line(
            f"written in format version {report.format_version} by a newer tbgrad: "
            "what this version does not know is left out",
            "yellow",
        )
    if report.monitoring_ended is not None:
        output.line(
            f"the monitoring ended at step {report.monitoring_ended:,} after a failure of its own: "
            f"what the training did from then on is not known (see its notes below)",
            "bold red",
        )
    _print_alerts(output, report)
    _print_summary(output, report)
    if report.monitored:
        print_gradient_norms(output, report)
        _print_parameters(output, report)
        _print_curvature(output, report.curvature)
        _print_other_scalars(output, report)
    else:
        _print_scalars(output, report)
    if report.findings:
        output.heading("around the weights")
        for finding in report.findings:
            first, *rest = finding.text.split("\n")
            where = f"{finding.name}, step {finding.step:,}"
            output.line(printable(f"{where}: {first}", 1000))
            for line in rest:
                output.line(printable(f"    {line.strip()}", 1000))
    if report.notes:
        output.heading("notes of the monitor")
        for step, text in report.notes[:MAX_LISTED]:
            output.line(f"step {step}: {printable(text, 1000)}")
        _print_rest(output, len(report.notes))
    if report.left_out:
        total = sum(entry.count for entry in report.left_out)
        output.heading(f"left out: {_count(total, 'value')} of the log")
        for line in left_out_lines(report.left_out):
            output.line(printable(line, 1000))
    if report.damage:
        output.heading(f"damage: {_count(len(report.damage), 'place')} could not be read")
        for damage in report.damage[:MAX_LISTED]:
            output.line(printable(str(damage), 1000))
        _print_rest(output, len(report.damage))


def _print_rest(output: Output, count: int) -> None:
    if count > MAX_LISTED:
        output.line(f"… and {count - MAX_LISTED:,} more")


def _print_alerts(output: Output, report: RunReport) -> None:
    if report.healthy:
        output.line(printable(f"healthy: {report.healthy}", 1000), "green")
    for story in stories_by_cause(report.story):
        style = _SEVERITY_STYLES.get(story.severity, "") if story.is_open else "dim"
        over = "" if story.is_open else " (closed)"
        output.line(printable(f"{story.severity}{over}: {story.headline}", 1000), style)
        if story.advice:
            output.line(printable(f"    change first: {story.advice}", 1000))
        if story.next_advice:
            output.line(printable(f"    if that is not it: {story.next_advice}", 1000))
        if story.root.causes:
            output.line(printable(f"    likely cause: {'; '.join(story.root.causes)}", 1000))
        for alert in story.alerts:
            where = f" in {', '.join(alert.parameters)}" if alert.parameters else ""
            said = f"{alert.severity} ({alert.state}) {alert.rule}{where}"
            steps = f"steps {alert.first_step} to {alert.last_step}"
            output.line(printable(f"    {said}, {steps}: {alert.evidence}", 1000), "dim")
    for sentence in (*report.not_judged, *report.blind):
        output.line(printable(f"not judged: {sentence}", 1000), "dim")


def _print_summary(output: Output, report: RunReport) -> None:
    if report.first_step is None:
        steps = "nothing could be read" if report.damage else "nothing logged yet"
    else:
        steps = (
            f"{report.first_step} to {report.last_step}, {report.logged_steps:,} logged "
            f"in {duration(report.seconds)}"
        )
    rows = [*state_rows(report), ("steps", steps)]
    if report.monitored:
        rows += [
            ("optimizer", _optimizer(report.optimizer)),
            *(
                (scalar_of(tag).label, _first_to_last(report.scalars.get(tag)))
                for tag in (LOSS, VALIDATION_LOSS, LEARNING_RATE)
                if tag in report.scalars or tag != VALIDATION_LOSS
            ),
        ]
    for name, text in rows:
        output.entry(name, text)


def _optimizer(settings: Mapping[str, object]) -> str:
    if not settings:
        return "not logged"
    name, *rest = [
        printable(str(value) if key == "name" else f"{key} {_setting(value)}")
        for key, value in sorted(settings.items(), key=lambda item: item[0] != "name")
        if value is not None
    ] or ["not logged"]
    return f"{name} ({', '.join(rest)})" if rest else name


def _setting(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _first_to_last(scalar: ScalarSummary | None) -> str:
    if scalar is None:
        return "not logged"
    text = f"{number(scalar.first.value)} at first, {number(scalar.last.value)} at last"
    return text + (f", not finite {_count(scalar.nonfinite, 'time')}" if scalar.nonfinite else "")


def _print_parameters(output: Output, report: RunReport) -> None:
    if report.parameters_step is None:
        output.heading("no statistics of parameters logged")
        return
    names = ("norm", "norm_max", "abs_max", "zero_fraction")
    header = [statistic_of(name).label.replace(" ", "\n") for name in (*names, "nonfinite")]
    header.insert(len(names), "update/\nweight")
    for title, rows in (("layer", report.layers), ("parameter", report.parameters)):
        output.heading(f"gradient of every {title} at step {report.parameters_step}")
        output.table(*_filled((title, *header), [_parameter_row(row) for row in rows]))


def _filled(
    header: Sequence[str], rows: list[tuple[str, ...]]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A table without the columns in which there is nothing, as peaks of layers."""
    kept = [i for i in range(len(header)) if not rows or any(row[i] != "-" for row in rows)]
    return tuple(header[i] for i in kept), [tuple(row[i] for i in kept) for row in rows]


def _parameter_row(row: ParameterSummary) -> tuple[str, ...]:
    zeros = "-" if row.zero_fraction is None else f"{100 * row.zero_fraction:.1f} %"
    return (
        printable(row.path) or "-",
        number(row.norm, 3) if row.state == "trained" else row.state,
        number(row.norm_max, 3),
        number(row.abs_max, 3),
        zeros,
        number(row.update_ratio, 3),
        str(row.nonfinite),
    )


def _print_curvature(output: Output, curvature: CurvatureSummary | None) -> None:
    if curvature is None:
        output.heading("no curvature logged")
        return
    last = curvature.last
    samples = f", on {_count(last.samples, 'sample')}" if last.samples else ""
    output.heading(f"Hessian at step {curvature.step}{samples}")
    shown = {"λmax": last.lambda_max, "λmin": last.lambda_min}
    if last.preconditioned is not None:
        shown["preconditioned"] = last.preconditioned
    for name, eigenvalue in shown.items():
        output.entry(name, measured(eigenvalue.value, eigenvalue.residual))
    if not math.isnan(last.trace):
        output.entry("trace", measured(last.trace, last.trace_error))
    counted = curvature.counted
    if counted is not None:
        at = (
            "" if curvature.counted_step == curvature.step else f", step {curvature.counted_step:,}"
        )
        for name, share in (
            ("above zero", counted.minimum_ratio),
            ("below zero", counted.negative_fraction),
            ("near zero", counted.zero_fraction),
        ):
            if share is not None:
                output.entry(name, f"{percent_between(share)} of all eigenvalues{at}")
    if last.stability_threshold is None:
        output.entry("stability", "no threshold is known for this optimizer")
    else:
        formula = f" = {last.threshold_formula}" if last.threshold_formula else ""
        verdict = STANDINGS[standing(last.stability)]
        output.entry("threshold", printable(number(last.stability_threshold) + formula))
        what = "λmax" if last.preconditioned is None else "preconditioned"
        output.entry("stability", f"{number(last.stability)} ({what} / threshold): {verdict}")
    if last.converged:
        output.entry("converged", f"yes, {_count(last.hvps, 'product')}")
    else:
        output.entry("converged", f"not converged after {_count(last.hvps, 'product')}", "yellow")
    if curvature.unconverged:
        of_them = f"{curvature.unconverged:,} of them not converged"
        output.entry("estimates", f"{curvature.estimates:,}, {of_them}")


def _print_scalars(output: Output, report: RunReport) -> None:
    output.line(_GRADIENT_MONITOR)
    if not report.scalars:
        held = [
            f"{number:,} series of {_KINDS.get(kind, kind)}"
            for kind, number in sorted(report.others.items())
        ]
        output.line(f"It holds {' and '.join(held)}." if held else "It has no scalars either.")
        return
    output.line("")
    _print_table_of(output, report, list(report.scalars))


def _print_other_scalars(output: Output, report: RunReport) -> None:
    """Those of which nothing is said above."""
    others = [
        tag for tag in report.scalars if tag not in _SAID and not tag.startswith("curvature/")
    ]
    if others:
        output.heading("other scalars")
        _print_table_of(output, report, others)


def _print_table_of(output: Output, report: RunReport, tags: list[str]) -> None:
    output.table(
        ("scalar", "points", "first", "last", "min", "max", statistic_of("nonfinite").label),
        [_scalar_row(tag, report.scalars[tag]) for tag in in_order(tags)],
    )


def _scalar_row(tag: str, scalar: ScalarSummary) -> tuple[str, ...]:
    return (
        printable(scalar_of(tag).label),
        f"{scalar.count:,}",
        number(scalar.first.value),
        number(scalar.last.value),
        number(scalar.smallest.value if scalar.smallest else None),
        number(scalar.largest.value if scalar.largest else None),
        str(scalar.nonfinite),
    )


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
