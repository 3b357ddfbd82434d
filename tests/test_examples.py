"""Every example runs as it stands and leaves a log that reads back."""

import http.server
import json
import os
import runpy
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tbgrad

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(set(FOLDER.glob("*.py")) - {FOLDER / "webhook.py"})


def run_here(example, logdir, monkeypatch):
    """As the interpreter runs it, but for the time that TensorFlow takes to load."""
    monkeypatch.setattr(sys, "argv", [str(example), str(logdir)])
    runpy.run_path(str(example), run_name="__main__")


@pytest.mark.tensorflow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example, tmp_path, monkeypatch):
    run_here(example, tmp_path, monkeypatch)
    run = tbgrad.read(tmp_path)["."]
    assert run.damage == ()
    notes = run["tbgrad/notes"].values if "tbgrad/notes" in run else []
    # How many estimates a share of the time allows depends on the machine.
    assert [note for note in notes if "they come less often than every" not in note] == []
    assert run.last_step > 100
    assert run["loss"].values[-1] < 0.5 * run["loss"].values[0]
    assert np.isfinite(run.statistic("norm")).all()


@pytest.mark.tensorflow
def test_the_webhook_gets_the_alerts(tmp_path, monkeypatch, capsys):
    """In a process of its own, as users start it; without an address it prints them."""
    posted = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [sys.executable, FOLDER / "webhook.py", tmp_path]
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
        address = f"http://127.0.0.1:{server.server_port}/"
        subprocess.run([*command, address], check=True, env=environment, capture_output=True)
        server.shutdown()
    texts = [each["text"] for each in posted]
    assert any(text.startswith("warning: update_too_large open") for text in texts)
    assert any("lower learning_rate from" in text for text in texts)
    run_here(FOLDER / "webhook.py", tmp_path / "printed", monkeypatch)
    assert "update_too_large open" in capsys.readouterr().out
