"""PyHessian and curvlinops on the nets of `hessian_truth`, where PyTorch and they are installed.

Not declared anywhere: `pip install torch pyhessian curvlinops-for-pytorch` beside tbgrad. They run
in a process of their own: PyTorch and TensorFlow do not go together in one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

Answer = tuple[str, float, float, str]


def answers(case: Any) -> list[Answer]:
    """What, value, truth and products, of each tool; nothing of nets that are not translated."""
    if not all(map(find_spec, ("torch", "pyhessian", "curvlinops"))):
        return []
    layers = []
    for layer in case.model.layers:
        name = getattr(getattr(layer, "activation", None), "__name__", "linear")
        layers.append((type(layer).__name__, name, len(layer.get_weights())))
    if {kind for kind, *_ in layers} - {"Dense", "LayerNormalization", "InputLayer"}:
        return []
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "net.npz"
        weights = {f"w{i}": w for i, w in enumerate(case.model.get_weights())}
        true = np.array([case.true[-1], case.true[0], case.true.sum()])
        np.savez(file, x=case.x, y=case.y, true=true, layers=json.dumps(layers), **weights)
        command = [sys.executable, "-m", "tests.benchmarks.hessian_peers", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [tuple(row) for row in json.loads(done.stdout.splitlines()[-1])]


def main(file: str) -> None:
    import torch

    net = np.load(file)
    classes = net["y"].ndim == 1
    x = torch.from_numpy(net["x"].astype(np.float32))
    y = torch.from_numpy(net["y"].astype(np.int64 if classes else np.float32))
    loss = torch.nn.CrossEntropyLoss() if classes else torch.nn.MSELoss()
    module, true = _translated(net), net["true"].tolist()
    found = [*_pyhessian(module, loss, x, y, true), *_curvlinops(module, loss, x, y, true)]
    print(json.dumps(found))


def _translated(net: Any) -> Any:
    """The same net with the same weights in PyTorch: dense layers and layer normalisation."""
    import torch

    activations = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
    parts: list[Any] = []
    read = 0
    for kind, activation, count in json.loads(str(net["layers"])):
        weights = [torch.from_numpy(net[f"w{i}"]) for i in range(read, read + count)]
        read += count
        if kind == "Dense":
            parts.append(torch.nn.Linear(*weights[0].shape))
            parts[-1].weight.data, parts[-1].bias.data = weights[0].T.contiguous(), weights[1]
        elif kind == "LayerNormalization":
            parts.append(torch.nn.LayerNorm(len(weights[0]), eps=1e-3))
            parts[-1].weight.data, parts[-1].bias.data = weights
        if activation in activations:
            parts.append(activations[activation]())
    return torch.nn.Sequential(*parts)


def _pyhessian(module: Any, loss: Any, x: Any, y: Any, true: Any) -> Iterator[Answer]:
    import pyhessian

    found = pyhessian.hessian(module, loss, data=(x, y), cuda=False)
    values, _ = found.eigenvalues()
    yield "λmax, PyHessian", values[0], true[0], "up to 100"
    samples = found.trace()
    yield "trace, PyHessian", float(np.mean(samples)), true[2], str(len(samples))


def _curvlinops(module: Any, loss: Any, x: Any, y: Any, true: Any) -> Iterator[Answer]:
    import curvlinops

    operator = curvlinops.HessianLinearOperator(module, loss, list(module.parameters()), [(x, y)])
    counted, spent = operator.to_scipy(), [0]

    def product(vector: Any) -> Any:
        spent[0] += 1
        return counted @ np.ravel(vector).astype(np.float32)

    scipy = LinearOperator(counted.shape, matvec=product, dtype=np.float32)
    for name, which, exact in (("λmax", "LA", true[0]), ("λmin", "SA", true[1])):
        spent[0] = 0
        value = eigsh(scipy, k=1, which=which, tol=1e-2, return_eigenvectors=False)[0]
        yield f"{name}, curvlinops with eigsh", float(value), exact, str(spent[0])
    for name, function in (("Hutch++", "hutchpp_trace"), ("XTrace", "xtrace")):
        value = float(getattr(curvlinops, function)(operator, num_matvecs=30))
        yield f"trace, curvlinops {name}", value, true[2], "30"


if __name__ == "__main__":
    main(sys.argv[1])
