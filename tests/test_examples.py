"""Every example runs, at a small size, and leaves logs that read back; the lists name them all."""

import ast
import http.server
import json
import os
import re
import runpy
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tbgrad
from tbgrad.commands.examples import examples, title
from tbgrad.commands.main import main

FOLDER = Path(__file__).parents[1] / "examples"
PUBLIC_MODULES = {"tbgrad", "tbgrad.analysis", "tbgrad.hessian"}


def load(name):
    """What the file of an example defines, once for all tests of it."""
    return runpy.run_path(str(FOLDER / f"{name}.py"), run_name=name)


def logged(logdir):
    """The runs that an example left, each whole and finite in all its norms."""
    runs = tbgrad.read(logdir)
    for run in runs.values():
        assert run.damage == ()
        assert run.state.status == "finished"
        notes = run["tbgrad/notes"].values if "tbgrad/notes" in run else []
        # How many estimates a share of the time allows depends on the machine.
        assert [note for note in notes if "they come less often than every" not in note] == []
        assert np.isfinite(run.statistic("norm")).all()
    return runs


def falls(run):
    """The loss of the last steps over that of the first."""
    values = run["loss"].values
    return np.mean(values[-5:]) / np.mean(values[:5])


def alerts(run):
    """Names of the rules that spoke."""
    return {alert.rule for alert in run.alerts}


# Of each example: what is smaller than usual, and the runs that it leaves.
SMALL = {
    "cnn": ({"epochs": 2}, {"."}),
    "custom_loop": ({"epochs": 5}, {"."}),
    "fit": ({"epochs": 3}, {"."}),
    "gan": ({"epochs": 3}, {"generator", "discriminator"}),
    "transformer": ({"epochs": 2, "length": 4, "blocks": 1}, {"."}),
    "vae": ({"epochs": 4, "weights": (1,)}, {"beta-1"}),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", SMALL)
def test_a_training_goes_well(name, tmp_path):
    sizes, names = SMALL[name]
    load(name)["main"](tmp_path, **sizes)
    runs = logged(tmp_path)
    assert set(runs) == names
    for run in runs.values():
        assert run.last_step > 60
        if name != "gan":  # a loss against a rival need not fall
            assert falls(run) < 0.7


@pytest.mark.tensorflow
def test_depth_takes_the_gradient_from_the_first_layers(tmp_path):
    program = load("depth")
    grid = (
        {"depth": 6, "activation": "sigmoid", "initializer": "glorot"},
        {"depth": 6, "activation": "relu", "initializer": "small", "skip": True},
    )
    program["main"](tmp_path, epochs=1, grid=grid)
    runs = logged(tmp_path)
    assert set(runs) == {"6-sigmoid-glorot", "6-relu-small-skip"}
    assert runs["6-relu-small-skip"].state.hparams["skip"] is True
    share = {
        name: run.norm("hidden_0/kernel").values[0] / run.norm("hidden_5/kernel").values[0]
        for name, run in runs.items()
    }
    assert share["6-sigmoid-glorot"] < 1e-2
    assert 0.1 < share["6-relu-small-skip"] < 10
    assert runs["6-relu-small-skip"].norm("hidden_0/kernel").values[0] > 0.1
    assert "vanishing_gradient" in alerts(runs["6-sigmoid-glorot"])
    assert "vanishing_gradient" not in alerts(runs["6-relu-small-skip"])


@pytest.mark.tensorflow
def test_clipping_leaves_of_a_gradient_what_the_docstring_says(tmp_path):
    load("clipping")["main"](tmp_path, epochs=2, clips=(0.01,))
    runs = logged(tmp_path)
    assert set(runs) == {"clipped-at-0.01"}
    run = runs["clipped-at-0.01"]
    factor, norm = run["gradient/clip_factor"], run["gradient/norm"]
    norms = dict(zip(norm.steps, norm.values, strict=True))
    for step, value in zip(factor.steps, factor.values, strict=True):
        assert value == pytest.approx(min(1.0, 0.01 / norms[step]), rel=5e-3)
    assert alerts(run) == {"clipping_always"}


@pytest.mark.tensorflow
def test_early_stopping_stops_where_the_gradient_is_small(tmp_path, capsys):
    load("early_stopping")["main"](tmp_path, threshold=0.1, patience=50)
    run = logged(tmp_path)["."]
    assert "stopped at step" in capsys.readouterr().out
    assert 50 <= run.last_step < 30_000
    assert (run["gradient/norm"].values[-50:] < 0.1).all()


@pytest.mark.tensorflow
def test_a_forget_gate_that_remembers_lets_the_gradient_through(tmp_path):
    load("lstm")["main"](tmp_path, epochs=1, length=20, biases=(0, 3))
    runs = logged(tmp_path)
    first = {name: run["gradient/norm"].values[:10].mean() for name, run in runs.items()}
    assert first["forget-bias-3"] > 3 * first["forget-bias-0"]


@pytest.mark.tensorflow
def test_optimizers_take_the_rates_that_the_alert_suggests(tmp_path, capsys):
    load("optimizers")["main"](tmp_path, epochs=1, runs=("batch",))
    runs = logged(tmp_path)
    assert set(runs) == {"batch", "layers-one-rate", "layers-own-rates"}
    one, own = runs["layers-one-rate"], runs["layers-own-rates"]
    assert alerts(one) >= {"layer_rate_mismatch"}
    assert "layer_rate_mismatch" not in alerts(own)
    factor = float(re.search(r"hidden_1/kernel: learning rate × (\d+)", capsys.readouterr().out)[1])
    assert factor > 100
    # The first step has the same gradient in both, and the update goes with the rate.
    updates = [run.statistic("update_norm")[0, 0] for run in (one, own)]
    assert updates[1] / updates[0] == pytest.approx(factor, rel=0.01)


@pytest.mark.tensorflow
def test_trajectories_are_drawn_from_the_log(tmp_path, capsys):
    load("trajectories")["main"](tmp_path, epochs=2, trainings=2, points=5)
    runs = logged(tmp_path)
    found = tbgrad.analysis.trajectories(runs)
    assert list(found.runs) == ["seed0", "seed1"]
    assert found.layers == ("hidden", "out")
    assert not found.alike
    plane = runs["seed0"].analyses["plane of the path"]
    line = runs["seed0"].analyses["line to seed1"]
    assert plane.path[-1].step == runs["seed0"].last_step
    assert plane.path[-1].place == pytest.approx((0, 0), abs=1e-6)  # it ended at the weights
    assert plane.centre_loss == pytest.approx(line.centre_loss, rel=1e-5)
    assert f"barrier from seed0 to seed1: {line.barrier:.3g}" in capsys.readouterr().out


@pytest.mark.tensorflow
def test_the_smallest_gradients_are_printed(tmp_path, capsys):
    load("gradient_norm")["main"](tmp_path, epochs=1, products=30)
    runs = logged(tmp_path)
    assert runs["digits"].manifest.parameters[0].shape == (64, 149)
    smallest = runs["function"].smallest("gradient/norm")[0]
    printed = capsys.readouterr().out
    assert f"function: norm {smallest.value:.3g} at step {smallest.step}" in printed
    check = runs["digits"].analyses["gradient check"]
    (point,) = runs["function"].analyses["critical points"]
    assert check.samples == 1797
    assert point.size == 1086
    assert point.gradient_norm < point.norms[0]


@pytest.mark.tensorflow
def test_minimum_ratios_of_a_small_network(tmp_path):
    load("minimum_ratio")["main"](tmp_path, trainings=2, width=3, steps=60, products=50)
    table = np.genfromtxt(tmp_path / "minimum_ratio.csv", delimiter=",", names=True)
    points = tbgrad.read(tmp_path)["."].analyses["critical points"]
    assert [point.size for point in points] == [22, 22]
    np.testing.assert_allclose(table["loss"], [point.loss for point in points], rtol=1e-5)
    assert (table["minimum_ratio"] > 0).all()
    assert (table["minimum_ratio"] <= 1).all()


@pytest.mark.tensorflow
def test_the_webhook_gets_the_alerts(tmp_path):
    """In a process of its own, as users start it."""
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


def test_the_lists_name_every_example(capsys):
    assert main(["demo", "--list"]) == 0
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    files = {path.stem for path in FOLDER.glob("*.py")}
    assert set(listed) == set(examples()) == files
    table = (FOLDER / "README.md").read_text()
    rows = dict(re.findall(r"^\| \[(\w+)\]\(\1\.py\) \| (.+) \|$", table, re.MULTILINE))
    assert rows == listed


@pytest.mark.parametrize("name", examples())
def test_an_example_says_what_it_shows_and_uses_public_names_alone(name):
    program = examples()[name].read_text()
    assert 0 < len(title(examples()[name])) <= 100
    tree = ast.parse(program)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module.partition(".")[0] != "tbgrad" or node.module in PUBLIC_MODULES
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "tbgrad":
            assert node.attr in tbgrad.__all__
