"""The terminal app: watch the gradients and the curvature of a training that runs somewhere.

import tbgrad_tui
status = tbgrad_tui.watch("runs")
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["watch"]


def watch(logdir: str | Path) -> int:
    """Show the runs below `logdir` until the user quits; the exit status for the shell.

    A directory that does not exist yet is waited for. Without a terminal, or where `logdir` is a
    file or on another machine, a sentence goes to standard error and the status is 2.
    """
    import sys

    from tbgrad.reading.places import place_of

    try:
        place = place_of(logdir)
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(
            "tbgrad watch needs a terminal: use `tbgrad report` for a report in plain text",
            file=sys.stderr,
        )
        return 2
    from tbgrad_tui.app import WatchApp

    app = WatchApp(place.path)
    app.run()
    return app.return_code or 0
