"""Arguments that all monitors share, checked with a sentence for the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np

from tbgrad.diagnosis import AlertSettings, check_rule
from tbgrad.log.records import Alert
from tbgrad.log.state import Hyperparameter
from tbgrad.monitoring.cadence import Cadence
from tbgrad.monitoring.selection import Selection
from tbgrad.monitoring.storage import is_remote

_OnAlert: TypeAlias = Callable[[Alert], object]


def check_steps(name: str, value: object) -> int:
    """`value` as a number of steps.

    Raises:
        ValueError: it is not a whole number of at least 1.
    """
    if not _is_whole(value) or int(value) < 1:  # type: ignore[call-overload]
        raise ValueError(f"{name} is a number of steps: a whole number from 1 on, not {value!r}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def check_cadence(name: str, value: object) -> Cadence:
    """`value`, a number of steps or a mapping from first steps to them, as a cadence.

    Raises:
        ValueError: a number is not whole or out of range, or the mapping has no step 0.
    """
    if not isinstance(value, Mapping):
        return Cadence((check_steps(name, value),))
    starts = list(value)
    if not all(_is_whole(start) and start >= 0 for start in starts) or 0 not in starts:
        raise ValueError(
            f"{name} as a schedule names the step at which each part begins, the first of them 0: "
            f"{name}={{0: 1, 1000: 10}}, not {value!r}"
        )
    starts = sorted(map(int, starts))
    steps = tuple(check_steps(f"{name}[{start}]", value[start]) for start in starts)
    return Cadence(steps, tuple(starts))


def check_selection(
    include: str | Sequence[str] | None, exclude: str | Sequence[str] | None
) -> Selection:
    """Patterns of parameter paths, one or several, as a selection.

    Raises:
        TypeError: one is not a string.
    """
    return Selection(
        ("*",) if include is None else _patterns("include", include),
        () if exclude is None else _patterns("exclude", exclude),
    )


def _patterns(name: str, value: str | Sequence[str]) -> tuple[str, ...]:
    patterns = (value,) if isinstance(value, str) else tuple(value)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(
                f"{name} is a pattern of parameter paths, or several: {name}='*/kernel', "
                f"not {pattern!r}"
            )
    return patterns


def check_on_alert(function: _OnAlert | None) -> _OnAlert | None:
    """`function` as it is.

    Raises:
        TypeError: it cannot be called.
    """
    if function is not None and not callable(function):
        raise TypeError(f"on_alert is a function of one alert, not {function!r}")
    return function


def check_alerts(alerts: AlertSettings | str | Path | None) -> AlertSettings:
    """The settings that are given, or those in a TOML file, or the usual ones.

    Raises:
        TypeError: it is something else, or the file has a value that is not of its kind.
        OSError: the file cannot be read.
        ValueError: the file is not TOML, or has a table, threshold or rule that there is not.
    """
    if isinstance(alerts, str | Path):
        return AlertSettings.read(alerts)
    if alerts is not None and not isinstance(alerts, AlertSettings):
        raise TypeError(
            "alerts is a tbgrad.AlertSettings or the path of a TOML file, "
            f"not {type(alerts).__name__}"
        )
    return alerts or AlertSettings()


def check_rules(name: str, rules: Iterable[str]) -> frozenset[str]:
    """These names of rules.

    Raises:
        ValueError: there is no such rule.
        TypeError: it is a single name.
    """
    if isinstance(rules, str):
        raise TypeError(f"{name} is a set of rules: {name}={{{rules!r}}}, not {rules!r}")
    return frozenset(check_rule(name, rule) for rule in rules)


def check_group(group: str) -> str:
    """`group` as it is.

    Raises:
        ValueError: it is not a name without `/`.
    """
    if not isinstance(group, str) or "/" in group:
        raise ValueError(f"group is a name without '/', such as 'generator', not {group!r}")
    return group


def check_hparams(hparams: Mapping[str, object] | None) -> dict[str, Hyperparameter]:
    """`hparams` with the numbers of NumPy as Python's own.

    Raises:
        TypeError: it is no mapping from names to numbers, strings or booleans.
    """
    chosen = {} if hparams is None else hparams
    if isinstance(chosen, Mapping):
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in chosen.items()}
        fits = (isinstance(k, str) and isinstance(v, Hyperparameter) for k, v in plain.items())
        if all(fits):
            return cast(dict[str, Hyperparameter], plain)
    raise TypeError(
        "hparams is a mapping from names to numbers, strings or booleans: "
        f"hparams={{'width': 128, 'dropout': 0.1}}, not {hparams!r}"
    )


def check_logdir(logdir: str | Path) -> str | Path:
    """`logdir` as a path, or as it is where it is an address.

    Raises:
        NotADirectoryError: it is a file.
    """
    if is_remote(logdir):
        return str(logdir).rstrip("/")
    path = Path(logdir).expanduser()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"logdir {path} is a file: give a directory for the event files")
    return path


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_megabytes(megabytes: float) -> float:
    """What every step may take in the log a minute, as it is.

    Raises:
        ValueError: it is not above 0.
    """
    if not megabytes > 0:
        raise ValueError(
            f"megabytes_per_minute, for every step in the log, is above 0, not {megabytes!r}"
        )
    return megabytes
