"""What the app looks like, cell by cell. After a wanted change: pytest … --snapshot-update."""

import numpy as np
import pytest

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import Alert
from tbgrad.log.share import Share
from tbgrad.log.tags import GRADIENT_NORM, LOSS, STABILITY
from tests.support.language_model import SILENT, estimate, manifest, write_language_model
from tests.support.logs import EPOCH, spectral_density, write_run
from tests.tui.support import SIZES, app_on, loaded, shown, until


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_a_run_that_trains(size, tmp_path, snap_compare):
    write_run(tmp_path / "sgd-0.05")
    assert snap_compare(app_on(tmp_path), terminal_size=size, run_before=loaded)


SCREENS = {"run": "", "layers": "5", "curvature": "4", "distributions": "9", "alerts": "a"}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A language model with its curvature, its histograms and alerts that follow from another."""
    logdir = tmp_path_factory.mktemp("everything")
    directory = logdir / "lm"
    write_language_model(directory)
    alerts = [
        Alert(rule, "error", (SILENT,) if rule != "loss_diverging" else (), first, last, state,
              "what was measured", ("the cause",), f"what to change about {rule}")
        for rule, first, last, state in (
            ("gradient_spike", 120, 120, "closed"),
            ("loss_diverging", 121, 400, "open"),
            ("nonfinite", 130, 140, "closed"),
        )
    ]  # fmt: skip
    bins = manifest().histogram_bins
    rng = np.random.default_rng(1)
    with EventFileWriter(directory) as writer:
        for step in range(401, 422, 5):
            counts = np.zeros((297, bins.columns), np.int32)
            sizes = np.abs(rng.standard_normal((297, 200))) * 10 ** rng.uniform(-4, -2, (297, 1))
            for row, values in enumerate(sizes * rng.choice([-1, 1], sizes.shape)):
                np.add.at(counts[row], np.searchsorted(bins.bounds[:, 1], values, "right"), 1)
            below = Share.between(0.3, 0.36)
            found = estimate(3e4 * (step - 400) ** 0.5, trace=900.0 + step, trace_error=40.0,
                             negative_fraction=below)  # fmt: skip
            density = encode.density(*spectral_density(410.0))
            values = [encode.histograms(counts), encode.curvature(found), density]
            values.append(encode.scalar(STABILITY, found.stability))
            writer.add(step, values, EPOCH + step * 0.5)
        writer.add(421, [encode.alerts(alerts)], EPOCH + 211)
    return logdir


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("keys", SCREENS.values(), ids=SCREENS)
def test_every_screen_of_a_run(keys, size, everything, snap_compare):
    async def ready(pilot):
        await loaded(pilot)
        await until(pilot, lambda: "alert" in shown(pilot.app))
        await pilot.press(*keys)

    app = app_on(everything, EPOCH + 213)
    assert snap_compare(app, terminal_size=size, run_before=ready)


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
