"""All runs at a glance, the worst first, and the verdict of one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tbgrad.diagnosis import standing
from tbgrad.judgement.overview import Overview, worst_first
from tbgrad.judgement.verdict import verdict_of
from tbgrad.log.encode import to_jsonable
from tbgrad.log.short_names import short_names
from tbgrad.log.tags import PLUGIN_NAME
from tbgrad.plugin.answer import numbers
from tbgrad.plugin.arguments import BadRequestError
from tbgrad.plugin.overviews import Known, Overviews
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.views.alerts import told_stories
from tbgrad.reading.hparams import differing_of
from tbgrad.reading.run_filter import run_filter
from tbgrad.reading.state import Condition

MAX_ROWS = 1000
MAX_HPARAMS = 30


def overview(snapshot: Snapshot, run: str = "", filter: str = "") -> dict[str, Any]:
    """A row a run, as far as they are known, of those that `filter` chooses; the verdict of `run`.

    Raises:
        BadRequestError: the filter is none.
        UnknownNameError: TensorBoard knows no such run.
    """
    if run:
        snapshot.place(run)
    try:
        chosen = run_filter(filter)
    except ValueError as error:
        raise BadRequestError(f"'filter': {' '.join(str(error).split())[:300]}") from error
    overviews = snapshot.once(Overviews)
    complete = overviews.look(snapshot, run)
    lines = overviews.lines(snapshot)
    rows = [row for row, _ in lines.values()]
    shown = worst_first(row for row in rows if chosen(row.name, row.hparams))[:MAX_ROWS]
    hparams = {name: known.hparams if known else {} for name, (_, known) in lines.items()}
    names = [row.name for row in shown]
    differing = differing_of([hparams[name] for name in names])[:MAX_HPARAMS]
    short = short_names(names)
    return {
        "complete": complete,
        "judged": sum(bool(row.health) for row in rows),
        "stored": len(rows),
        "hparams": differing,
        "ill": {look: sum(r.severity == look for r in rows) for look in ("error", "warning")},
        "runs": [
            {
                **to_jsonable(_told(row)),
                "short": short[row.name],
                "gradients": bool(snapshot.extents(PLUGIN_NAME, snapshot.places[row.name])),
                "hparams": {k: v for k, v in hparams[row.name].items() if k in differing},
            }
            for row in shown
        ],
        "verdict": _verdict(*lines[run]) if run else None,
        "filter": filter,
    }


def _told(row: Overview) -> dict[str, Any]:
    stands = row.condition
    return {
        "name": row.name,
        "state": None if stands is None else _state(stands),
        "step": row.step,
        "steps": row.steps,
        "seconds_left": row.seconds_left,
        "pace": row.pace,
        "loss": _short(row.loss),
        "val_loss": _short(row.validation_loss),
        "trend": numbers(row.losses.astype(np.float32)),
        "norm": _short(row.norm),
        "norm_course": row.norm_course,
        "update_ratio": _short(row.update_ratio),
        "stability": row.stability,
        "standing": "" if math.isnan(row.stability) else standing(row.stability),
        "stability_age": row.stability_age,
        "stale": row.stale,
        "severity": row.severity,
        "health": row.health,
        "since": row.since,
        "headline": row.story.headline if row.severity and row.story is not None else "",
        "last_sign": row.last_sign,
    }


def _short(value: float) -> float:
    """In the digits that float32 has, as scalars of the format are."""
    return float(str(np.float32(value)))


def _state(stands: Condition) -> dict[str, Any]:
    return {"status": stands.status, "words": stands.words, "alive": stands.alive}


def _verdict(row: Overview, known: Known | None) -> dict[str, Any] | None:
    if known is None or not row.health:
        return None
    return {
        "run": row.name,
        "words": [line._asdict() for line in verdict_of(row)],
        **told_stories(row.story),
        "hparams": dict(known.hparams),
    }
