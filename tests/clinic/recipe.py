"""How one training of the clinic is set up; a fault is a change to a healthy recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Recipe:
    """A training: model, data, optimizer, and what may be wrong with it.

    Attributes:
        gain: factor on the usual initialisation of the hidden layers (He for relu, else Glorot).
        bias: value at which the biases of `biased` begin.
        normalization: layer or batch normalization behind each hidden layer.
        settings: further settings of the optimizer.
        raw: inputs as they were measured, not scaled.
        curvature: steps between two estimates, 0 for none.
        inf_at, spike_at: step whose batch holds an infinite value, or one 10,000 times too large.
        samples: only so many samples to train on, the others to validate.
        wrong: one of the mistakes that `models` knows how to make.
    """

    model: Literal["mlp", "cnn", "lstm", "rnn", "transformer", "gan"]
    data: str
    steps: int = 400
    batch: int = 32
    depth: int = 2
    width: int = 48
    activation: str = "relu"
    gain: float = 1.0
    bias: float = 0.0
    biased: str = "hidden"
    normalization: bool = False
    dropout: float = 0.0
    optimizer: str = "Adam"
    rate: float = 1e-3
    settings: Mapping[str, float] = field(default_factory=dict)
    schedule: Literal["", "cosine", "warmup"] = ""
    mixed: bool = False
    raw: bool = False
    raw_targets: bool = False
    shuffled: bool = False
    inf_at: int = 0
    spike_at: int = 0
    samples: int = 0
    curvature: int = 0
    discriminator_rate: float = 0.0
    wrong: str = ""
