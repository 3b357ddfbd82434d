"""Log what an analysis found into the run that it is of."""

from __future__ import annotations

from pathlib import Path

from tbgrad.log import encode
from tbgrad.log.analyses import Analysis, as_analysis, checked_name
from tbgrad.log.append import EventFileWriter
from tbgrad.log.critical_point import CriticalPoint
from tbgrad.reading.directory import read


def log_analysis(
    run: str | Path,
    analysis: Analysis | CriticalPoint | list[CriticalPoint],
    name: str = "",
    *,
    step: int | None = None,
) -> None:
    """Log a landscape, critical points or a gradient check, once its training is over.

    It goes into an event file of its own beside those of the run, so that both faces show it with
    the run. While a training still writes there, use `log_analysis` of its monitor or writer:
    TensorBoard without its fast data server follows the newest file alone.

    Args:
        run: directory of the run, which is created where it is not there.
        analysis: what `find_critical_point`, `find_critical_points`, `gradient_check`,
            `tbgrad.analysis.line` or `tbgrad.analysis.plane` gave, finished or not.
        name: that it is shown by, "plane" for a plane and so on by default. One of the same name
            takes the place of what was logged before.
        step: updates after which the weights were as in the analysis; by default the newest step of
            the run.

    Raises:
        TypeError: `analysis` is none.
        ValueError: `name` has a slash.
        NotADirectoryError: `run` is a file.
        OSError: it cannot be read or written.

    >>> tbgrad.analysis.log_analysis("runs/a", tbgrad.analysis.plane(loss, variables))
    """
    record = as_analysis(analysis)
    named = checked_name(record, name)
    path = Path(run).expanduser()
    if step is None:
        known = read(path, bounded=True).get(".") if path.exists() else None
        step = max(0, known.last_step) if known is not None else 0
    failures: list[Exception] = []
    with EventFileWriter(path, on_error=failures.append) as writer:
        writer.add(step, [encode.analysis(named, record)])
    if failures:
        raise failures[0]
