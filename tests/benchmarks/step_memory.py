"""What memory a step takes beside the weights: bare, where it is logged, and where it is passed by.

    python -m tests.benchmarks.step_memory [--blocks 8] [--width 768] [--xla off on]

Every variant trains a transformer in a process of its own. Told is the most that the process holds
from the fourth step on, less what it holds between two steps, over the size of the weights; freed
memory is given back at once, so that it is not counted. On a processor XLA does as much at once as
it can, which takes memory that a graphics processor does not need: without that, as under
XLA_FLAGS=--xla_cpu_enable_concurrency_optimized_scheduler=false, it is as little as without XLA.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

VARIANTS = ("bare", "logged", "passed by")
FIRST, LAST = 3, 8
"""Steps behind which the memory is looked at; by then all is compiled."""


def transformer(blocks: int, width: int) -> Any:
    """A language model of 1,000 words."""
    import keras
    from keras import layers

    inputs = keras.Input((16,), dtype="int32")
    x = layers.Embedding(1000, width)(inputs)
    for _ in range(blocks):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(12, width // 12)(y, y)])
        y = layers.Dense(4 * width, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(width)(y)])
    return keras.Model(inputs, layers.Dense(1000)(layers.LayerNormalization()(x)))


def megabytes(field: str) -> float:
    """Of this process, as the system tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


def train(variant: str, blocks: int, width: int, xla: bool, directory: str) -> tuple[float, float]:
    """The megabytes that a step takes at most, and those of the weights."""
    import keras
    import numpy as np

    import tbgrad

    class Meter(keras.callbacks.Callback):
        """Begins to look behind the third step."""

        rests = 0.0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Keep what is held between two steps, and forget the peak so far."""
            if batch + 1 == FIRST:
                Path("/proc/self/clear_refs").write_text("5")
                self.rests = megabytes("VmRSS")

    keras.utils.set_random_seed(0)
    model, meter = transformer(blocks, width), Meter()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-4), loss, jit_compile=xla)
    every = {0: 1} if variant == "logged" else {0: 1_000_000}
    monitors = [] if variant == "bare" else [tbgrad.GradientMonitor(directory, every=every)]
    words = np.random.default_rng(0).integers(0, 1000, (2 * LAST, 16))
    model.fit(words, words, batch_size=2, verbose=0, callbacks=[*monitors, meter])
    weights = 4 * model.count_params() / 2**20
    return megabytes("VmHWM") - meter.rests, weights


def main() -> None:
    """Train each variant, and print the memory of its steps."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--xla", nargs="+", choices=("on", "off"), default=["off", "on"])
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        with tempfile.TemporaryDirectory() as directory:
            xla = options.xla == ["on"]
            print(*train(options.variant, options.blocks, options.width, xla, directory))
        return
    shape = ["--blocks", str(options.blocks), "--width", str(options.width)]
    for xla in options.xla:
        for variant in VARIANTS:
            command = [sys.executable, "-m", __spec__.name, "--variant", variant, "--xla", xla]
            environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
            done = subprocess.run(
                [*command, *shape], env=environment, capture_output=True, text=True, check=True
            )
            step, weights = map(float, done.stdout.split()[-2:])
            print(
                f"XLA {xla:4}{variant:10}  {step:6,.0f} MB a step, {step / weights:.2f} times the "
                f"weights ({weights:,.0f} MB)",
                flush=True,
            )


if __name__ == "__main__":
    main()
