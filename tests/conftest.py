"""What shares a process, and that in CI a skipped test is a failed run: what it proves was not."""

import os
import signal

import pytest

# A shell without job control starts what it puts in the background with SIGINT ignored, and every
# child inherits that: the tests that press Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The models of the tests are small: a second thread within an operation waits more than it works.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

_skipped: list[str] = []

TOGETHER = ("tests/plugin/",)
"""Directories whose modules share what is dear to begin: servers and their logs."""


@pytest.hookimpl(tryfirst=True)  # the plugin looks at the marks when it is its turn
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes test, a module stays in one: it shares models, logs and pages."""
    for item in items:
        path = item.nodeid.partition("::")[0]
        group = next((shared for shared in TOGETHER if path.startswith(shared)), path)
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped and os.environ.get("CI") == "true":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter) -> None:
    if _skipped and os.environ.get("CI") == "true":
        terminalreporter.write_line(f"skipped in CI, which counts as failed: {_skipped}", red=True)
