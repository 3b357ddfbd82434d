"""A log that most tests of the app look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tbgrad_tui.widgets.panel import Drawing

from tests.support.logs import write_run


@pytest.fixture(autouse=True)
def _universal_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pictures tell the time of day."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _no_panel_fails() -> Iterator[None]:
    """An error in a panel shows there, and ends no test by itself."""
    Drawing.faults.clear()
    yield
    assert [*Drawing.faults] == []


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """A run that trains well."""
    write_run(tmp_path / "a", steps=1000)
    return tmp_path
