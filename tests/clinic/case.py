"""What a case of the clinic is, and the healthy trainings that all of them begin from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.clinic.recipe import Recipe


@dataclass(frozen=True)
class Case:
    """A training, the rule that has to find its fault ("" where it has none), and in which layers.

    `layers` is a part of the path of a parameter that the alert has to name, "" where the fault is
    of the whole run; `group` the group of parameters where it is. `healthy` is the same training
    without the fault, `roots` further rules whose fault is as truly in the recipe, or deeper, so
    that a story may begin with it. No threshold was chosen by a case that is `aside`.
    """

    name: str
    recipe: Recipe
    rule: str = ""
    layers: str = ""
    group: str = "."
    healthy: Recipe | None = None
    roots: frozenset[str] = frozenset()
    aside: bool = False


_TRUE: tuple[tuple[Callable[[Recipe, Mapping[str, Any]], bool], str], ...] = (
    # Whatever shows first, what was done to the recipe is that the inputs were left as measured.
    (lambda _, wrong: "raw" in wrong, "inputs_unscaled"),
    # The loss is handed something else than it takes, whether or not a gradient comes through.
    (lambda _, wrong: bool({"output", "from_logits"} & set(wrong)), "output_mismatch"),
    # All weights of the hidden layers begin at zero: the saddle is where that puts them.
    (lambda _, wrong: wrong.get("gain") == 0, "zero_initialization"),
    # What diverges, swings or lies beyond the edge does so since the rate was made larger.
    (lambda healthy, wrong: wrong.get("rate", 0.0) > healthy.rate, "update_too_large"),
)
"""What may be done to a healthy recipe, and the rule that tells of just that."""


@dataclass(frozen=True)
class Fault:
    """Plants faults that one rule has to find."""

    rule: str
    layers: str = ""

    def __call__(self, name: str, healthy: Recipe, layers: str = "", **wrong: Any) -> Case:
        """A healthy recipe with something wrong; how long it trains is not."""
        group = "."
        if healthy.model == "gan":
            group = "generator" if "rate" in wrong else "discriminator"
        return Case(
            name,
            replace(healthy, **wrong),
            self.rule,
            layers or self.layers,
            group,
            replace(healthy, steps=wrong.get("steps", healthy.steps)),
            frozenset(rule for is_there, rule in _TRUE if is_there(healthy, wrong)),
        )


MLP = Recipe("mlp", "digits")
CNN = Recipe("cnn", "images")
LSTM = Recipe("lstm", "waves", depth=1, width=24, rate=3e-3)
RNN = Recipe("rnn", "waves", depth=1, width=24, activation="tanh")
TRANSFORMER = Recipe("transformer", "rows", depth=2, width=32)
TOKENS = replace(TRANSFORMER, data="tokens")
GAN = Recipe("gan", "ring", optimizer="Adam", rate=5e-4, settings={"beta_1": 0.5}, batch=64)
WINE = replace(MLP, data="wine", width=24)
CANCER = replace(WINE, data="breast_cancer")
DIABETES = replace(MLP, data="diabetes", width=24)
WHOLE_DIABETES = replace(DIABETES, batch=442, optimizer="SGD")
MOMENTUM = {"optimizer": "SGD", "rate": 0.05, "settings": {"momentum": 0.9}}


def descent(healthy: Recipe, rate: float, **more: Any) -> Recipe:
    """The same with plain gradient descent."""
    return replace(healthy, optimizer="SGD", settings={}, rate=rate, **more)
