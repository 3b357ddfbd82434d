"""How long the first steps of a training take, where the training step is traced and compiled.

    python -m tests.benchmarks.start_up [--blocks 24] [--steps 128] [--rounds 3] [--xla on off]

Every variant trains a transformer in a process of its own, in turns; the clock runs from the call
of `fit` (or of the loop) until so many steps are done. The ratios are those of one round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

VARIANTS = ("bare", "monitor", "bare loop", "own loop")


def transformer(blocks: int) -> Any:
    """16 tensors a block, as in a language model, small enough for a processor."""
    import keras
    from keras import layers

    inputs = keras.Input((64,), dtype="int32")
    x = layers.Embedding(1000, 64)(inputs)
    for _ in range(blocks):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 16)(y, y)])
        y = layers.LayerNormalization()(x)
        y = layers.Dense(256, activation="gelu")(y)
        x = layers.Add()([x, layers.Dense(64)(y)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(10)(x))


def train(variant: str, blocks: int, steps: int, xla: bool, directory: str) -> float:
    """Seconds until the steps are done."""
    import keras
    import numpy as np
    import tensorflow as tf

    import tbgrad

    keras.utils.set_random_seed(0)
    model = transformer(blocks)
    optimizer = keras.optimizers.Adam(1e-3)
    loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 1000, (16, 64)).astype(np.int32)
    y = rng.integers(0, 10, 16).astype(np.int32)
    if variant in ("bare", "monitor"):
        model.compile(optimizer, loss_function, jit_compile=xla)
        data = tf.data.Dataset.from_tensors((x, y)).repeat()
        callbacks = [tbgrad.GradientMonitor(directory)] if variant == "monitor" else []
        begun = time.perf_counter()
        model.fit(data, steps_per_epoch=steps, verbose=0, callbacks=callbacks)
        return time.perf_counter() - begun
    optimizer.build(model.trainable_variables)
    begun = time.perf_counter()
    writer = None
    if variant == "own loop":
        writer = tbgrad.GradientSummaryWriter(
            directory, model.trainable_variables, optimizer=optimizer
        )

    @tf.function(jit_compile=xla)  # type: ignore[untyped-decorator]
    def train_step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_function(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        if writer is not None:
            writer.observe(gradients, loss=loss)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    for _ in range(steps):
        loss = train_step(x, y)
    float(loss)
    if writer is not None:
        writer.close()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--blocks", type=int, default=24)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--xla", nargs="+", choices=("on", "off"), default=["off", "on"])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--train", nargs=2, metavar=("VARIANT", "XLA"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train is not None:
        variant, xla = options.train
        with tempfile.TemporaryDirectory() as directory:
            print(train(variant, options.blocks, options.steps, xla == "on", directory))
        return
    for xla in options.xla:
        seconds: dict[str, list[float]] = {variant: [] for variant in options.variants}
        for _ in range(options.rounds):
            for variant in options.variants:
                seconds[variant].append(_apart(variant, xla, options.blocks, options.steps))
        print(f"XLA {xla}, {options.blocks} blocks, until {options.steps} steps are done:")
        for variant, found in seconds.items():
            bare = seconds.get("bare loop" if "loop" in variant else "bare", found)
            ratios = sorted(a / b for a, b in zip(found, bare, strict=True))
            print(
                f"  {variant:10} {statistics.median(found):6.1f} s, "
                f"{statistics.median(ratios):.2f} × bare ({ratios[0]:.2f} to {ratios[-1]:.2f})",
                flush=True,
            )


def _apart(variant: str, xla: str, blocks: int, steps: int) -> float:
    """The same in a process of its own."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-m", "tests.benchmarks.start_up", "--blocks", str(blocks)]
    command += ["--steps", str(steps), "--train", variant, xla]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=root
    )
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
