"""Logs of `torch.utils.tensorboard` and tensorboardX: scalars in the older form, histograms, text.

tests/data/torch-2.13.0 was written by the SummaryWriter of PyTorch 2.13.0, which is too large to
install for a test: two steps of `add_scalar`, once in the newer form, `add_histogram` of 50 numbers
from -1 to 3 times the step, `add_text`, and `add_scalars`, which makes runs of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tbgrad.log.tags import Kind
from tbgrad.reading.directory import read
from tbgrad.reading.run import Run

TORCH = Path(__file__).parents[1] / "data" / "torch-2.13.0"
SAMPLE = np.linspace(-1, 3, 50)


def write_by_tensorboardx(directory: Path) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(directory)) as writer:
        for step in range(2):
            writer.add_scalar("loss/train", 1 / (step + 1), step)
            writer.add_scalar("accuracy", 0.25 * step, step)
            writer.add_scalar("broken", float("nan"), step)
            writer.add_histogram("weights", SAMPLE * (step + 1), step)
            writer.add_text("remark", f"step {step} ü", step)


@pytest.fixture(params=["torch", "tensorboardX"])
def run(request: Any, tmp_path: Path) -> Run:
    if request.param == "torch":
        return read(TORCH)["."]
    write_by_tensorboardx(tmp_path)
    return read(tmp_path)["."]


def test_scalars_and_text_are_read(run: Run) -> None:
    assert run.damage == ()
    assert run["loss/train"].steps.tolist() == [0, 1]
    assert run["loss/train"].values.tolist() == [1.0, 0.5]
    assert run["accuracy"].values.tolist() == [0.0, 0.25]
    assert np.isnan(run["broken"].values).all()
    assert run["remark/text_summary"].values.tolist() == ["step 0 ü", "step 1 ü"]


def test_histograms_hold_every_number_between_their_edges(run: Run) -> None:
    series = run["weights"]
    assert series.kind is Kind.HISTOGRAM
    for scale, buckets in zip((1, 2), series.values, strict=True):
        left, right, counts = buckets.T
        assert counts.sum() == len(SAMPLE)
        assert (left.min(), right.max()) == (-scale, 3 * scale)
        assert (right >= left).all()
        np.testing.assert_array_equal(left[1:], right[:-1])
        below = np.searchsorted(np.sort(SAMPLE * scale), right, side="right")
        # A number on an edge may be counted on either side of it.
        assert np.abs(np.cumsum(counts) - below).max() <= 1


def test_scalars_by_name_are_runs_of_their_own() -> None:
    runs = read(TORCH)
    assert set(runs) == {".", "both_a", "both_b"}
    assert runs["both_b"]["both"].values.tolist() == [2.0]
