"""Which runs there are, where one found, and what the words beside its numbers are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tbgrad.log.scalars import SCALARS, Scalar
from tbgrad.log.share import VAGUE
from tbgrad.log.statistics import STATISTICS, Statistic
from tbgrad.log.tags import (
    ALERT_PLUGIN_NAME,
    ALERTS,
    ANALYSES,
    CURVATURE,
    DENSITY,
    HISTOGRAM_PLUGIN_NAME,
    MANIFEST,
    NOTES,
    PARAMETERS,
    PLUGIN_NAME,
    PLUGINS,
    STEPS_PLUGIN_NAME,
)
from tbgrad.plugin.answer import digest
from tbgrad.plugin.overviews import Overviews
from tbgrad.plugin.samples import SCALARS_PLUGIN, Extent, Place
from tbgrad.plugin.source import Snapshot
from tbgrad.plugin.stored_run import state_of
from tbgrad.reading.layer_history import MEASURES
from tbgrad.reading.state import resources_line

MAX_TAGS = 500


def is_active(snapshot: Snapshot) -> bool:
    """Whether any run has data of ours."""
    return bool(snapshot.series(PLUGIN_NAME))


def runs(snapshot: Snapshot) -> dict[str, Any]:
    """All runs, those with tbgrad series marked."""
    listed = []
    for name, place in snapshot.places.items():
        ours = snapshot.extents(PLUGIN_NAME, place)
        scalars = snapshot.extents(SCALARS_PLUGIN, place)
        steps = snapshot.extents(STEPS_PLUGIN_NAME, place)
        ends = [
            *ours.values(),
            *steps.values(),
            *(e for tag, e in scalars.items() if tag in SCALARS),
        ]
        listed.append({"name": name, "gradients": bool(ours), **_newest(ends)})
    return {"runs": listed}


def status(snapshot: Snapshot, run: str) -> dict[str, Any]:
    """Where a run found, and a revision per view that changes when there is more to draw."""
    place = snapshot.place(run)
    scalars = snapshot.extents(SCALARS_PLUGIN, place)
    ours = snapshot.extents(PLUGIN_NAME, place)
    histograms, alerts, notes = (
        snapshot.extents(plugin, place) if ours else {}
        for plugin in (HISTOGRAM_PLUGIN_NAME, ALERT_PLUGIN_NAME, *PLUGINS[NOTES])
    )
    # Coarser levels come with them, and may still hold what a former session wrote further on.
    steps = [*snapshot.extents(STEPS_PLUGIN_NAME, place).values()] if ours else []
    views = {
        "scalars": [*scalars.values(), *steps],
        "layers": [*_those(ours, MANIFEST, PARAMETERS), *steps],
        "histograms": [*_those(ours, MANIFEST), *histograms.values()],
        "curvature": _those(ours, CURVATURE, DENSITY),
        # Where it goes is logged beside the statistics; whether it is takes a listing of its own.
        "landscape": [
            *(extent for tag, extent in ours.items() if tag.startswith(ANALYSES)),
            *_those(ours, MANIFEST, PARAMETERS),
            *steps,
        ],
        # Where the writer did not watch all rules, as /alerts tells, the others look at everything.
        "alerts": [*_those(ours, MANIFEST, ALERTS), *alerts.values()],
        "notes": _those(notes, NOTES),
    }
    ends = _newest(extent for extents in views.values() for extent in extents)
    revisions = {name: digest(end.revision for end in extents) for name, extents in views.items()}
    # How old an estimate is matters from where it is stale: then with each step.
    stale = snapshot.once(Overviews).stale_steps(place) if revisions["curvature"] else None
    if stale is not None:
        revisions["curvature"] += f" {stale}"
    return {
        "run": run,
        "gradients": bool(ours),
        **ends,
        "state": _state(snapshot, place, ends["last_wall_time"] or 0.0) if ours else None,
        "scalar_tags": sorted(scalars)[:MAX_TAGS],
        "overview": _all(snapshot),
        "revisions": revisions,
    }


def _all(snapshot: Snapshot) -> str:
    """Changes whenever any run has gone on, or there is another."""
    plugins = (PLUGIN_NAME, SCALARS_PLUGIN, STEPS_PLUGIN_NAME, ALERT_PLUGIN_NAME)
    listed = tuple(map(snapshot.series, plugins))
    return snapshot.derived(
        "revision",
        listed,
        lambda: digest(
            f"{run} {tag} {extent.revision}"
            for series in listed
            for run, extents in series.items()
            for tag, extent in extents.items()
        ),
    )


def _state(snapshot: Snapshot, place: Place, last_wall_time: float) -> dict[str, Any] | None:
    """How a run stands, and what its writer says of it; None where it does not."""
    heard, state = state_of(snapshot, place)
    found = snapshot.condition(place, state, max(last_wall_time, heard))
    if state is None or found is None:
        return None
    return {
        **asdict(state),
        "status": found.status,
        "words": found.words,
        "alive": found.alive,
        "resources_words": resources_line(state),
    }


def tables(
    scalars: Mapping[str, Scalar] = SCALARS,
    statistics: Mapping[str, Statistic] = STATISTICS,
    samples: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """What every face calls the numbers of a log, and where one is too vague to be shown."""
    return {
        "scalars": [asdict(scalar) for scalar in scalars.values()],
        "statistics": [asdict(statistic) for statistic in statistics.values()],
        "measures": [
            {"name": name, "label": measure.label, "scale": measure.scale}
            for name, measure in MEASURES.items()
            if name not in statistics
        ],
        "vague": VAGUE,
        "samples": dict(samples or {}),
    }


def _those(extents: Mapping[str, Extent], *tags: str) -> list[Extent]:
    return [extents[tag] for tag in tags if tag in extents]


def _newest(extents: Any) -> dict[str, Any]:
    ends = list(extents)
    return {
        "last_step": max((end.last_step for end in ends), default=None),
        "last_wall_time": max((end.last_wall_time for end in ends), default=None),
    }
