"""What the diagnosis finds in trainings with one planted fault each, and in healthy ones.

    python -m tests.benchmarks.clinic [--seeds 5] [--every 1] [--keep DIR] [--only "mlp*"]
    python -m tests.benchmarks.clinic --every default

Trains every case of `tests.clinic` with each seed, with every step logged or at the defaults of the
monitor. At the defaults the alerts are those that the writer logged, at the steps of their events;
else its log is gone over as the writer does, step by step. A fault counts as found where its rule
names its layer within the first fifth of the training. Cases that are aside were not looked at
while thresholds were chosen. With the first seed every fault is trained again as its alert advises,
unless the cadence is that of the defaults. Logs in `--keep` are not trained anew: where the rules
have changed since, they are gone over by those of now.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from statistics import median
from typing import TypeAlias

from rich.console import Console
from rich.progress import track
from rich.table import Table

import tbgrad
from tbgrad.diagnosis import RULE_NAMES, Diagnosis
from tbgrad.diagnosis.replay import retold
from tbgrad.log.records import SEVERITIES, Alert
from tbgrad.log.tags import ALERTS
from tests.clinic.aside import aside
from tests.clinic.case import Case
from tests.clinic.healthy import healthy
from tests.clinic.planted import planted
from tests.clinic.recipe import Recipe

IN_TIME = 0.2
"""Share of the training within which a fault has to be found."""


@dataclass(frozen=True)
class Task:
    """One training; at the defaults of the monitor where it is not said how often it logs."""

    recipe: Recipe
    seed: int
    folder: Path
    every: int | None


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
        tasks += [
            Task(advised(case), 0, folder(root, case, 0, "advised"), options.every)
            for case in cases
            if case.advised is not None and options.every is not None
        ]
        train_all([task for task in tasks if not is_done(task)], options.jobs)
        for kept, title in ((False, "Thresholds were chosen by these"), (True, "Kept aside")):
            some = [case for case in cases if case.aside == kept]
            show(title, some, root, seeds, told if options.every is None else replayed)
        if options.every is not None:
            show_advice([case for case in cases if case.advised is not None], root)


def matches(case: Case, patterns: Sequence[str]) -> bool:
    return any(fnmatch(case.name, pattern) for pattern in patterns)


def _cadence(said: str) -> int | None:
    return None if said == "default" else int(said)


def folder(root: Path, case: Case, seed: int, variant: str = "planted") -> Path:
    return root / str(seed) / variant / case.name.replace(" ", "_")


def advised(case: Case) -> Recipe:
    return replace(case.recipe, **(case.advised or {}))


def is_done(task: Task) -> bool:
    """Whether this very recipe was trained there."""
    file = task.folder / "recipe.txt"
    return file.exists() and file.read_text() == repr(task.recipe)


def train_all(tasks: list[Task], jobs: int) -> None:
    # New processes now and then: TensorFlow keeps the functions of every model it has trained.
    # (max_tasks_per_child of Python 3.11 may leave the pool without any process.)
    size = 50 * jobs
    console = Console(stderr=True)
    for first in range(0, len(tasks), size):
        some = tasks[first : first + size]
        title = f"training, {first} of {len(tasks)} done"
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _quiet) as pool:
            for _ in track(pool.map(run, some), title, len(some), console=console):
                pass


def _quiet() -> None:
    import logging
    import warnings

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def run(task: Task) -> None:
    """Train one, and leave how well it ended beside its log."""
    from tests.clinic.training import train

    shutil.rmtree(task.folder, ignore_errors=True)
    defaults = {"every": None, "histograms_every": None}
    monitor = defaults if task.every is None else {"every": task.every}
    end = train(task.recipe, task.seed, task.folder, **monitor)
    task.folder.mkdir(parents=True, exist_ok=True)  # a monitor that fails may leave nothing
    (task.folder / "end.json").write_text(json.dumps(end))
    (task.folder / "recipe.txt").write_text(repr(task.recipe))
    (task.folder / "rules.txt").write_text(rules())


def rules() -> str:
    """What tells the rules as they are now from others."""
    sources = sorted(Path(tbgrad.__file__).parent.glob("diagnosis/**/*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


Telling: TypeAlias = Callable[[Path], Iterable[tuple[str, int, Alert]]]
"""Group, step and alert of everything that is told of a log, in the order of the steps."""


def told(log: Path) -> Iterator[tuple[str, int, Alert]]:
    """What its writer told, at the steps of the events; what it would tell by the rules of now."""
    if (log / "rules.txt").read_text() != rules():
        yield from replayed(log)
        return
    for group, run_of_group in tbgrad.read(log).items():
        series = run_of_group.get(ALERTS)
        if series is not None:
            for step, alerts in zip(series.steps.tolist(), series.values, strict=True):
                yield from ((group, step, alert) for alert in alerts)


def replayed(log: Path) -> Iterator[tuple[str, int, Alert]]:
    """What the rules tell of it now."""
    for group, run_of_group in tbgrad.read(log).items():
        diagnosis = Diagnosis()
        yield from ((group, *telling) for telling in retold(run_of_group, diagnosis))
        if diagnosis.failures:
            raise RuntimeError(f"{log}: {diagnosis.failures}")


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


def show_advice(cases: list[Case], root: Path) -> None:
    """How many trainings end better when they are run as advised."""
    console = Console(width=110)
    better, worse = 0, []
    for case in cases:
        ends = [
            json.loads((folder(root, case, 0, variant) / "end.json").read_text())
            for variant in ("planted", "advised")
        ]
        before, after = (end if math.isfinite(end) else math.inf for end in ends)
        if after < before:
            better += 1
        else:
            worse.append(f"{case.name}: {case.rule}, {before:.4g} before, {after:.4g} as advised")
    if cases:
        console.print(f"ends better as advised: {better} of {len(cases)}")
    for line in worse:
        console.print(f"  {line}")


if __name__ == "__main__":
    main()
