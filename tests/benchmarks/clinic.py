"""What the diagnosis finds in trainings with one planted fault each, and in healthy ones.

    python -m tests.benchmarks.clinic [--seeds 5] [--every 1] [--keep DIR] [--only "mlp*"]
    python -m tests.benchmarks.clinic --every default

Trains every case of `tests.clinic` with each seed, with every step logged or at the defaults of the
monitor. At the defaults the alerts are those that the writer logged, at the steps of their events;
else its log is gone over as the writer does, step by step. A fault counts as found where its rule
names its layer within the first fifth of the training. Cases that are aside were not looked at
while thresholds were chosen. The root is the fault that the story of the run begins with: the
planted one, or one that is as truly there. Logs in `--keep` are not trained anew: where the rules
have changed since, they are gone over by those of now.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from statistics import median
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from tbgrad.diagnosis import RULE_NAMES
from tbgrad.log.records import SEVERITIES, Alert
from tests.clinic.aside import aside
from tests.clinic.case import Case
from tests.clinic.healthy import healthy
from tests.clinic.planted import planted
from tests.clinic.running import Task, train_all
from tests.clinic.telling import replayed, stories, told

IN_TIME = 0.2
"""Share of the training within which a fault has to be found."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=Path, help="directory of the logs, which are used again")
    parser.add_argument("--only", nargs="+", default=["*"], help="cases whose name matches one")
    parser.add_argument(
        "--every", type=_cadence, default=1, help='steps between two logged ones, or "default"'
    )
    options = parser.parse_args()
    title = "default" if options.every is None else options.every
    with tempfile.TemporaryDirectory() as temporary:
        root = (options.keep or Path(temporary)) / f"every {title}"
        cases = [c for c in (*planted(), *aside(), *healthy()) if matches(c, options.only)]
        seeds = range(options.seeds)
        tasks = [
            Task(case.recipe, seed, folder(root, case, seed), options.every)
            for seed in seeds
            for case in cases
        ]
        train_all(tasks, options.jobs)
        for kept, title in ((False, "Thresholds were chosen by these"), (True, "Kept aside")):
            some = [case for case in cases if case.aside == kept]
            show(title, some, root, seeds, told if options.every is None else replayed)
            show_roots([case for case in some if case.rule], root, seeds)


def matches(case: Case, patterns: Sequence[str]) -> bool:
    return any(fnmatch(case.name, pattern) for pattern in patterns)


def _cadence(said: str) -> int | None:
    return None if said == "default" else int(said)


def folder(root: Path, case: Case, seed: int) -> Path:
    return root / str(seed) / "planted" / case.name.replace(" ", "_")


Telling: TypeAlias = Callable[[Path], Iterable[tuple[str, int, Alert]]]
"""Group, step and alert of everything that is told of a log, in the order of the steps."""


def found_at(case: Case, tellings: Iterable[tuple[str, int, Alert]]) -> float:
    """The step at which the fault was named, infinite where it was not."""
    for group, step, alert in tellings:
        right = alert.rule == case.rule and group == case.group
        if right and (not case.layers or any(case.layers in name for name in alert.parameters)):
            return step
    return math.inf


def show(title: str, cases: list[Case], root: Path, seeds: range, telling: Telling) -> None:
    """A row a rule: what it found of its faults, and what it said of healthy trainings."""
    console = Console(width=110)
    shares: dict[str, list[float]] = defaultdict(list)
    missed = []
    false: dict[str, int] = defaultdict(int)
    severity: dict[str, str] = {}
    errors, warnings = [], list[str]()
    well = [case for case in cases if not case.rule]
    for case in cases:
        for seed in seeds:
            log = folder(root, case, seed)
            if case.rule:
                share = found_at(case, telling(log)) / case.recipe.steps
                shares[case.rule].append(share)
                if share > IN_TIME:
                    missed.append(f"{case.name}, seed {seed}: {case.rule} at {share:.0%}")
                continue
            grave = SEVERITIES.index
            alarms = {}
            for group, step, alert in telling(log):
                before = alarms.get((group, alert.key))
                if before is None or grave(alert.severity) < grave(before[1].severity):
                    alarms[group, alert.key] = step, alert
            for step, alert in alarms.values():
                false[alert.rule] += 1
                severity[alert.rule] = alert.severity
                if alert.severity != "info":
                    said = f"{case.name}, seed {seed}: {alert.severity} {alert.rule} at step {step}"
                    (errors if alert.severity == "error" else warnings).append(said)
    table = Table(title=f"{title}: {len(cases) - len(well)} faults, {len(well)} healthy trainings")
    for name in ("rule", "trainings", "found", "in time", "missed", "found at", "false alarms"):
        table.add_column(name, justify="left" if name == "rule" else "right")
    for rule in RULE_NAMES:
        of = shares[rule]
        if not of and not false[rule]:
            continue
        reached = [share for share in of if share < math.inf]
        table.add_row(
            rule, f"{len(of)}", f"{len(reached)}", f"{sum(s <= IN_TIME for s in of)}",
            f"{len(of) - len(reached)}",
            f"{median(reached):.0%}, at most {max(reached):.0%}" if reached else "",
            f"{false[rule]} {severity[rule]}" if false[rule] else "0",
        )  # fmt: skip
    every = [share for of in shares.values() for share in of]
    console.print(table)
    console.print(
        f"found in time: {sum(share <= IN_TIME for share in every)} of {len(every)}; "
        f"false alarms of severity error: {len(errors)}, warning: {len(warnings)} in "
        f"{len(well) * len(seeds)} trainings"
    )
    for line in (*missed, *errors, *warnings):
        console.print(f"  {line}")


def show_roots(cases: list[Case], root: Path, seeds: range) -> None:
    """In how many trainings the story begins with the planted fault, and what the others say."""
    others, own = [], 0
    for case in cases:
        for seed in seeds:
            story = stories(folder(root, case, seed)).get(case.group)
            own += story is not None and story.root.rule == case.rule
            if story is None:
                others.append(f"{case.name}, seed {seed}: nothing in place of {case.rule}")
            elif story.root.rule not in {case.rule, *case.roots}:
                others.append(f"{case.name}, seed {seed}: {story.headline}")
    console = Console(width=110)
    total = len(cases) * len(seeds)
    console.print(
        f"root is the planted fault: {total - len(others)} of {total}, by the very rule it was "
        f"planted for: {own}"
    )
    for line in others:
        console.print(f"  {line}")


if __name__ == "__main__":
    main()
