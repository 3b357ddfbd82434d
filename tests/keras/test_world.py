"""Trainings that cannot be watched: each gets one sentence that names what was found and works."""

from __future__ import annotations

import subprocess
import sys
import types

import keras
import pytest

import tbgrad
from tbgrad.keras.supported import check_installed

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("tensorflow", "there is no module tensorflow: pip install 'tbgrad[tensorflow]'"),
        ("jax", "Keras is to run on jax, which needs jax: set KERAS_BACKEND=tensorflow"),
    ],
)
def test_what_is_not_installed_is_named(missing, words, monkeypatch):
    """In an interpreter that has no such module; the sentence is all there is to read."""
    program = f"import sys; sys.modules[{missing!r}] = None\nimport tbgrad\ntbgrad.GradientMonitor"
    monkeypatch.setenv("KERAS_BACKEND", "jax" if missing == "jax" else "tensorflow")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert words in last
    assert "Reading logs needs none of it." in last


@pytest.mark.parametrize(
    ("version", "backend", "words"),
    [
        ("3.15.0", "torch", "Keras is to run on torch, which it cannot look into"),
        ("2.15.0", "tensorflow", "this is Keras 2.15.0: pip install 'keras>=3'"),
    ],
)
def test_another_keras_is_named(version, backend, words, monkeypatch):
    other = types.ModuleType("keras")
    other.__version__ = version
    other.backend = types.SimpleNamespace(backend=lambda: backend)
    monkeypatch.setitem(sys.modules, "keras", other)
    with pytest.raises(ImportError) as raised:
        check_installed()
    assert words in str(raised.value)


def test_a_model_of_keras_2_trains_on_unwatched(tmp_path, caplog):
    """Its list of callbacks asks for more than one of Keras 3 has."""
    model = type("Sequential", (), {"__module__": "tf_keras.src.engine"})()
    monitor = tbgrad.GradientMonitor(tmp_path / "r")
    assert monitor._implements_train_batch_hooks() is False
    monitor.set_params({"epochs": 1})
    monitor.set_model(model)
    monitor.on_train_begin({})
    monitor.on_epoch_begin(0, {})
    monitor.on_train_batch_begin(0, {})
    monitor.on_epoch_end(0, {})
    monitor.on_train_end({})
    (record,) = caplog.records
    assert "this model is of tf_keras, Sequential" in record.getMessage()
    assert "make it with `import keras`" in record.getMessage()
    assert not (tmp_path / "r").exists()


def test_an_optimizer_that_is_none_is_refused(tmp_path):
    variables = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).trainable_variables
    other = type("SGD", (), {"__module__": "tf_keras.src.optimizers"})()
    with pytest.raises(TypeError, match="this optimizer is of tf_keras, SGD"):
        tbgrad.GradientSummaryWriter(tmp_path, variables, optimizer=other)
    with pytest.raises(TypeError, match="this optimizer is of builtins, str"):
        tbgrad.GradientMonitor(tmp_path, optimizer="adam")
    with pytest.raises(TypeError, match=r'this optimizer is a dict: .* with group="…"'):
        tbgrad.GradientSummaryWriter(tmp_path, variables, optimizer={"generator": other})
