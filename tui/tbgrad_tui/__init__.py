"""The terminal app: watch the gradients and the curvature of a training that runs somewhere.

import tbgrad_tui
status = tbgrad_tui.watch("runs")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbgrad_tui.start import without_collection

if TYPE_CHECKING:
    from tbgrad.reading.places import Logdir

__all__ = ["watch"]

COLUMNS, ROWS = 120, 40
"""Of a frame that is not printed on a terminal."""


@without_collection()
def watch(
    logdir: Logdir,
    *,
    pattern: str = "*",
    once: bool = False,
    light: bool | None = None,
    ascii: bool = False,
    bell: bool = False,
    reset: bool = False,
) -> int:
    """Show the runs below `logdir`, or several, until the user quits; the status for the shell.

    A directory that does not exist yet is waited for. Without a terminal, or where `logdir` is a
    file or on another machine, a sentence goes to standard error and the status is 2.

    Args:
        logdir: a directory of logs, or several.
        pattern: only runs whose name matches it, such as "mnist/*".
        once: print one frame as text instead, of the size of the terminal or 120 × 40.
        light: colours for a light background, or for a dark one; by default the terminal is asked.
        ascii: draw with ASCII alone, as where the language is C.
        bell: ring, notify (OSC 9) and name the window when a run has a new error.
        reset: begin as if this directory had never been looked at.
    """
    import contextlib
    import importlib
    import os
    import sys

    from rich.console import Console

    from tbgrad.reading.places import place_of
    from tbgrad_tui.background import ANSWER_SECONDS, REMOTE_SECONDS, Question
    from tbgrad_tui.terminal import in_ascii, is_remote

    try:
        place = place_of(logdir)
        if once:
            place.check()
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    console = Console()
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if not on_terminal and not once:
        print(
            "tbgrad watch needs a terminal: use `tbgrad watch --once` for one frame, or `tbgrad "
            "report` for a report in plain text",
            file=sys.stderr,
        )
        return 2
    if on_terminal and not once and os.environ.get("TERM") == "dumb":
        print("this terminal (TERM=dumb) shows one frame only", file=sys.stderr)
        once = True
    ask = on_terminal and light is None and console.color_system is not None
    with Question.asked() if ask else contextlib.nullcontext(Question()) as question:
        importlib.import_module("tbgrad_tui.app")  # meanwhile
        needed = REMOTE_SECONDS if is_remote() else ANSWER_SECONDS
        question.look(needed if once else 0.0)
        from tbgrad_tui.chart.appearance import Appearance, colours_of

        system = colours_of(console.color_system)
        appearance = Appearance(question.light or bool(light), system, ascii or in_ascii())
        if once:
            from tbgrad_tui.screenshot import print_once

            if not console.is_terminal:
                console = Console(width=COLUMNS, height=ROWS)
            print_once(logdir, console, appearance, pattern)
            return 0
        from tbgrad_tui.app import WatchApp
        from tbgrad_tui.memory import forget, path_of

        memory = path_of(logdir)
        if reset:
            forget(memory)
        app = WatchApp(
            logdir, pattern=pattern, appearance=appearance, bell=bell, memory=memory,
            unanswered=question.unanswered,
        )  # fmt: skip
        app.run()
        return app.return_code or 0
