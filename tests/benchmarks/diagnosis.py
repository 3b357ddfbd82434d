"""What the rules cost a logged step.

    python -m tests.benchmarks.diagnosis [--steps 2000]

Time of `Diagnosis.update` for a record of 200 parameters, beside that of decoding the same record,
in turns; once with nothing to tell, once with alerts of seven rules open.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from rich.console import Console

from tbgrad.diagnosis import Diagnosis, Record
from tbgrad.log import encode
from tbgrad.log.decode import decode
from tbgrad.log.records import STATISTICS
from tests.support.logs import manifest

ROUNDS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=2000)
    steps = parser.parse_args().steps
    described = manifest(100)
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


if __name__ == "__main__":
    main()
