"""The thread that drains a training loop of one's own, where no callback is called."""

from __future__ import annotations

import threading
import time

from tbgrad.keras.attachment import Attachment
from tbgrad.monitoring.schedule import Action, Schedule
from tbgrad.monitoring.state_log import left


def drain_until(stop: threading.Event, attachment: Attachment) -> None:
    """Drain where the schedule says so, until told to stop."""
    schedule = Schedule(attachment.step, time.monotonic())
    while not attachment.log.failed:
        step = attachment.step
        pause = schedule.pause(step, time.monotonic(), attachment.room(step))
        if stop.wait(pause):
            return
        step, now = attachment.step, time.monotonic()
        if schedule.next_action(step, now, attachment.room(step)) is Action.DRAIN:
            logged = attachment.drain()
            schedule.drained(attachment.step, time.monotonic(), logged)


def shut(stop: threading.Event, thread: threading.Thread, attachment: Attachment) -> None:
    """Stop the thread, and close the log."""
    stop.set()
    thread.join(10.0)
    attachment.log.state.end(left())
    attachment.close()
