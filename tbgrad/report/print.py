"""A report as text: tables with rules on a terminal, plain aligned columns in a pipe."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tbgrad.diagnosis import STANDINGS, standing
from tbgrad.log.records import SEVERITIES
from tbgrad.log.tags import GRADIENT_NORM, GRADIENT_NORM_MAX, LEARNING_RATE, LOSS
from tbgrad.log.text import duration, measured, number, percent_between, printable
from tbgrad.reading.run import left_out_lines
from tbgrad.report.summary import (
    MAX_LISTED,
    CurvatureSummary,
    ParameterSummary,
    Point,
    RunReport,
    ScalarSummary,
)

PIPE_COLUMNS = 10_000
"""Wide enough that no line of a piped report is ever wrapped."""

_SEVERITY_STYLES = dict(zip(SEVERITIES, ("bold red", "yellow", "cyan"), strict=True))
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
    console = _Console(file=file, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console = _Console(
            file=file, markup=False, highlight=False, emoji=False, width=PIPE_COLUMNS, no_color=True
        )
    paper = _Paper(console)
    for path, reason in problems.items():
        paper.line(f"not read: {printable(path)}: {printable(reason)}", "yellow")
    for number_of_run, report in enumerate(reports):
        if number_of_run:
            console.print()
        _print_run(paper, report)


class _Console(Console):
    """A console that leaves it to the command what a reader that went away means."""

    def on_broken_pipe(self) -> None:
        """Exiting with 1, as Rich does, would say that an alert was found."""
        raise BrokenPipeError


class _Paper:
    """The few shapes a report is made of, on a terminal or in a pipe."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def line(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style))

    def heading(self, text: str) -> None:
        self.console.print()
        self.console.print(Text(text, style="bold"))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """First column left, the others right; long names fold rather than vanish.

        A line break in the header saves width on a terminal and is a space in a pipe.
        """
        terminal = self.console.is_terminal
        table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, show_edge=False)
        for i, title in enumerate(header):
            table.add_column(
                Text(title if terminal else title.replace("/\n", "/").replace("\n", " ")),
                justify="right" if i else "left",
                overflow="fold",
                no_wrap=not terminal,
                min_width=8 if i else 12,
            )
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.console.print(table)


def _print_run(paper: _Paper, report: RunReport) -> None:
    paper.line(f"run {printable(report.name)}", "bold underline")
    if report.newer_format:
        paper.line(
            f"written in format version {report.format_version} by a newer tbgrad: "
            "what this version does not know is left out",
            "yellow",
        )
    if report.monitoring_ended is not None:
        paper.line(
            f"the monitoring ended at step {report.monitoring_ended:,} after a failure of its own: "
            f"what the training did from then on is not known (see its notes below)",
            "bold red",
        )
    _print_alerts(paper, report)
    _print_summary(paper, report)
    if report.monitored:
        _print_gradient_norms(paper, report)
        _print_parameters(paper, report)
        _print_curvature(paper, report.curvature)
    else:
        _print_scalars(paper, report)
    if report.notes:
        paper.heading("notes of the monitor")
        for step, text in report.notes[:MAX_LISTED]:
            paper.line(f"step {step}: {printable(text, 1000)}")
        _print_rest(paper, len(report.notes))
    if report.left_out:
        total = sum(each.count for each in report.left_out)
        paper.heading(f"left out: {_count(total, 'value')} of the log")
        for line in left_out_lines(report.left_out):
            paper.line(printable(line, 1000))
    if report.damage:
        paper.heading(f"damage: {_count(len(report.damage), 'place')} could not be read")
        for damage in report.damage[:MAX_LISTED]:
            paper.line(printable(str(damage), 1000))
        _print_rest(paper, len(report.damage))


def _print_rest(paper: _Paper, count: int) -> None:
    if count > MAX_LISTED:
        paper.line(f"… and {count - MAX_LISTED:,} more")


def _print_alerts(paper: _Paper, report: RunReport) -> None:
    for alert in report.alerts:
        style = _SEVERITY_STYLES.get(alert.severity, "") if alert.state == "open" else "dim"
        where = f" in {', '.join(alert.parameters)}" if alert.parameters else ""
        paper.line(
            printable(
                f"{alert.severity} ({alert.state}) {alert.rule}{where}, "
                f"steps {alert.first_step} to {alert.last_step}: {alert.evidence}",
                1000,
            ),
            style,
        )
        if alert.causes:
            paper.line(printable(f"    likely cause: {'; '.join(alert.causes)}", 1000))
        if alert.advice:
            paper.line(printable(f"    advice: {alert.advice}", 1000))
    for sentence in report.not_judged:
        paper.line(printable(f"not judged: {sentence}", 1000), "dim")


def _print_summary(paper: _Paper, report: RunReport) -> None:
    if report.first_step is None:
        steps = "nothing could be read" if report.damage else "nothing logged yet"
    else:
        steps = (
            f"{report.first_step} to {report.last_step}, {report.logged_steps:,} logged "
            f"in {duration(report.seconds)}"
        )
    rows = [("steps", steps)]
    if report.monitored:
        rows += [
            ("optimizer", _optimizer(report.optimizer)),
            ("loss", _first_to_last(report.scalars.get(LOSS))),
            ("learning rate", _first_to_last(report.scalars.get(LEARNING_RATE))),
        ]
    for name, text in rows:
        paper.line(f"{name:<16}{text}")


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


def _print_gradient_norms(paper: _Paper, report: RunReport) -> None:
    norm = report.scalars.get(GRADIENT_NORM)
    peak = report.scalars.get(GRADIENT_NORM_MAX)
    paper.heading("gradient norm (global L2, before clipping)")
    if norm is None:
        paper.line("not logged")
        return
    rows = [("smallest", norm.smallest), ("largest", norm.largest)]
    if peak is not None:
        rows.append(("peak, all steps", peak.largest))
    for name, point in rows:
        paper.line(f"{name:<16}{_at(point)}")
    if norm.nonfinite:
        paper.line(f"{'not finite':<16}{norm.nonfinite:,} of {norm.count:,} logged steps", "red")


def _at(point: Point | None) -> str:
    return "never finite" if point is None else f"{number(point.value)} at step {point.step}"


def _print_parameters(paper: _Paper, report: RunReport) -> None:
    if report.parameters_step is None:
        paper.heading("no statistics of parameters logged")
        return
    header = ("norm", "norm\nmax", "abs\nmax", "zeros", "update/\nweight", "not\nfinite")
    for title, rows in (("layer", report.layers), ("parameter", report.parameters)):
        paper.heading(f"gradient of every {title} at step {report.parameters_step}")
        paper.table((title, *header), [_parameter_row(row) for row in rows])


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


def _print_curvature(paper: _Paper, curvature: CurvatureSummary | None) -> None:
    if curvature is None:
        paper.heading("no curvature logged")
        return
    last = curvature.last
    samples = f", on {_count(last.samples, 'sample')}" if last.samples else ""
    paper.heading(f"Hessian at step {curvature.step}{samples}")
    shown = {"λmax": last.lambda_max, "λmin": last.lambda_min}
    if last.preconditioned is not None:
        shown["preconditioned"] = last.preconditioned
    for name, eigenvalue in shown.items():
        paper.line(f"{name:<16}{measured(eigenvalue.value, eigenvalue.residual)}")
    if not math.isnan(last.trace):
        paper.line(f"{'trace':<16}{measured(last.trace, last.trace_error)}")
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
                paper.line(f"{name:<16}{percent_between(share)} of all eigenvalues{at}")
    if last.stability_threshold is None:
        paper.line(f"{'stability':<16}no threshold is known for this optimizer")
    else:
        formula = f" = {last.threshold_formula}" if last.threshold_formula else ""
        verdict = STANDINGS[standing(last.stability)]
        paper.line(f"{'threshold':<16}{printable(number(last.stability_threshold) + formula)}")
        what = "λmax" if last.preconditioned is None else "preconditioned"
        paper.line(f"{'stability':<16}{number(last.stability)} ({what} / threshold): {verdict}")
    if last.converged:
        paper.line(f"{'converged':<16}yes, {_count(last.hvps, 'product')}")
    else:
        paper.line(f"{'converged':<16}not converged after {_count(last.hvps, 'product')}", "yellow")
    if curvature.unconverged:
        paper.line(
            f"{'estimates':<16}{curvature.estimates:,}, "
            f"{curvature.unconverged:,} of them not converged"
        )


def _print_scalars(paper: _Paper, report: RunReport) -> None:
    paper.line(_GRADIENT_MONITOR)
    if not report.scalars:
        held = [
            f"{number:,} series of {_KINDS.get(kind, kind)}"
            for kind, number in sorted(report.others.items())
        ]
        paper.line(f"It holds {' and '.join(held)}." if held else "It has no scalars either.")
        return
    paper.console.print()
    paper.table(
        ("scalar", "points", "first", "last", "min", "max", "not\nfinite"),
        [
            (
                printable(tag),
                f"{scalar.count:,}",
                number(scalar.first.value),
                number(scalar.last.value),
                number(scalar.smallest.value if scalar.smallest else None),
                number(scalar.largest.value if scalar.largest else None),
                str(scalar.nonfinite),
            )
            for tag, scalar in report.scalars.items()
        ],
    )


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
