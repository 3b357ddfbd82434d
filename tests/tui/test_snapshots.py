"""What the app looks like, cell by cell. After a wanted change: pytest … --snapshot-update."""

import pytest

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.tags import GRADIENT_NORM, LOSS
from tests.support.logs import EPOCH, write_run
from tests.tui.support import app_on, loaded


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_a_run_that_trains(size, tmp_path, snap_compare):
    write_run(tmp_path / "sgd-0.05")
    assert snap_compare(app_on(tmp_path), terminal_size=size, run_before=loaded)


def test_one_panel_alone(tmp_path, snap_compare):
    write_run(tmp_path / "sgd-0.05")
    keys = ["down", "tab", "enter"]
    assert snap_compare(app_on(tmp_path), terminal_size=(100, 30), run_before=loaded, press=keys)


def test_a_norm_that_is_not_finite(tmp_path, snap_compare):
    with EventFileWriter(tmp_path / "diverged") as writer:
        for step, value in enumerate((1.0, 3.0, 80.0, float("inf"), float("nan"))):
            tags = (LOSS, GRADIENT_NORM)
            writer.add(step, [encode.scalar(tag, value) for tag in tags], EPOCH + step)
    assert snap_compare(app_on(tmp_path), terminal_size=(100, 30), run_before=loaded)
