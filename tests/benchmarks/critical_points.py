"""Critical points of functions whose critical points are known: how many of 100 starts are right.

    python -m tests.benchmarks.critical_points [--starts 100]

Judged as in the suite, which has fewer starts: `tests/analysis/test_critical_points.py`.
"""

from __future__ import annotations

import argparse
import os
import time


def main() -> None:
    """Search and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--starts", type=int, default=100)
    count = parser.parse_args().starts
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tests.analysis import test_critical_points as known

    searches = {
        "Himmelblau's function": lambda: known.himmelblau_from(count),
        "Rosenbrock's, 2 variables": lambda: known.rosenbrock_from(count, 2),
        "Rosenbrock's, 10 variables": lambda: known.rosenbrock_from(count, 10),
        "a deep linear network": lambda: known.deep_linear_network_from(count)[0],
    }
    for name, search in searches.items():
        begun = time.perf_counter()
        right = search()
        print(f"{name:27} {right} of {count} right, {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
