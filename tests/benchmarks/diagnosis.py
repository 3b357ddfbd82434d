"""What the rules cost a logged step, and every step.

    python -m tests.benchmarks.diagnosis [--steps 2000]

Time of `Diagnosis.update` for a record of 200 parameters, beside that of decoding the same record,
in turns; once with nothing to tell, once with alerts of seven rules open. Then processor time of
`Diagnosis.add_steps` a step, over trainings of 1,000 and of 16,000 steps that are drained in
stretches of 1, 16 and 800 steps: with no alert open, with alerts of three rules that last, and with
one of them that comes and goes from step to step.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from rich.console import Console

from tbgrad.diagnosis import Diagnosis, Record
from tbgrad.log import encode
from tbgrad.log.decode import decode
from tbgrad.log.records import STATISTICS, Manifest
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, LEARNING_RATE, LOSS
from tests.support.logs import manifest

ROUNDS = 9
STRETCHES = (1, 16, 800)
TRAININGS = (1_000, 16_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=2000)
    steps = parser.parse_args().steps
    described = manifest(100)
    time_records(described, steps)
    time_steps(described)


def time_records(described: Manifest, steps: int) -> None:
    """Print what a logged step costs."""
    healthy = np.zeros((200, len(STATISTICS)), np.float32)
    usual = {"norm": 1, "norm_max": 1, "weight_norm": 4, "update_norm": 4e-3, "cosine": 0.4}
    for name, number in usual.items():
        healthy[:, STATISTICS.index(name)] = number
    faulty = healthy.copy()
    faulty[:50, STATISTICS.index("norm")] = np.nan
    faulty[50:99, STATISTICS.index("update_norm")] = 0
    faulty[99:150, STATISTICS.index("dead_fraction")] = 1
    faulty[150:, STATISTICS.index("update_norm")] = 4
    value = encode.parameters(healthy)
    scalars = {"loss": 1.0, "learning_rate": 0.1, "update/ratio": 1e-3, "gradient/norm": 1.0}
    calm = {**scalars, "gradient/norm_max": 1.0, "gradient/clip_factor": 0.5}
    wild = {"gradient/norm_max": 1e4, "gradient/clip_factor": 0.01, "loss_scale": 0.5}
    cases = {"nothing to tell": (healthy, calm), "alerts open": (faulty, {**calm, **wild})}
    found: dict[str, list[float]] = {"decoding": [], **{name: [] for name in cases}}
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(steps):
            decode(value, value.metadata)
        found["decoding"].append((time.perf_counter() - begun) / steps)
        for name, (table, said) in cases.items():
            diagnosis = Diagnosis()
            begun = time.perf_counter()
            for step in range(steps):
                said["loss"] = 0.999**step
                diagnosis.update(Record(step, said, table, described))
            found[name].append((time.perf_counter() - begun) / steps)
    for name, seconds in found.items():
        low, middle, high = np.percentile(seconds, [0, 50, 100]) * 1e6
        Console().print(f"{name}: {middle:.0f} µs a step ({low:.0f} to {high:.0f}), 200 parameters")


def time_steps(described: Manifest) -> None:
    """Print what every step costs."""
    for count in TRAININGS:
        cases = {
            "nothing to tell": calm(count),
            "alerts open": wild(count, 1),
            "alerts that come and go": wild(count, 2),
        }
        for name, made in cases.items():
            for stretch in STRETCHES:
                parts = [made[at : at + stretch] for at in range(0, count, stretch)]
                found = []
                for _ in range(ROUNDS):
                    diagnosis = Diagnosis()
                    begun = time.process_time()
                    for part in parts:
                        diagnosis.add_steps(part, described)
                    found.append((time.process_time() - begun) / count)
                low, middle, high = np.percentile(found, [0, 50, 100]) * 1e6
                Console(width=120).print(
                    f"{count:,} steps, {stretch} at a time, {name}: {middle:.1f} µs a step "
                    f"({low:.1f} to {high:.1f}), alerts open: {len(diagnosis.open)}"
                )


def calm(count: int) -> Steps:
    """A training that goes well, batch by batch with some noise."""
    rng = np.random.default_rng(0)
    norms = np.exp(rng.normal(0, 0.2, (count, 200))).astype(np.float32)
    losses = 0.1 + np.exp(-np.arange(count) / count + rng.normal(0, 0.1, count))
    return Steps(
        1,
        {
            LOSS: losses.astype(np.float32),
            LEARNING_RATE: np.full(count, 0.1, np.float32),
            GRADIENT_NORM: np.linalg.norm(norms, axis=1),
        },
        norms,
    )


def wild(count: int, turns: int) -> Steps:
    """One that diverges, in which some gradients are not finite in one step of so many."""
    well = calm(count)
    norms = 1e4 * well.norms
    norms[::turns, :50] = np.inf
    totals = np.where(np.arange(count) % turns, 1e4 * well.scalars[GRADIENT_NORM], np.inf)
    rising = np.linspace(1, 1e3, count, dtype=np.float32)
    scalars = {**well.scalars, LOSS: rising, GRADIENT_NORM: totals.astype(np.float32)}
    return Steps(1, scalars, norms)


if __name__ == "__main__":
    main()
