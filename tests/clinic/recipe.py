"""How one training of the clinic is set up; a fault is a change to a healthy recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal


@dataclass(frozen=True, repr=False)
class Recipe:
    """A training: model, data, optimizer, and what may be wrong with it.

    Attributes:
        gain: factor on the usual initialisation of the hidden layers (He for relu, else Glorot).
        initializer: name of that of the hidden layers, in place of the usual one.
        bias: value at which the biases of `biased` begin.
        layers: options of single layers, by name, in place of what the others have.
        normalization: batch normalization behind each hidden layer.
        output, output_bias: activation of the last layer, and where its bias begins.
        binary: one output for two classes, under the cross-entropy of two.
        from_logits: whether the loss takes the output for logits.
        loss: one by hand, of outputs that may be zero, in place of the usual one.
        settings: further settings of the optimizer.
        decay_steps: length of the schedule, 0 where it is that of the training.
        mixed: dtype to compute in, beside weights in float32.
        raw: inputs as they were measured, not scaled.
        normalized: inputs go through a `Normalization` that was adapted to them.
        curvature: steps between two estimates, 0 for none.
        shuffled: labels that do not belong to the inputs.
        order: epochs that all have the same order of samples, by chance or by class; else each
            sample comes when it comes.
        inf_at, spike_at: step whose batch holds an infinite value, or one 10,000 times too large.
        samples: only so many samples to train on, the others to validate.
        early_stopping: ends with the weights of the lowest validation loss.
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
    initializer: str = ""
    bias: float = 0.0
    biased: str = "hidden"
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    normalization: bool = False
    output: str = "linear"
    output_bias: float = 0.0
    binary: bool = False
    from_logits: bool = True
    loss: Literal["", "bare logarithm", "guarded logarithm"] = ""
    dropout: float = 0.0
    optimizer: str = "Adam"
    rate: float = 1e-3
    settings: Mapping[str, float] = field(default_factory=dict)
    schedule: Literal["", "cosine", "warmup"] = ""
    decay_steps: int = 0
    mixed: Literal["", "float16", "bfloat16"] = ""
    raw: bool = False
    normalized: bool = False
    raw_targets: bool = False
    shuffled: bool = False
    order: Literal["", "fixed", "sorted"] = ""
    inf_at: int = 0
    spike_at: int = 0
    samples: int = 0
    early_stopping: bool = False
    curvature: int = 0
    discriminator_rate: float = 0.0
    wrong: str = ""

    def __repr__(self) -> str:
        """Only what is not as usual: a further field leaves logs of older recipes what they are."""
        said = []
        for each in fields(self):
            made = each.default_factory
            usual = each.default if made is MISSING else made()
            if (value := getattr(self, each.name)) != usual:
                said.append(f"{each.name}={value!r}")
        return f"Recipe({', '.join(said)})"
