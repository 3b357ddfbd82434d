"""How a run stands, where it runs and what it set out to do, as rows of a report."""

from __future__ import annotations

from tbgrad.log.text import number, printable
from tbgrad.reading.state import resources_line
from tbgrad.report.summary import RunReport


def state_rows(report: RunReport) -> list[tuple[str, str]]:
    """Names and texts, as far as the writer of the log says; none where it does not."""
    state, condition = report.state, report.condition
    if state is None or condition is None:
        return []
    planned = [
        f"{count:,} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((state.epochs, "epoch"), (state.steps, "step"))
        if count
    ]
    hparams = [
        f"{name} {number(value) if isinstance(value, float) else value}"
        for name, value in state.hparams.items()
    ]
    versions = [f"{name} {version}" for name, version in state.versions.items()]
    rows = [
        ("planned", planned),
        ("hparams", hparams),
        ("on", [state.host, f"process {state.pid}", *versions]),
        ("uses", [resources_line(state)] if state.resources else []),
    ]
    said = [(name, ", ".join(printable(word) for word in words)) for name, words in rows if words]
    return [("state", condition.words), *said]
