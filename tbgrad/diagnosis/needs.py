"""What rules look at that not every training logs, and how to have it logged."""

from __future__ import annotations

from collections.abc import Container, Iterable

from tbgrad.diagnosis.rules import RULES
from tbgrad.log.statistics import STATISTICS
from tbgrad.log.tags import (
    CLIP_FACTOR,
    CURVATURE,
    LOSS,
    LOSS_SCALE,
    PARAMETERS,
    VALIDATION_LOSS,
)

NEEDS = {rule.name: rule.needs for rule in RULES if rule.needs}
"""By rule, the series without which it never says anything."""

OF_LOSS = frozenset(rule for rule, tag in NEEDS.items() if tag == LOSS)

_REMEDIES = {
    LOSS: "let train_step return it, {'loss': loss}, or give it to writer.observe(…, loss=loss)",
    VALIDATION_LOSS: "give fit validation_data=…",
    CURVATURE: "give the monitor curvature=tbgrad.Curvature(data=(x, y))",
    LOSS_SCALE: "only a LossScaleOptimizer has a loss scale",
    CLIP_FACTOR: "the optimizer does not clip",
}


LOGGED = (LOSS, VALIDATION_LOSS)
"""Scalars that every training could log."""

_OF_LAYERS = frozenset(rule.name for rule in RULES if rule.shows in STATISTICS)


def blind(logged: Container[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which rules cannot judge a run that logs these: for want of a loss, and of other series."""
    without = [
        (LOSS, "no loss", OF_LOSS),
        (VALIDATION_LOSS, "no val_loss", _needing(VALIDATION_LOSS)),
        (CURVATURE, "no curvature", _needing(CURVATURE)),
        (PARAMETERS, "no gradients of layers", _OF_LAYERS),
    ]
    said = {
        tag: f"{why} ({', '.join(sorted(rules))})" for tag, why, rules in without
        if tag not in logged
    }  # fmt: skip
    grave = (said.pop(LOSS),) if LOSS in said else ()
    return grave, tuple(said.values())


def _needing(tag: str) -> set[str]:
    return {rule for rule, needed in NEEDS.items() if needed == tag}


def silent(rules: Iterable[str], logged: Container[str]) -> str:
    """A sentence on those of `rules` that can say nothing for want of a series; "" for none."""
    missing = [rule for rule in sorted(rules) if rule in NEEDS and NEEDS[rule] not in logged]
    if not missing:
        return ""
    wanted = dict.fromkeys(NEEDS[rule] for rule in missing)
    how = "; ".join(f"there is no {tag}: {_REMEDIES[tag]}" for tag in wanted)
    return f"{', '.join(missing)} will never be told of; {how}"
