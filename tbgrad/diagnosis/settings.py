"""From what on each rule applies, where the figure comes from, and what is not to be told."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class AlertSettings:
    """From what on each rule applies, and which are silenced, where.

    "Clinic" are the trainings of tests/clinic: the figure lies between what the planted faults and
    what the healthy trainings show there.

    Example::

        alerts = tbgrad.AlertSettings(
            dead_units=0.9, silence={"noise_dominated": "*", "dead_units": "encoder/*"}
        )
        monitor = tbgrad.GradientMonitor("runs/a", alerts=alerts)

    or, the same in a file, `alerts="alerts.toml"`::

        [thresholds]
        dead_units = 0.9

        [silence]
        noise_dominated = "*"
        dead_units = ["encoder/*"]

    Attributes:
        silence: patterns of parameter paths, one or several, by rule: what the rule says of those
            parameters is not told. `"*"` silences it altogether.
        vanishing_gradient: sensitivity of a layer (gradient norm times weight norm, which does not
            depend on its size or on the scale of its weights) over the largest one nearer to the
            output. AutoTrainer (Zhang et al., ICSE 2021) takes 1e-3 of the norms.
        exploding_gradient: gradient norm over the square root of the loss, or of 1 where it is
            below. AutoTrainer takes 70 of the norm.
        dead_units: share of a layer's units that no gradient reaches, in batch after batch.
            AutoTrainer.
        saturated_units: share of units of a saturating layer that no gradient reaches. Clinic.
        saturated_weights: norm of the weights into one unit of a saturating layer, whose input, if
            scaled as is usual, is then this far from zero on average. Clinic.
        lost_update: learning rate · gradient norm over weight norm up to which it is no wonder that
            an update changes nothing: ten times the rounding of float32, as where the training has
            converged.
        update_ratio: update norm over weight norm of a layer. A thousandth is usual (Karpathy,
            "A recipe for training neural networks", 2019). Clinic.
        diverging_loss: loss over that of the first steps. Clinic.
        opposite_gradients: cosine between successive gradients, on average, below which steps go
            to and fro across a valley. Clinic.
        stuck_loss: share of the first loss by which it has to have fallen where updates are small.
            Clinic.
        small_update: update norm over weight norm that is small: a tenth of what is usual.
        flat_fall: share of the first loss by which it has to fall, within what noise lets tell,
            over the last quarter of the training so far. Clinic. A slow start is not stuck: a
            fall that is steady, a gradient that grows, the first steps without a known cause. A
            critical point is told of only where the loss, also that of the estimates, cannot have
            fallen by that share of itself.
        flat_loss: share of the first loss below which a loss that does not fall is no fault: the
            training may have converged. Clinic.
        large_update: update norm over weight norm that is large: ten times what is usual.
        restless_loss: flat_loss where updates are large: that keeps the loss from falling. Clinic.
        spike_ratio: gradient norm over the usual one; spike_score: its distance from it in robust
            standard deviations of the logarithm. Clinic.
        clip_factor: applied over true gradient norm below which clipping leaves next to nothing of
            the gradient. A tenth: the clip value is then no guard against spikes, but the step.
        stability: largest eigenvalue over the optimizer's own threshold. Full-batch training
            hovers at 1 (Cohen et al., "Gradient descent on neural networks typically occurs at the
            edge of stability", 2021); a tenth above is what the estimates may be off.
        rate_mismatch: relative update of the layers that move most over that of one that hardly
            moves. Clinic.
        noise_scale: gradient noise scale over the batch size (McCandlish et al., "An empirical
            model of large-batch training", 2018) above which a step is mostly noise. Clinic.
        useful_batch: gradient noise scale over the batch size below which the batch is larger than
            helps. The same paper takes 1 as the turning point.
        small_gradient: gradient norm over that of the first steps, near a critical point. Clinic.
        flat: largest |eigenvalue| times squared weight norm over the loss, on a plateau. Clinic.
        saddle: -λmin over λmax from which on a critical point is a saddle, where a step along the
            gradient gains little. Clinic.
        loss_scale: below 1 even gradients that are not scaled up overflow in float16.
        skipped_updates: left out in a row: more than Keras needs to come down from its first scale.
        overfitting: validation loss over its lowest, medians of four each. Clinic.
        validation_gap: validation loss that falls no more over the training loss. Clinic.
        at_chance: a cross-entropy within this share of that of a guess has learned nothing.
        implausible_loss: cross-entropy over that of a guess. Ten times: the right class is given
            the tenth power of what a guess gives it.
        target_scale: error in units of the targets, at first, above which those are not scaled.
            Well tuned trainings reach targets of some hundreds. Clinic.
        input_scale: size of a single input, at least, above which inputs are not scaled: raw bytes
            have about 100, scaled inputs 1. Not known where the biases' gradients cancel out.
        momentum: published trainings take 0.9 to 0.99; at 0.995 a step goes on for 200.
        dropout: rate of a Dropout, or of one within a layer. Published trainings take 0.5, and
            hardly ever more than 0.8 (Srivastava et al., "Dropout", 2014).
        decayed_weights: norm of all kernels over that at first, where the loss has not fallen.
        epoch_likeness: rank correlation of the courses of the loss in neighbouring epochs, without
            their trend, where neighbouring steps are alike too. Of shuffled data it is 0; of the
            same random order in each epoch only neighbours are not alike.
    """

    vanishing_gradient: float = 1e-3
    exploding_gradient: float = 100.0
    dead_units: float = 0.7
    saturated_units: float = 0.5
    saturated_weights: float = 12.0
    lost_update: float = 1e-6
    update_ratio: float = 0.2
    diverging_loss: float = 1.5
    opposite_gradients: float = -0.6
    stuck_loss: float = 0.05
    small_update: float = 1e-4
    flat_fall: float = 0.02
    flat_loss: float = 0.75
    large_update: float = 1e-2
    restless_loss: float = 0.3
    spike_ratio: float = 10.0
    spike_score: float = 6.0
    clip_factor: float = 0.1
    stability: float = 1.1
    rate_mismatch: float = 100.0
    noise_scale: float = 10.0
    useful_batch: float = 0.05
    small_gradient: float = 0.03
    flat: float = 1e-3
    saddle: float = 0.1
    loss_scale: float = 1.0
    skipped_updates: float = 20.0
    overfitting: float = 1.15
    validation_gap: float = 5.0
    at_chance: float = 0.1
    implausible_loss: float = 10.0
    target_scale: float = 1000.0
    input_scale: float = 30.0
    momentum: float = 0.995
    dropout: float = 0.9
    decayed_weights: float = 0.5
    epoch_likeness: float = 0.5
    silence: Mapping[str, str | Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _thresholds():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
                raise TypeError(f"{name} is a threshold, a number, not {value!r}")
        if not isinstance(self.silence, Mapping):
            raise TypeError(
                "silence names patterns of parameter paths by rule: "
                f"silence={{'dead_units': 'encoder/*'}}, not {self.silence!r}"
            )
        for rule, patterns in self.silence.items():
            check_rule("silence", rule)
            for pattern in (patterns,) if isinstance(patterns, str) else patterns:
                if not isinstance(pattern, str):
                    raise TypeError(
                        f"silence[{rule!r}] is a pattern of parameter paths, or several: "
                        f"'encoder/*', not {pattern!r}"
                    )

    @classmethod
    def read(cls, file: str | Path) -> AlertSettings:
        """The settings in a TOML file with the tables `[thresholds]` and `[silence]`.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not TOML, or has a table, threshold or rule that there is not.
            TypeError: a value is not of its kind.
        """
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        try:
            content = tomllib.loads(Path(file).read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{file} is not a TOML file: {error}") from error
        try:
            for table in content:
                _check("table", table, ("thresholds", "silence"))
            thresholds = content.get("thresholds", {})
            for name in thresholds:
                _check("threshold", name, _thresholds())
            return cls(**thresholds, silence=content.get("silence", {}))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{file}: {error}") from error

    def silences(self, rule: str, names: Iterable[str] = ("*",)) -> list[bool]:
        """Whether the rule is silenced, for each of these parameters; `"*"` is for all at once."""
        patterns = self.silence.get(rule, ())
        patterns = (patterns,) if isinstance(patterns, str) else patterns
        return [any(fnmatchcase(name, pattern) for pattern in patterns) for name in names]


def check_rule(argument: str, rule: object) -> str:
    """`rule` as it is.

    Raises:
        ValueError: there is no such rule.
    """
    from tbgrad.diagnosis.rules import RULE_NAMES  # of which faces need none to show a log

    return _check(f"rule in {argument}", rule, RULE_NAMES)


def _thresholds() -> tuple[str, ...]:
    return tuple(each.name for each in fields(AlertSettings) if each.name != "silence")


def _check(what: str, name: Any, known: tuple[str, ...]) -> str:
    if name in known:
        return str(name)
    near = get_close_matches(str(name), known, 1)
    meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    raise ValueError(f"there is no {what} named {name!r}: {meant}")
