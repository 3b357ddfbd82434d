"""The settings of runs, and in which of them runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tbgrad.log.state import Hyperparameter

if TYPE_CHECKING:
    from tbgrad.reading.run import Run


def hparams_of(run: Run) -> dict[str, Hyperparameter]:
    """What is known of a run: its hyperparameters, and the settings of its optimizer."""
    told: dict[str, Hyperparameter] = {}
    if run.manifest is not None:
        for name, value in run.manifest.optimizer.items():
            if isinstance(value, str | bool | int | float):
                told["optimizer" if name == "name" else name] = value
    return {**(run.state.hparams if run.state is not None else {}), **told}


def differing_hparams(runs: Sequence[Run]) -> list[str]:
    """The names of hyperparameters in which runs differ, also in that only some have them.

    >>> differing_hparams([runs["a"], runs["b"]])
    ['learning_rate']
    """
    return differing_of([hparams_of(run) for run in runs])


def differing_of(known: Sequence[Mapping[str, Hyperparameter]]) -> list[str]:
    """The same of what is known of each run."""
    names = dict.fromkeys(name for hparams in known for name in hparams)
    return [name for name in names if len({repr(hparams.get(name)) for hparams in known}) > 1]
