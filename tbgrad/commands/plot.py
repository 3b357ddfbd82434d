"""`tbgrad plot`: figures of runs for papers."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tbgrad.commands.inputs import InputError, place_at

if TYPE_CHECKING:
    from tbgrad.reading.run import Run

_EPILOG = """\
figures:
  scalars         loss and gradient norm at every step, or what --tag says; all runs in one
                  (where many values are noisy they are pale, no peak lost, behind their means)
  layers          a heat map of the gradient norm of every layer, or of another --statistic
  curvature       λmax with the bounds of its error against the optimizer's limit of stability
  distributions   the histogram of the gradient of one --parameter over the steps
  landscape       lines and planes through the weights, critical points; or one --finding
  trajectories    where the weights of the runs went, or those of one --layer

examples:
  tbgrad plot runs/a -o loss.pdf
  tbgrad plot runs/sgd runs/adam -o both.svg --tag loss
  tbgrad plot runs --run 'mnist/*' -o layers.png --figure layers --statistic zero_fraction
  tbgrad plot runs/a -o edge.pdf --figure curvature --width 3.4
  tbgrad plot runs -o paths.pdf --figure trajectories
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of the command line."""
    plot = commands.add_parser(
        "plot",
        help="draw runs into a file for a paper",
        description="Draw one figure of all runs in and below each RUN into FILE, as its suffix "
        "says: .svg, .pdf or .png. Needs tbgrad[plot]. In a notebook: tbgrad.figure(runs, …).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plot.add_argument(
        "runs", metavar="RUN", nargs="+", help="the directory of a run, or of several"
    )
    plot.add_argument("-o", "--output", metavar="FILE", type=Path, required=True)
    plot.add_argument(
        "--figure", metavar="NAME", default="scalars", help="one of those below (default: scalars)"
    )
    plot.add_argument(
        "--run", metavar="PATTERN", default="*", help="only runs whose name matches, as 'mnist/*'"
    )
    plot.add_argument(
        "--tag", metavar="TAG", action="append", help="of scalars: what to draw; may be given again"
    )
    plot.add_argument("--statistic", metavar="NAME", help="of layers, as weight_norm")
    plot.add_argument("--parameter", metavar="NAME", help="of distributions, as conv_1/kernel")
    plot.add_argument("--finding", metavar="NAME", help="of landscape, as 'plane of the path'")
    plot.add_argument("--layer", metavar="NAME", help="of trajectories, as conv_1")
    plot.add_argument(
        "--width", metavar="INCHES", type=_inches, default=6.0, help="3.4 is a column (default: 6)"
    )
    plot.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> int:
    """Draw runs into a file."""
    from tbgrad.export.files import replacing
    from tbgrad.figures import drawing
    from tbgrad.figures.paper import FORMATS, save
    from tbgrad.log.text import printable

    target: Path = options.output.expanduser()
    name = printable(str(target))
    suffix = target.suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"{name} does not say what to write: end it in one of {known}")
    runs = _read(options.runs, options.run)
    try:
        drawn = drawing(
            runs,
            options.figure,
            tags=options.tag,
            statistic=options.statistic,
            parameter=options.parameter,
            finding=options.finding,
            layer=options.layer,
        )
        with replacing(target) as scratch:
            save(drawn, scratch, suffix, options.width)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise InputError(
            "plot draws with matplotlib, which is not installed: pip install 'tbgrad[plot]'"
        ) from None
    except (KeyError, ValueError) as error:
        raise InputError(printable(str(error.args[0]), 1000)) from None
    except OSError as error:
        raise InputError(f"{name} cannot be written: {error.strerror or error}") from None
    of = "1 run" if len(runs) == 1 else f"{len(runs):,} runs"
    print(f"{name}: {options.figure} of {of}", file=sys.stderr)
    return 0


def _read(directories: list[str], pattern: str) -> list[Run]:
    """All runs that match, under names that tell them apart."""
    from tbgrad.log.text import printable
    from tbgrad.reading.directory import LogDirectory

    found: list[tuple[str, Run]] = []
    for directory in dict.fromkeys(directories):
        place_at(directory)
        log = LogDirectory(directory)
        log.poll()
        for path, reason in log.problems.items():
            print(f"not read: {printable(path)}: {printable(reason)}", file=sys.stderr)
        if not log.runs:
            raise InputError(f"no event files below {printable(directory)}")
        found += [(directory, one) for one in log.finish().values()]
    names = _names(found)
    runs = [
        replace(one, name=name)
        for (_, one), name in zip(found, names, strict=True)
        if fnmatch.fnmatchcase(name, pattern)
    ]
    if not runs:
        there = ", ".join(names)
        raise InputError(printable(f"no run matches {pattern!r}; there are: {there}", 1000))
    return runs


def _names(found: list[tuple[str, Run]]) -> list[str]:
    """Their own names, or where one comes twice all of them behind those of the directories."""
    own = [Path(place).name or place if run.name == "." else run.name for place, run in found]
    if len(set(own)) == len(own):
        return own
    return [place if run.name == "." else f"{place}/{run.name}" for place, run in found]


def _inches(text: str) -> float:
    """A width that a page may have."""
    try:
        width = float(text)
    except ValueError:
        width = 0.0
    if not 1 <= width <= 40:
        raise argparse.ArgumentTypeError(f"{text!r} is not a width from 1 to 40 inches")
    return width
