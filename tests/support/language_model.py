"""A log of a language model of 42 blocks: 297 parameters, one of which goes silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import CurvatureEstimate, Eigenvalue, Manifest, Parameter
from tbgrad.log.tags import GRADIENT_NORM, LEARNING_RATE, LOSS, UPDATE_RATIO, VALIDATION_LOSS
from tests.support.logs import EPOCH

BLOCKS = 42
MEMBERS = (
    "self_attention/query/kernel",
    "self_attention/key/kernel",
    "self_attention/value/kernel",
    "self_attention/output/kernel",
    "feedforward/dense_in/kernel",
    "feedforward/dense_out/kernel",
    "layer_norm/gamma",
)
SILENT = "language_model/decoder_block_17/feedforward/dense_in/kernel"
RAPID = "language_model/decoder_block_30/self_attention/query/kernel"


def manifest() -> Manifest:
    """Embedding, blocks, norm and head."""
    names = ["token_embedding/embeddings"]
    names += [f"decoder_block_{b}/{member}" for b in range(BLOCKS) for member in MEMBERS]
    names += ["final_norm/gamma", "head/kernel"]
    return Manifest(
        parameters=tuple(
            Parameter(
                path=f"language_model/{name}",
                layer=f"language_model/{name.rpartition('/')[0]}",
                shape=(64,) if name.endswith("gamma") else (64, 64),
                size=64 if name.endswith("gamma") else 4096,
                dtype="float32",
                role="normalization" if name.endswith("gamma") else "kernel",
            )
            for name in names
        ),
        optimizer={"name": "AdamW", "learning_rate": 3e-4},
        cadences={"every": 10, "curvature_every": 300},
    )


def write_language_model(directory: Path, steps: int = 400, every: int = 10) -> Manifest:
    """Norms fall evenly; from half of the steps on `SILENT` is zero, and `RAPID` moves 60 times as
    fast as the others all the time. The curvature was estimated once, at step 100."""
    m = manifest()
    rng = np.random.default_rng(3)
    paths = [parameter.path for parameter in m.parameters]
    base, weights = 10 ** rng.normal(-1.0, 0.1, len(paths)), 10 ** rng.normal(0.5, 0.3, len(paths))
    silent, rapid = paths.index(SILENT), paths.index(RAPID)
    with EventFileWriter(directory) as writer:
        writer.add(0, [encode.manifest(m)], EPOCH)
        for step in range(every, steps + 1, every):
            norms = base * np.exp(-step / 600 + 0.1 * rng.standard_normal(len(paths)))
            ratios = 1e-3 * np.exp(0.3 * rng.standard_normal(len(paths)))
            ratios[rapid] = 6e-2
            columns = {
                "norm": norms,
                "norm_max": norms * 1.3,
                "update_norm": ratios * weights,
                "zero_fraction": np.full(len(paths), 0.05),
                "dead_fraction": np.zeros(len(paths)),
                "nonfinite": np.zeros(len(paths)),
                "weight_norm": weights,
                "cosine": rng.uniform(-0.1, 0.5, len(paths)),
            }
            if 2 * step > steps:
                for name in ("norm", "norm_max", "update_norm"):
                    columns[name][silent] = 0.0
                columns["zero_fraction"][silent] = columns["dead_fraction"][silent] = 1.0
            rows = np.full((len(paths), len(m.statistics)), np.nan, np.float32)
            for name, column in columns.items():
                rows[:, m.column(name)] = column
            loss = 6 * np.exp(-step / 700) + 2.5
            scalars = {
                LOSS: loss,
                VALIDATION_LOSS: loss + 0.2,
                LEARNING_RATE: 3e-4,
                GRADIENT_NORM: float(np.sqrt((norms**2).sum())),
                UPDATE_RATIO: 1e-3,
            }
            values = [encode.scalar(tag, value) for tag, value in scalars.items()]
            values.append(encode.parameters(rows))
            if step == 100:
                values.append(encode.curvature(estimate()))
            writer.add(step, values, EPOCH + step * 0.5)
    return m


def estimate(bounded: float = 41_000.0, **more: Any) -> CurvatureEstimate:
    """An estimate for AdamW, whose limit of 126,000 bounds the eigenvalue `bounded`."""
    return CurvatureEstimate(
        eigenvalues=(Eigenvalue(410.0, 8.0), Eigenvalue(-21.0, 2.0)),
        converged=True,
        hvps=60,
        seconds=3.0,
        loss=3.0,
        samples=64,
        stability_threshold=126_000.0,
        threshold_formula="38 / η",
        preconditioned=Eigenvalue(bounded, 0.015 * bounded),
        **more,
    )
