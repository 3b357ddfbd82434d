"""The rules, by where a fault shows."""

from tbgrad.diagnosis.rules import (
    batches,
    curvatures,
    gradients,
    losses,
    missing,
    relapses,
    scale,
    setup,
    spikes,
    stuck,
    units,
    updates,
    validation,
)

RULES = (
    missing.NONFINITE_GRADIENT,
    missing.NONFINITE_LOSS,
    losses.DIVERGING,
    relapses.RELAPSED,
    gradients.EXPLODING,
    scale.IMPLAUSIBLE,
    units.DEAD,
    updates.LOSS_SCALE_COLLAPSE,
    missing.NO_GRADIENT,
    gradients.VANISHING,
    units.SATURATED,
    updates.TOO_LARGE,
    updates.FROZEN,
    updates.NOT_TRAINABLE,
    setup.OUTPUT,
    setup.MOMENTUM,
    setup.DROPOUT,
    setup.ALIKE,
    setup.INPUTS,
    setup.SCHEDULE,
    setup.DECAY,
    setup.SORTED,
    losses.OSCILLATING,
    stuck.STUCK,
    validation.OVERFITTING,
    spikes.SPIKE,
    gradients.CLIPPING,
    curvatures.EDGE,
    curvatures.CRITICAL,
    updates.MISMATCH,
    batches.NOISY,
    batches.TOO_LARGE,
)
"""Every rule, the graver ones first."""

RULE_NAMES = tuple(dict.fromkeys(rule.name for rule in RULES))

SHOWS = {rule.name: rule.shows for rule in RULES}
"""By name of a rule, the scalar or statistic that shows it; of two of one name that of the run."""

__all__ = ["RULES", "RULE_NAMES", "SHOWS"]
