"""A run put together from what TensorBoard has stored of it, as the reader of files does it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from tbgrad.log.decode import decode_array
from tbgrad.log.tags import (
    HEARTBEAT,
    HISTOGRAMS,
    MANIFEST,
    PARAMETERS,
    PLUGIN_NAME,
    STATE,
    STATE_PLUGIN_NAME,
    FormatError,
    Kind,
)
from tbgrad.plugin.samples import MAX_REPLY, NOTHING, Place, Samples
from tbgrad.plugin.source import Snapshot
from tbgrad.reading.columns import Limits
from tbgrad.reading.run import Run
from tbgrad.reading.state import Heard, heard
from tbgrad.reading.store import SeriesStore

Stored = tuple[int, float, str, Kind, Any]
"""Step, wall time, tag, kind and decoded value."""


@dataclass(frozen=True)
class StoredRun:
    """A run with the series that were asked for, and in sentences what of them is misfit.

    `stored` says of each series how many records TensorBoard has of it.
    """

    run: Run
    problems: tuple[str, ...]
    stored: dict[str, int]


def read_run(snapshot: Snapshot, name: str, tags: Iterable[str]) -> StoredRun:
    """The packed series `tags` of a run, whole; with the manifest where rows need one.

    Raises:
        UnknownNameError: TensorBoard knows no such run.
    """
    place = snapshot.place(name)
    wanted = tuple(dict.fromkeys(tags))

    def read() -> StoredRun:
        samples = read_samples(snapshot, place, wanted)
        problems: list[str] = []
        values = list(decoded(samples, problems))
        return put_together(name, values, problems, samples, Limits(merging=False))

    return snapshot.kept(place, wanted, _revision(snapshot, place, wanted), read)


def state_of(snapshot: Snapshot, place: Place) -> Heard:
    """How a run goes, as its writer said last, and when; no state where it does not say so.

    A few records, and new ones all the time: they are read without a look at whether there are any.
    """
    samples = snapshot.tensors(place, STATE_PLUGIN_NAME, (STATE, HEARTBEAT))
    newest = Heard(0.0, None)
    for _, wall_time, _, kind, value in sorted(decoded(samples, []), key=itemgetter(1)):
        newest = heard(newest, kind, value, wall_time)
    return newest


def _revision(snapshot: Snapshot, place: Place, tags: Iterable[str]) -> str:
    revisions = []
    for tag in tags:
        plugin = snapshot.stored_under(place, tag)
        revisions.append(snapshot.extents(plugin, place)[tag].revision if plugin else "")
    return " ".join(revisions)


def manifests(snapshot: Snapshot, place: Place) -> Samples:
    """The manifests of a run, which are kept: every view of its parameters needs them."""
    plugin = snapshot.stored_under(place, MANIFEST)
    if plugin is None:
        return NOTHING
    revision = snapshot.extents(plugin, place)[MANIFEST].revision
    return snapshot.kept(
        place,
        ("manifests",),
        revision,
        lambda: snapshot.tensors(place, plugin, [MANIFEST]).get(MANIFEST, NOTHING),
    )


def manifests_ahead(snapshot: Snapshot, places: Iterable[Place]) -> None:
    """Read the manifests of several runs in one call, those that are not kept."""
    revisions = {
        place: snapshot.extents(PLUGIN_NAME, place)[MANIFEST].revision
        for place in places
        if snapshot.stored_under(place, MANIFEST) == PLUGIN_NAME
    }
    missing = [p for p, r in revisions.items() if not snapshot.is_kept(p, ("manifests",), r)]
    if len(missing) < 2:
        return
    found = snapshot.together(missing, PLUGIN_NAME, MANIFEST)
    for place, samples in zip(missing, found, strict=True):
        snapshot.kept(place, ("manifests",), revisions[place], partial(_same, samples))


def _same(samples: Samples) -> Samples:
    return samples


def read_samples(snapshot: Snapshot, place: Place, tags: Iterable[str]) -> dict[str, Samples]:
    """The stored records of these series, those of one plugin in one call where a reply has room.

    The manifests, which say how large the others are, are read ahead of them.
    """
    samples: dict[str, Samples] = {}
    small: defaultdict[str, list[str]] = defaultdict(list)
    for tag in tags:
        plugin = snapshot.stored_under(place, tag)
        if plugin is None:
            continue
        if tag == MANIFEST:
            samples[tag] = manifests(snapshot, place)
        elif tag in (PARAMETERS, HISTOGRAMS):
            size = _record_bytes(manifests(snapshot, place), tag)
            if snapshot.source.bytes_of(plugin, size) <= MAX_REPLY // 2:
                small[plugin].append(tag)
            else:
                samples |= snapshot.tensors(place, plugin, [tag], size)
        else:
            small[plugin].append(tag)
    for plugin, together in small.items():
        samples |= snapshot.tensors(place, plugin, together)
    return samples


def _record_bytes(told: Samples, tag: str) -> int:
    sizes = [0]
    for *_, manifest in decoded({MANIFEST: told}, []):
        bins = manifest.histogram_bins.columns
        columns = bins if tag == HISTOGRAMS else len(manifest.statistics)
        sizes.append(4 * len(manifest.parameters) * columns)
    return max(sizes)


def decoded(samples: dict[str, Samples], problems: list[str]) -> Iterator[Stored]:
    """What these records hold; what does not fit the format is told in `problems`."""
    for tag, records in samples.items():
        for step, wall_time, value in rows_of(records):
            try:
                yield step, wall_time, tag, *decode_array(tag, np.asarray(value))
            except FormatError as error:  # noqa: PERF203 - one misfit must not hide the others
                problems.append(f"step {step}: {error}")


def rows_of(samples: Samples) -> Iterator[tuple[int, float, Any]]:
    """Step, wall time and value of each."""
    return zip(samples.steps.tolist(), samples.wall_times.tolist(), samples.values, strict=True)


def put_together(
    name: str,
    values: list[Stored],
    problems: list[str],
    samples: dict[str, Samples],
    limits: Limits,
    *,
    tell_misfits: bool = True,
) -> StoredRun:
    """The run that a store makes of values: of one step manifests first, the earliest of all first.

    What comes ahead of a manifest that was lost is described by the next one.
    """
    earliest = min((v[0] for v in values if v[2] == MANIFEST), default=0)

    def order(value: Stored) -> tuple[bool, int, bool]:
        is_manifest = value[2] == MANIFEST
        return not (is_manifest and value[0] == earliest), value[0], not is_manifest

    store = SeriesStore(limits)
    store.expected_bytes = sum(v[4].nbytes for v in values if isinstance(v[4], np.ndarray))
    for step, wall_time, tag, kind, value in sorted(values, key=order):
        try:
            store.add(tag, step, wall_time, kind, value)
        except FormatError as error:  # noqa: PERF203 - one misfit must not hide the others
            if tell_misfits:
                problems.append(f"step {step}: {error}")
    run = replace(dict(store.runs())[""], name=name)
    return StoredRun(run, tuple(problems), {tag: len(records) for tag, records in samples.items()})
