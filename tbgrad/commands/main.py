"""The `tbgrad` command. Each subcommand imports what it needs, so that `--help` is instant."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence

from tbgrad import __version__
from tbgrad.commands import demo, export, plot, report, watch
from tbgrad.commands.inputs import InputError

BAD_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

_EPILOG = """\
examples:
  tbgrad demo                      train on handwritten digits and watch
  tbgrad demo --list               the examples; tbgrad demo NAME runs one
  tbgrad watch runs                follow every run below runs/, also one that has yet to start
  tbgrad report runs               what every run came to, as text
  tbgrad report runs --json        the same for scripts
  tbgrad report gs://bucket/runs   a remote log; needs tbgrad[remote]
  tbgrad report runs --check       for job scripts: exit status 1 on an alert of severity error
  tbgrad export runs -o runs.csv   every number, for other programs
  tbgrad plot runs -o runs.pdf     loss and gradient norm of all runs, for a paper
  tensorboard --logdir runs        the same logs in the browser, tab "Gradients"

exit status:
  0    all went well
  1    report --check found an alert of severity error
  2    the arguments or the log directory cannot be used, or the output cannot be written; one
       sentence on standard error says why
  130  interrupted with Ctrl-C
  141  the reader of standard output went away
"""


_NOT_WRITTEN = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (default: those of the process); returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run_command
    try:
        status = run(options)
        sys.stdout.flush()
    except InputError as error:
        print(f"tbgrad: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes standard output once more at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        if error.filename is not None or error.errno not in _NOT_WRITTEN:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"tbgrad: the output cannot be written: {error.strerror}", file=sys.stderr)
        return BAD_INPUT
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tbgrad",
        description="See what the gradients and the curvature of a Keras model do while it trains.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tbgrad {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (watch, report, export, plot, demo):
        command.add(commands)
    return parser
