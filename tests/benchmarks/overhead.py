"""What monitoring costs a training: step times side by side, every variant alive in one process.

    python -m tests.benchmarks.overhead [--models MLP CNN transformer] [--rounds 150]

Every variant is a `model.fit` of its own in a thread of its own; a baton goes round, so that one
runs at a time, for a block of steps of about a tenth of a second: a machine's speed changes more
slowly. A round is one block of each variant in random order. A ratio is that of the times of all
blocks, wall-clock time and processor time of the whole process, with the 95 % interval that drawing
rounds anew gives. "bare" is run twice: the second shows the noise. The clock by which a monitor
drains runs while its own training does; the thread of an own loop goes by that on the wall, so that
its drains are counted as often as there are variants.

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

import tbgrad
from tbgrad.keras import fit_session
from tests.benchmarks.models import MODELS
from tests.benchmarks.turns import Baton, Pacer, TrainingClock, Variant

TABLE = Path(__file__).with_name("overhead.md")
BLOCK_SECONDS = 0.1


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
    baton, clock = Baton(), TrainingClock()
    fit_session.time = clock
    pacers = [Pacer(variant, baton) for variant in found]

    def train(variant: Variant, pacer: Pacer) -> None:
        clock.belongs_to(pacer)
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
        pacer.block = max(5, round(BLOCK_SECONDS / step_seconds))
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
        if isinstance(pacer.variant.model, OwnLoop):
            pacer.variant.model.writer.close()
    for variant in found:
        variant.wall = [seconds / block for seconds in variant.wall[:rounds]]
        variant.processor = [seconds / block for seconds in variant.processor[:rounds]]


def ratios(variant: Variant, bare: Variant, kind: str) -> str:
    """The ratio of all times, and its interval of 95 %."""
    own, other = (np.array(getattr(each, kind)) for each in (variant, bare))
    drawn = np.random.default_rng(0).integers(0, len(own), (2000, len(own)))
    low, high = np.quantile(own[drawn].sum(axis=1) / other[drawn].sum(axis=1), (0.025, 0.975))
    return f"{own.sum() / other.sum():.3f} ({low:.2f}–{high:.2f})"


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
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--xla", choices=["both", "on", "off"], default="both")
    parser.add_argument("--output", type=Path, default=TABLE)
    options = parser.parse_args()
    lines = [
        f"Measured with `python -m tests.benchmarks.overhead` on {os.cpu_count()} cores "
        f"({platform.machine()}), TensorFlow {tf.__version__}, Keras {keras.__version__}. Each "
        "figure is the ratio of the times of all blocks, measured in turns, with its 95 % "
        "interval. By hand: a scalar for each of six statistics and a histogram of every gradient "
        "with tf.summary.",
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
