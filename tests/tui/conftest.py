"""A log that most tests of the app look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.logs import write_run


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """A run that trains well."""
    write_run(tmp_path / "a", steps=1000)
    return tmp_path
