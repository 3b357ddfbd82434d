"""The picture of examples/minimum_ratio.md, from the table that the example leaves.

python examples/minimum_ratio.py /tmp/ratio --trainings 100   # half an hour
python -m tests.pictures_minimum_ratio /tmp/ratio/minimum_ratio.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot

TARGET = Path(__file__).parents[1] / "examples" / "pictures"


def main(table: str = str(TARGET / "minimum_ratio.csv")) -> None:
    rows = np.genfromtxt(table, delimiter=",", names=True)
    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    axes[0].loglog(rows["gradient_norm_before"], rows["gradient_norm"], ".", color="#4477aa")
    axes[0].set(
        xlabel="gradient norm where training stopped", ylabel="gradient norm after the search"
    )
    for name, colour, mark, label in (
        ("minimum_ratio_of_blocks", "#cc8844", "x", "diagonal blocks alone"),
        ("minimum_ratio", "#4477aa", ".", "whole Hessian"),
    ):
        axes[1].semilogx(rows["loss"], rows[name], mark, color=colour, label=label)
    axes[1].set(xlabel="loss", ylabel="minimum ratio", ylim=(0.08, 0.165))
    axes[1].legend(frameon=False)
    axes[2].semilogx(
        rows["gradient_norm"], rows["minimum_ratio"], ".", color="#4477aa", label="whole Hessian"
    )
    axes[2].set(xlabel="gradient norm after the search", ylabel="minimum ratio", ylim=(0.08, 0.165))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(TARGET / "minimum_ratio.png", dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
