"""Small event files built by hand, byte for byte, for the tests that damage them."""

from __future__ import annotations

import functools
from pathlib import Path

from tensorboard.compat.proto import event_pb2, summary_pb2

from tbgrad.log.append import EventFileWriter
from tbgrad.log.framing import frame
from tbgrad.log.tail import EventFileTail
from tbgrad.reading.run import Run

NAME = "events.out.tfevents.1.host"


def event(step: int, value: float = 0.5, tag: str = "loss") -> event_pb2.Event:
    """One scalar in the older form."""
    summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, simple_value=value)])
    return event_pb2.Event(step=step, wall_time=float(step), summary=summary)


def records(count: int, first: int = 1) -> list[bytes]:
    """Framed records of rising steps."""
    return [frame(event(step).SerializeToString()) for step in range(first, first + count)]


def events_of(tail: EventFileTail) -> list[event_pb2.Event]:
    """All events that the tail yields now."""
    found = [tail.event(*record) for batch in tail.read() for record in zip(*batch, strict=True)]
    return [event for event in found if event is not None]


def steps_of(tail: EventFileTail) -> list[int]:
    """Steps of all that the tail yields now."""
    return [event.step for event in events_of(tail)]


def write_events(path: Path, events: list[event_pb2.Event]) -> Path:
    """Write the events to a new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(frame(event.SerializeToString()) for event in events))
    return path


def snapshot(run: Run) -> dict[str, tuple]:
    """All that a run says, in a form that compares."""
    return {
        tag: (s.kind, s.steps.tolist(), s.wall_times.tolist(), [repr(v) for v in s.values])
        for tag, s in run.items()
    }


PatientEventFileWriter = functools.partial(EventFileWriter, capacity=0)
"""Drops nothing, however fast a test adds."""
