"""Whether a training is mended by doing what the first sentence of its advice says, and no more.

    python -m tests.benchmarks.advice [--keep DIR] [--only "mlp*"] [--rounds 3] [--jobs 2]

Every fault of `tests.clinic` is trained at the defaults of the monitor. Of the story that faces
tell of its log the first advice is followed to the letter by a program (`tests.clinic.following`),
which knows neither the fault nor anything else of the case, and it is trained again; what is told
of that is followed likewise. It is mended once the loss at the end is within a tenth of the same
training without the fault, or below it. Beside that figure stands the one that also counts ends
within the range of the training without the fault over three seeds. Advice that no pattern knows,
or that the recipe has no place for, is not followed, and named. Logs in `--keep` of the same recipe
are not trained anew, and those of older rules are gone over by those of now.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from rich.console import Console
from rich.table import Table

import tbgrad
from tbgrad.judgement.overview import healthy_words, overview_of
from tbgrad.judgement.replay import judge
from tbgrad.judgement.story import Story, rank
from tests.clinic.aside import aside
from tests.clinic.case import Case
from tests.clinic.following import follow
from tests.clinic.planted import planted
from tests.clinic.running import Task, train_all
from tests.clinic.telling import stories

NEAR = 1.1
"""An end is as good as another that it is within a tenth of."""

SEEDS = range(3)


@dataclass
class Treatment:
    """A case, the recipes it went through, and the sentences that led from one to the next."""

    case: Case
    tasks: list[Task]
    without: list[Task]
    sentences: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    refused: str = ""
    untold: bool = False

    @property
    def ends(self) -> list[float]:
        """How well it ended before and after each round, infinite where it diverged."""
        return [_finite(task.end) for task in self.tasks]

    @property
    def mended_in(self) -> int:
        """The first round after which it was; 0 where it never was ill, -1 where it still is."""
        return self._round(NEAR * _finite(self.without[0].end))

    @property
    def mended_within_noise_in(self) -> int:
        """The same where the range of the ends without the fault counts too."""
        ends = [_finite(task.end) for task in self.without if task.is_done]
        return self._round(max(NEAR * ends[0], *ends))

    def _round(self, limit: float) -> int:
        return next((i for i, end in enumerate(self.ends) if end <= limit), -1)


def _finite(end: float) -> float:
    return end if math.isfinite(end) else math.inf


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=Path, help="directory of the logs, which are used again")
    parser.add_argument("--only", nargs="+", default=["*"], help="cases whose name matches one")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cases = [
        case
        for case in (*planted(), *aside())
        if any(fnmatch(case.name, pattern) for pattern in options.only)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        root = (options.keep or Path(temporary)) / "every default"
        treatments = treat(cases, root, options.rounds, options.jobs)
        for kept, title in ((False, "Thresholds were chosen by these"), (True, "Kept aside")):
            some = [each for each in treatments if each.case.aside == kept]
            if some:
                show(title, some, options.rounds)


def treat(cases: Iterable[Case], root: Path, rounds: int, jobs: int) -> list[Treatment]:
    """Train each case, follow what is advised, and train again."""
    treatments = [_begun(case, root) for case in cases]
    train_all([each.tasks[0] for each in treatments], jobs)
    train_all({each.without[0].folder: each.without[0] for each in treatments}.values(), jobs)
    for number in range(1, rounds + 1):
        going = [each for each in treatments if each.mended_in < 0 and not each.refused]
        for each in going:
            _advance(each, number, root)
        train_all([each.tasks[-1] for each in going], jobs)
    ill = [each for each in treatments if each.mended_in < 0]
    train_all({task.folder: task for each in ill for task in each.without}.values(), jobs)
    return treatments


def _begun(case: Case, root: Path) -> Treatment:
    assert case.healthy is not None
    log = root / "0" / "planted" / case.name.replace(" ", "_")
    named = hashlib.sha256(repr(case.healthy).encode()).hexdigest()[:16]
    without = [
        Task(case.healthy, seed, root / str(seed) / "without" / named, None) for seed in SEEDS
    ]
    return Treatment(case, [Task(case.recipe, 0, log, None)], without)


def _advance(treatment: Treatment, number: int, root: Path) -> None:
    """Read what is told of the newest log, and change the recipe as it says."""
    newest = treatment.tasks[-1]
    told = {group: story for group, story in stories(newest.folder).items() if story is not None}
    if not told:
        treatment.refused, treatment.untold = "nothing is told", True
        return
    group = min(told, key=lambda name: rank(told[name]))
    story = told[group]
    treatment.rules.append(story.root.rule)
    changed = follow(story.advice, newest.recipe, group)
    if changed is None:
        treatment.refused = f"not followed: {story.advice}"
        return
    treatment.sentences.append(story.advice)
    folder = root / "0" / f"round {number}" / treatment.case.name.replace(" ", "_")
    treatment.tasks.append(Task(changed, 0, folder, None))


def is_warned(log: Path) -> bool:
    """Whether anything that is told of it is of severity warning or error."""
    return any(_is_grave(story) for story in stories(log).values() if story is not None)


def is_falling(log: Path) -> bool:
    """Whether a run is called healthy with a loss that was still falling at its end."""
    rows = [overview_of(run, None, judge(run).story) for run in tbgrad.read(log).values()]
    return all("still falling" in healthy_words(row) for row in rows)


def _is_grave(story: Story) -> bool:
    told = [alert for each in (story, *story.further) for alert in each.alerts]
    return any(alert.severity != "info" for alert in told)


def show(title: str, treatments: list[Treatment], rounds: int) -> None:
    """A row a rule: how many of its faults were mended after how many rounds."""
    console = Console(width=110)
    of_rule: dict[str, list[Treatment]] = defaultdict(list)
    for each in treatments:
        of_rule[each.case.rule].append(each)
    table = Table(title=f"{title}: {len(treatments)} faults")
    table.add_column("rule")
    named = ("faults", "in one round", f"in {rounds}", "within noise", "untold", "not followed")
    for name in named:
        table.add_column(name, justify="right")
    for rule, some in of_rule.items():
        table.add_row(rule, *map(str, _counts(some)))
    console.print(table)
    total = len(treatments)
    first, all_rounds, noise, untold, refused = _counts(treatments)[1:]
    console.print(
        f"mended in the first round: {first} of {total} ({first / total:.0%}), in {rounds}: "
        f"{all_rounds} ({all_rounds / total:.0%}); where the noise between seeds counts: {noise} "
        f"({noise / total:.0%}); not mended, but nothing is told any more: {untold}; advice that "
        f"was not followed: {refused}"
    )
    for each in treatments:
        if each.mended_in not in (0, 1):
            _print_course(console, each)
    silent = [
        (each, number)
        for each in treatments
        for number, (task, end) in enumerate(zip(each.tasks, each.ends, strict=True))
        if number and end > NEAR * _finite(each.without[0].end) and not is_warned(task.folder)
    ]
    falling = sum(is_falling(each.tasks[number].folder) for each, number in silent)
    console.print(
        f"ends badly after advice was followed, and is not warned of: {len(silent)}; of {falling} "
        "of these it is told that the loss was still falling"
    )
    for each, number in silent:
        console.print(f"  {each.case.name}, round {number}: {each.sentences[number - 1]}")


def _counts(some: list[Treatment]) -> tuple[int, ...]:
    return (
        len(some),
        sum(each.mended_in in (0, 1) for each in some),
        sum(each.mended_in >= 0 for each in some),
        sum(each.mended_within_noise_in >= 0 for each in some),
        sum(each.untold for each in some),
        sum(bool(each.refused) and not each.untold for each in some),
    )


def _print_course(console: Console, each: Treatment) -> None:
    without = _finite(each.without[0].end)
    came = f"mended in round {each.mended_in}" if each.mended_in > 0 else "not mended"
    if each.mended_in < 0 and each.mended_within_noise_in >= 0:
        came = "mended within noise"
    console.print(f"  {each.case.name} ({each.case.rule}): {came}, {without:.4g} without the fault")
    steps = zip(each.rules, [*each.sentences, each.refused], each.ends, strict=False)
    for rule, sentence, end in steps:
        console.print(f"    ends at {end:.4g}; {rule}: {sentence}")
    if len(each.ends) > len(each.rules):
        console.print(f"    ends at {each.ends[-1]:.4g}; {each.refused}")


if __name__ == "__main__":
    main()
