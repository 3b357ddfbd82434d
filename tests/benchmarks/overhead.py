"""What monitoring costs a training: step times side by side, every variant alive in one process.

    python -m tests.benchmarks.overhead [--models mlp cnn transformer] [--rounds 15]

Every variant is a `model.fit` of its own in a thread of its own; a baton goes round, so that one
runs at a time, for a block of steps of about a second. A round is one block of each variant in
random order, and a ratio is that of two blocks of the same round: wall-clock time, and processor
time of the whole process. "bare" is run twice: the second shows the noise. A block lasts less than
the two seconds between two drains, so that what a drain costs is counted double.

The table is written to tests/benchmarks/overhead.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

import tbgrad
from tests.benchmarks.models import MODELS

TABLE = Path(__file__).with_name("overhead.md")
BLOCK_SECONDS = 1.0


class Baton:
    """Lets one variant train at a time, for one block of steps."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._holder: str | None = None

    def run(self, name: str) -> None:
        """Give the baton away and wait until it comes back."""
        with self._turn:
            self._holder = name
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._holder is None)

    def wait(self, name: str) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._holder == name)

    def release(self) -> None:
        with self._turn:
            self._holder = None
            self._turn.notify_all()


@dataclass
class Variant:
    """One way to train: its callbacks, and what its blocks took."""

    name: str
    model: Any
    callbacks: list[Any]
    directory: Path | None = None
    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    steps: int = 0


class Pacer(keras.callbacks.Callback):
    """Holds the training between blocks. It overrides no `..._batch_end`: Keras stays async."""

    def __init__(self, variant: Variant, baton: Baton) -> None:
        super().__init__()
        self.variant, self.baton = variant, baton
        self.block, self.left, self.stop = 3, 0, False
        self._wall = self._processor = 0.0
        self._running = False

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.left == 0:
            self.end_block()
            self.baton.wait(self.variant.name)
            self.model.stop_training = self.stop
            self.left, self._running = self.block, True
            self._wall, self._processor = time.perf_counter(), time.process_time()
        self.left -= 1
        self.variant.steps += 1

    def on_train_end(self, logs: Any = None) -> None:
        self.end_block()

    def end_block(self) -> None:
        if not self._running:
            return
        int(self.model.optimizer.iterations.numpy())  # waits for the last step
        self.variant.wall.append(time.perf_counter() - self._wall)
        self.variant.processor.append(time.process_time() - self._processor)
        self._running = False
        self.baton.release()


class ByHand(keras.Model):  # type: ignore[misc]
    """What people write today: a scalar and a histogram of every gradient in `train_step`."""

    def log_to(self, directory: Path, every: int) -> None:
        self.summaries, self.every = tf.summary.create_file_writer(str(directory)), every

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        step = tf.cast(self.optimizer.iterations, tf.int64)
        with self.summaries.as_default(), tf.summary.record_if(step % self.every == 0):
            tf.summary.scalar("loss", loss, step)
            tf.summary.scalar("gradient/norm", tf.linalg.global_norm(gradients), step)
            for variable, gradient in zip(self.trainable_variables, gradients, strict=True):
                mean, variance = tf.nn.moments(gradient, list(range(len(gradient.shape))))
                for name, value in (
                    ("norm", tf.norm(gradient)),
                    ("mean", mean),
                    ("std", tf.sqrt(variance)),
                    ("abs_max", tf.reduce_max(tf.abs(gradient))),
                    ("zero_fraction", tf.nn.zero_fraction(gradient)),
                    ("weight_norm", tf.norm(variable)),
                ):
                    tf.summary.scalar(f"{variable.path}/{name}", value, step)
                tf.summary.histogram(f"gradients/{variable.path}", gradient, step)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


class OwnLoop(keras.Model):  # type: ignore[misc]
    """A loop of one's own, with the writer in its training step."""

    def log_to(self, directory: Path) -> None:
        self.writer = tbgrad.GradientSummaryWriter(
            directory, self.trainable_variables, optimizer=self.optimizer
        )

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.writer.observe(gradients, loss=loss)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


def variants(build: Callable[[type], Any], xla: bool, scratch: Path) -> list[Variant]:
    """All ways to train one model; each gets the same model."""

    def compiled(kind: type = keras.Model) -> Any:
        keras.utils.set_random_seed(1)
        model = build(kind)
        model.compile(
            keras.optimizers.Adam(1e-3),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=xla,
        )
        return model

    def monitored(name: str, **settings: Any) -> Variant:
        directory = scratch / name.replace(" ", "-")
        monitor = tbgrad.GradientMonitor(directory, **settings)
        return Variant(name, compiled(), [monitor], directory)

    found = [
        Variant("bare", compiled(), []),
        Variant("bare again", compiled(), []),
        monitored("tbgrad, defaults"),
        monitored("tbgrad, all at every step", every=1, histograms_every=1),
    ]
    own, directory = compiled(OwnLoop), scratch / "own-loop"
    own.log_to(directory)
    found.append(Variant("tbgrad, own loop, every 10", own, [], directory))
    tensorboard = keras.callbacks.TensorBoard(scratch / "tensorboard", update_freq=10)
    found.append(Variant("Keras TensorBoard callback", compiled(), [tensorboard]))
    if not xla:  # tf.summary cannot be compiled by XLA
        for name, every in (("by hand, every 10", 10), ("by hand, every step", 1)):
            model, directory = compiled(ByHand), scratch / name.replace(" ", "-")
            model.log_to(directory, every)
            found.append(Variant(name, model, [], directory))
    return found


def measure(found: list[Variant], data: Any, rounds: int) -> None:
    """Fill in the times of every variant, `rounds` blocks each."""
    baton = Baton()
    pacers = [Pacer(variant, baton) for variant in found]

    def train(variant: Variant, pacer: Pacer) -> None:
        variant.model.fit(
            data, steps_per_epoch=10**9, verbose=0, callbacks=[*variant.callbacks, pacer]
        )

    threads = [
        threading.Thread(target=train, args=pair, daemon=True)
        for pair in zip(found, pacers, strict=True)
    ]
    for thread in threads:
        thread.start()
    # The first block compiles, in the second the monitor finds its cadence, the third is timed.
    for block in (3, 150, 20):
        for pacer in pacers:
            pacer.block = block
            baton.run(pacer.variant.name)
    step_seconds = statistics.median(bare.wall[-1] for bare in found[:2]) / 20
    for pacer in pacers:
        pacer.block = max(5, round(BLOCK_SECONDS / step_seconds / 10) * 10)
        pacer.variant.wall.clear()
        pacer.variant.processor.clear()
    order = random.Random(0)
    for _ in range(rounds):
        for pacer in order.sample(pacers, len(pacers)):
            baton.run(pacer.variant.name)
    block = pacers[0].block
    for pacer, thread in zip(pacers, threads, strict=True):
        pacer.stop = True
        pacer.block = 1
        baton.run(pacer.variant.name)
        thread.join()
    for variant in found:
        variant.wall = [seconds / block for seconds in variant.wall[:rounds]]
        variant.processor = [seconds / block for seconds in variant.processor[:rounds]]


def ratios(variant: Variant, bare: Variant, kind: str) -> str:
    """Median and range of the ratios, round by round."""
    found = [a / b for a, b in zip(getattr(variant, kind), getattr(bare, kind), strict=True)]
    return f"{statistics.median(found):.3f} ({min(found):.2f}–{max(found):.2f})"


def log_bytes(variant: Variant) -> str:
    """Bytes on disk for each logged step."""
    if variant.directory is None:
        return ""
    size = sum(p.stat().st_size for p in variant.directory.rglob("*") if p.is_file())
    logged = max(len(series) for series in tbgrad.read(variant.directory)["."].values())
    return f"{size / logged:,.0f}"


def device_memory(variant: Variant) -> str:
    """Bytes of the monitor's variables: the ring buffer, and what comes on top of it."""
    monitor = variant.callbacks[0] if variant.callbacks else None
    if not isinstance(monitor, tbgrad.GradientMonitor):
        return ""
    graph = monitor._session._attachment.tap._graph
    ring, *rest = (
        sum(
            int(np.prod(value.shape)) * value.dtype.size
            for value in vars(owner).values()
            if isinstance(value, tf.Variable)
        )
        for owner in (graph.ring, graph.steps, graph)
    )
    return f"{ring / 1024:,.0f} + {sum(rest) / 1024:,.1f}"


def table_of(title: str, found: list[Variant]) -> list[str]:
    """One Markdown table."""
    bare = found[0]
    rows = [
        f"### {title}",
        "",
        f"A bare step takes {1e3 * statistics.median(bare.wall):.2f} ms; "
        f"{len(bare.model.trainable_variables)} parameter tensors, "
        f"{bare.model.count_params():,} weights; {len(bare.wall)} rounds.",
        "",
        "| | wall time × bare | processor time × bare | bytes a logged step | device KiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for variant in found[1:]:
        session = getattr(variant.callbacks[0], "_session", None) if variant.callbacks else None
        every = getattr(session, "_found", None)
        cells = [
            variant.name if every is None else f"{variant.name} (found: every {every})",
            ratios(variant, bare, "wall"),
            ratios(variant, bare, "processor"),
            log_bytes(variant),
            device_memory(variant),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return [*rows, ""]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--xla", choices=["both", "on", "off"], default="both")
    parser.add_argument("--output", type=Path, default=TABLE)
    options = parser.parse_args()
    lines = [
        f"Measured with `python -m tests.benchmarks.overhead` on {os.cpu_count()} cores "
        f"({platform.machine()}), TensorFlow {tf.__version__}, Keras {keras.__version__}. Each "
        "figure is the median (lowest–highest) of ratios of blocks measured in turns. By hand: a "
        "scalar for each of six statistics and a histogram of every gradient with tf.summary.",
        "",
    ]
    for name in options.models:
        build, data = MODELS[name]
        for xla in {"both": (False, True), "on": (True,), "off": (False,)}[options.xla]:
            with tempfile.TemporaryDirectory() as scratch:
                found = variants(build, xla, Path(scratch))
                measure(found, data(), options.rounds)
                table = table_of(f"{name}, {'with' if xla else 'without'} XLA", found)
            print("\n".join(table), flush=True)
            lines += table
    options.output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
