"""Whatever a log holds, no rule fails, and what it says is one readable line."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np
import pytest

from tbgrad.diagnosis import RULE_SCALARS, Diagnosis, Record
from tbgrad.log.records import STATISTICS, CurvatureEstimate, Eigenvalue, Manifest, Parameter

TAGS = (
    "loss", "val_loss", "learning_rate", "gradient/norm", "gradient/norm_max",
    "gradient/clip_factor", "update/ratio", "loss_scale", "skipped_updates",
)  # fmt: skip
ODD = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3e38, -1.0, 1.0, 1e-3, 100.0])
ROLES = ("kernel", "bias", "embedding", "normalization", "other")


class Asked(dict[str, float]):
    """Scalars that remember which of them were looked at."""

    tags: ClassVar[set[str]] = set()

    def get(self, tag: str, default: Any = None) -> Any:
        self.tags.add(tag)
        return super().get(tag, default)

    def __contains__(self, tag: object) -> bool:
        self.tags.add(str(tag))
        return super().__contains__(tag)


def manifest(rng: np.random.Generator) -> Manifest:
    """Some parameters, or none, of any role and shape; some statistics are missing."""
    rows = []
    for i in range(rng.integers(0, 7)):
        shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(0, 4)))
        layer, role = f"layer_{i // 2}", str(rng.choice(ROLES))
        activation = str(rng.choice(["", "relu", "tanh", "sigmoid"]))
        size = int(np.prod(shape))
        rows.append(Parameter(f"{layer}/{i}", layer, shape, size, "float32", role, activation))
    known = [name for name in STATISTICS if rng.random() < 0.9]
    frozen = ("base",) if rng.random() < 0.3 else ()
    return Manifest(tuple(rows), tuple(known), frozen=frozen)


def numbers(rng: np.random.Generator, shape: object, odd: float) -> np.ndarray:
    usual = np.exp(rng.normal(0, rng.choice([0.1, 1.0, 10.0]), shape))
    return np.where(rng.random(shape) < odd, rng.choice(ODD, shape), usual)


def record(rng: np.random.Generator, step: int, described: Manifest, odd: float) -> Record:
    tags = [tag for tag in TAGS if rng.random() < 0.8]
    values = numbers(rng, len(tags), odd)
    rows = len(described.parameters) + (rng.random() < 0.02)
    table = numbers(rng, (rows, len(described.statistics)), odd).astype(np.float32)
    estimate = None
    if rng.random() < 0.2:
        top, bottom, residual, limit = numbers(rng, 4, odd)
        pair = Eigenvalue(top, residual), Eigenvalue(bottom, residual)
        estimate = CurvatureEstimate(pair, True, 3, 0.1, 1.0, 8, limit, "2 / η")
    return Record(
        step,
        Asked(zip(tags, values.tolist(), strict=True)),
        table if rng.random() < 0.9 else None,
        described if rng.random() < 0.98 else None,
        estimate,
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(60))
def test_no_record_makes_a_rule_fail(seed: int) -> None:
    rng = np.random.default_rng(seed)
    odd = float(rng.choice([0.0, 0.05, 0.5]))
    diagnosis, described = Diagnosis(), manifest(rng)
    calm = record(rng, 0, described, odd)
    for step in range(1, 200):
        if rng.random() < 0.01:
            described = manifest(rng)
        # The same record again and again is what opens an alert that needs many in a row.
        made = record(rng, step, described, odd)
        calm = made if rng.random() < 0.05 else calm
        shown = made if rng.random() < 0.3 else calm
        told = diagnosis.update(
            Record(step, shown.scalars, shown.table, shown.manifest, shown.curvature)
        )
        assert diagnosis.failures == []
        for alert in told:
            assert 0 < len(alert.evidence) < 700
            assert "\n" not in alert.evidence + alert.advice
            unknown = re.search(r"\bnan\b", alert.evidence + alert.advice)
            assert unknown is None or alert.rule == "nonfinite", alert.evidence
            assert alert.severity in ("info", "warning", "error")
            assert 1 <= alert.first_step <= alert.last_step <= step
    assert Asked.tags <= set(RULE_SCALARS)  # what the tab reads for the rules
