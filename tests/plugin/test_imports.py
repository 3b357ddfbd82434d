"""Reading a log through the plugin needs neither TensorFlow nor the Plotly module."""

from __future__ import annotations

import subprocess
import sys
from importlib import util
from pathlib import Path

SCRIPT = """
import json, sys, time
from tests.plugin.conftest import Api, rust_provider

api = Api(rust_provider(sys.argv[1]))
deadline = time.monotonic() + 30
while not any(run["name"] == "good" for run in api.get("runs")["runs"]):
    assert time.monotonic() < deadline
    time.sleep(0.05)
while len(api.get("layers", run="good")["steps"]) < 100:
    assert time.monotonic() < deadline
    time.sleep(0.05)
assert api.get("plotly")["version"]
assert api.get("histogram", run="good", parameter="dense_0/kernel")["counts"]
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def test_reading_a_log_loads_no_tensorflow(logdir: Path) -> None:
    assert util.find_spec("tensorflow") is not None, "this test proves nothing without TensorFlow"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(logdir)],
        cwd=root, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    import json

    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "tbgrad" in loaded
    assert loaded.isdisjoint({"tensorflow", "keras", "plotly", "textual", "tbgrad_tui"})
