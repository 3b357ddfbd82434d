"""Advice as a program follows it: to the letter, sentence by sentence, as changes to a recipe."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from tests.clinic.recipe import Recipe

Change: TypeAlias = Callable[["re.Match[str]", Recipe, str], "Recipe | None"]
"""The recipe as a sentence has it, for a group of parameters; None where that cannot be done."""

NUMBER = r"(\d[\d.]*(?:e[+-]?\d+)?)"


def follow(sentence: str, recipe: Recipe, group: str = ".") -> Recipe | None:
    """The recipe changed as the sentence says, and in nothing else.

    None where no pattern knows the sentence, or the recipe has no place for what it says. A look at
    something that turns out to be in order changes nothing either, and is None, too.
    """
    for pattern, change in _SENTENCES:
        found = re.match(pattern, sentence)
        if found is not None:
            changed = change(found, recipe, group)
            return None if changed == recipe else changed
    return None


def _rate(recipe: Recipe, group: str, rate: float) -> Recipe:
    """Of models trained in turns only the one that was judged changes its rate."""
    if recipe.model != "gan":
        return replace(recipe, rate=rate)
    if group == "discriminator":
        return replace(recipe, discriminator_rate=rate)
    return replace(recipe, rate=rate, discriminator_rate=recipe.discriminator_rate or recipe.rate)


def _new_rate(found: re.Match[str], recipe: Recipe, group: str) -> Recipe | None:
    return _rate(recipe, group, float(found[1]))


def _scaled_rate(found: re.Match[str], recipe: Recipe, group: str) -> Recipe | None:
    factor = float(found[2])
    return _rate(recipe, group, recipe.rate * (factor if found[1] == "multiply" else 1 / factor))


def _constant_rate(found: re.Match[str], recipe: Recipe, group: str) -> Recipe | None:
    return replace(_rate(recipe, group, float(found[1])), schedule="", decay_steps=0)


def _setting(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    return replace(recipe, settings={**recipe.settings, found[1]: float(found[2])})


def _other_clipping(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    kept = {name: value for name, value in recipe.settings.items() if name != found[3]}
    return replace(recipe, settings={**kept, found[1]: float(found[2])})


def _activation(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    if recipe.model in ("lstm", "gan") or recipe.activation != found[1]:
        return None
    usual = "he_normal" if recipe.activation == "relu" else "glorot_normal"
    initializer = found[3] or recipe.initializer or ("" if recipe.model == "rnn" else usual)
    gain = 1.0 if found[3] and recipe.model != "rnn" else recipe.gain
    return replace(recipe, activation=found[2], initializer=initializer, gain=gain)


def _in_layers(names: str, recipe: Recipe, **options: Any) -> Recipe:
    layers = dict(recipe.layers)
    for path in re.findall(r"[\w/]+", names.replace(" and ", " ")):
        name = path.partition("/")[0]
        layers[name] = {**layers.get(name, {}), **options}
    return replace(recipe, layers=layers)


def _activation_of_layers(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    return _in_layers(found[3], recipe, activation=found[2])


def _bias_of_layers(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    return _in_layers(found[1], recipe, bias_initializer="zeros")


def _initializer_of_layers(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    return _in_layers(found[2], recipe, kernel_initializer=found[1])


def _initializer(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    if recipe.model in ("lstm", "gan"):
        return None
    # That of the recurrence is another one.
    gain = recipe.gain if recipe.model == "rnn" else 1.0
    return replace(recipe, initializer=found[1], gain=gain)


def _recurrence(_: re.Match[str], recipe: Recipe, __: str) -> Recipe | None:
    return replace(recipe, gain=1.0) if recipe.model == "rnn" else None


def _normalization(_: re.Match[str], recipe: Recipe, __: str) -> Recipe | None:
    return replace(recipe, normalization=True) if recipe.model in ("mlp", "cnn") else None


def _scaled_inputs(_: re.Match[str], recipe: Recipe, __: str) -> Recipe | None:
    return None if recipe.data == "tokens" else replace(recipe, normalized=True)


def _output(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    return replace(recipe, output=found[1])


def _linear_output(_: re.Match[str], recipe: Recipe, __: str) -> Recipe | None:
    return replace(recipe, output="linear")


def _logits(_: re.Match[str], recipe: Recipe, __: str) -> Recipe | None:
    return replace(recipe, from_logits=True)


def _dropout(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    return replace(recipe, dropout=float(found[1]))


def _batch(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    """Looks at the batch of a step, and leaves it out if something is wrong with it."""
    step = int(found[1].replace(",", ""))
    return replace(
        recipe,
        inf_at=0 if recipe.inf_at == step else recipe.inf_at,
        spike_at=0 if recipe.spike_at == step else recipe.spike_at,
    )


def _labels(_: re.Match[str], recipe: Recipe, __: str) -> Recipe | None:
    return replace(recipe, shuffled=False)


def _guarded(_: re.Match[str], recipe: Recipe, __: str) -> Recipe | None:
    return replace(recipe, loss="guarded logarithm") if recipe.loss else None


def _shuffled(_: re.Match[str], recipe: Recipe, __: str) -> Recipe | None:
    return replace(recipe, order="")


def _right(*mistakes: str) -> Change:
    """Looks for one of these mistakes, and undoes it where it is there."""
    return lambda _, recipe, __: replace(
        recipe, wrong="" if recipe.wrong in mistakes else recipe.wrong
    )


def _followed_output(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    cut = "positions" if recipe.model == "transformer" else "branch"
    there = recipe.wrong == "detached" and cut in found[1]
    return replace(recipe, wrong="") if there else None


def _batch_size(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    return replace(recipe, batch=int(found[1]))


def _more_samples(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    return replace(recipe, samples=int(found[1].replace(",", ""))) if recipe.samples else None


def _stopping(_: re.Match[str], recipe: Recipe, __: str) -> Recipe | None:
    return replace(recipe, early_stopping=True) if recipe.samples else None


def _optimizer(found: re.Match[str], recipe: Recipe, _: str) -> Recipe | None:
    return replace(recipe, optimizer=found[1], settings={})


def _dtype(_: re.Match[str], recipe: Recipe, __: str) -> Recipe | None:
    return replace(recipe, mixed="bfloat16")


_SENTENCES: tuple[tuple[str, Change], ...] = (
    (rf"(?:lower|raise) learning_rate from \S+ to {NUMBER}", _new_rate),
    (rf"(divide|multiply) learning_rate by {NUMBER}", _scaled_rate),
    (r"shuffle the samples", _shuffled),
    (rf"keep learning_rate at {NUMBER}", _constant_rate),
    (
        rf"(?:lower|raise) (global_clipnorm|clipnorm|clipvalue|momentum|beta_1|weight_decay|"
        rf"epsilon) from \S+ to {NUMBER}",
        _setting,
    ),
    (rf"set (global_clipnorm)={NUMBER} in the optimizer", _setting),
    (rf"use (global_clipnorm)={NUMBER} in place of (\w+)=", _other_clipping),
    (
        r"replace activation='(\w+)' by '(\w+)' in all hidden layers"
        r"(?:, with kernel_initializer='(\w+)')?",
        _activation,
    ),
    (r"replace activation='(\w+)' by '(\w+)' in layers? (.+)", _activation_of_layers),
    (r"set bias_initializer='zeros' in layers? (.+)", _bias_of_layers),
    (r"set kernel_initializer='(\w+)' in all hidden layers", _initializer),
    (r"set kernel_initializer='(\w+)' in layers? (.+?)(?: in place of .+)?$",
     _initializer_of_layers),
    (r"use recurrent_initializer='orthogonal'", _recurrence),
    (r"put a BatchNormalization layer before", _normalization),
    (r"scale the inputs to mean 0 and deviation 1", _scaled_inputs),
    (r"give the last layer activation='(\w+)'", _output),
    (r"replace activation='\w+' of the last layer by '(\w+)'", _output),
    (r"remove activation='\w+' from the last layer", _linear_output),
    (r"set from_logits=True in the loss", _logits),
    (rf"lower the rate of Dropout from \S+ to {NUMBER}", _dropout),
    (r"look at the batch of step ([\d,]+)", _batch),
    (r"check that inputs and labels belong together", _labels),
    (r"follow the output of layer (\S+) to the loss in call\(\)", _followed_output),
    (r"train all of model.trainable_variables", _right("only the head")),
    (r"keep what a logarithm, a root or a quotient gets in the loss \w+ away from zero", _guarded),
    (r"if that is not meant, set layer.trainable=True", _right("not trainable")),
    (r"look for what sets the weight back after each update", _right("pinned")),
    (r"(?:raise|lower) batch_size from \d+ to (\d+)", _batch_size),
    (r"train on more samples: .*?at least ([\d,]+)", _more_samples),
    (r"stop at the lowest val_loss", _stopping),
    (r"use (\w+) in place of \w+, which scales each layer by itself", _optimizer),
    (r"train in mixed_bfloat16 in place of mixed_float16", _dtype),
)  # fmt: skip
