"""Every example runs as it stands and leaves a log that reads back."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tbgrad

EXAMPLES = sorted(Path(__file__).parents[1].joinpath("examples").glob("*.py"))


@pytest.mark.tensorflow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example, tmp_path):
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    subprocess.run(
        [sys.executable, example, tmp_path], check=True, env=environment, capture_output=True
    )
    run = tbgrad.read(tmp_path)["."]
    assert run.damage == ()
    assert "tbgrad/notes" not in run
    assert run.last_step > 100
    assert run["loss"].values[-1] < 0.5 * run["loss"].values[0]
    assert np.isfinite(run.statistic("norm")).all()
