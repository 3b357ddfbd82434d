"""What the rules cost a logged step.

    python -m tests.benchmarks.diagnosis [--steps 2000]

Time of `Diagnosis.update` for a record of 200 parameters, beside that of decoding the same record,
in turns; once with nothing to tell, once with every rule's alert open.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from rich.console import Console

from tbgrad import logformat
from tbgrad.diagnosis import Diagnosis, Record
from tbgrad.records import STATISTICS
from tests.support.logs import manifest

ROUNDS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=2000)
    steps = parser.parse_args().steps
    described = manifest(100)
    healthy = np.ones((200, len(STATISTICS)), np.float32)
    faulty = healthy.copy()
    faulty[:50, STATISTICS.index("norm")] = np.nan
    faulty[50:99, STATISTICS.index("update_norm")] = 0
    value = logformat.parameters(healthy)
    scalars = {"loss": 1.0, "learning_rate": 0.1}
    cases = {
        "nothing to tell": (healthy, {**scalars, "gradient/clip_factor": 0.5}),
        "alerts open": (faulty, {**scalars, "gradient/clip_factor": 0.01, "loss_scale": 0.5}),
    }
    found: dict[str, list[float]] = {"decoding": [], **{name: [] for name in cases}}
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(steps):
            logformat.decode(value, value.metadata)
        found["decoding"].append((time.perf_counter() - begun) / steps)
        for name, (table, said) in cases.items():
            diagnosis = Diagnosis()
            begun = time.perf_counter()
            for step in range(steps):
                diagnosis.update(Record(step, said, table, described))
            found[name].append((time.perf_counter() - begun) / steps)
    for name, seconds in found.items():
        low, middle, high = np.percentile(seconds, [0, 50, 100]) * 1e6
        Console().print(f"{name}: {middle:.0f} µs a step ({low:.0f} to {high:.0f}), 200 parameters")


if __name__ == "__main__":
    main()
