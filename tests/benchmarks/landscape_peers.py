"""Seconds that tools for PyTorch take for a plane of the network of `landscape`.

    PYTHON -m tests.benchmarks.landscape_peers FILE.npz POINTS

Run by `tests.benchmarks.landscape --peers PYTHON`, an interpreter with `torch`, `loss-landscapes`
and `landscaper`: PyTorch and TensorFlow do not go together in one process. Prints "name seconds"
lines, and first the loss at the weights, which has to be that of the network in Keras.
"""

from __future__ import annotations

import sys
import time

import numpy as np


def main() -> None:
    import torch

    held, points = np.load(sys.argv[1]), int(sys.argv[2])
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(512, 10),
    )
    kernels = [held[f"w{i}"] for i in range(6)]
    # Flattened, the channels come first here, and last in Keras.
    kernels[4] = kernels[4].reshape(4, 4, 32, 10).transpose(2, 0, 1, 3).reshape(512, 10)
    for parameter, kernel in zip(net.parameters(), kernels, strict=True):
        order = (3, 2, 0, 1) if kernel.ndim == 4 else tuple(range(kernel.ndim))[::-1]
        parameter.data = torch.tensor(np.ascontiguousarray(kernel.transpose(order)))
    x = torch.tensor(np.ascontiguousarray(held["x"].transpose(0, 3, 1, 2)))
    y = torch.tensor(held["y"])
    criterion = torch.nn.CrossEntropyLoss()
    with torch.no_grad():
        print("loss", float(criterion(net(x), y)))

    def by_loss_landscapes() -> None:
        import loss_landscapes
        from loss_landscapes.metrics import Loss

        loss_landscapes.random_plane(
            net, Loss(criterion, x, y), 1, steps=points, normalization="filter", deepcopy_model=True
        )

    def by_landscaper() -> None:
        from landscaper import LossLandscape

        directions = [[torch.randn_like(p) for p in net.parameters()] for _ in range(2)]

        def loss(model, data):
            with torch.no_grad():
                return float(criterion(model(data[0]), data[1]))

        LossLandscape.compute(
            net, (x, y), directions, loss, steps=points, distance=1.0, dim=2, device="cpu"
        )

    for name, tool in (("loss-landscapes", by_loss_landscapes), ("landscaper", by_landscaper)):
        try:
            tool()
            begun = time.perf_counter()
            tool()
        except Exception as error:  # noqa: BLE001 - a peer that is not there is no failure of ours
            print(f"{name} failed: {error!r}", file=sys.stderr)
            continue
        print(name, time.perf_counter() - begun)


if __name__ == "__main__":
    main()
