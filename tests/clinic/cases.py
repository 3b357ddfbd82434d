"""The patients of the clinic: trainings with one planted fault each, and healthy ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.clinic.recipe import Recipe


@dataclass(frozen=True)
class Case:
    """A training, the rule that has to find its fault ("" where it has none), and in which layers.

    `layers` is a part of the path of a parameter that the alert has to name, "" where the fault is
    of the whole run; `group` the group of parameters where it is. `advised` is the change to the
    recipe that the alert advises. No threshold was chosen by a case that is `aside`.
    """

    name: str
    recipe: Recipe
    rule: str = ""
    layers: str = ""
    group: str = "."
    advised: Mapping[str, Any] | None = None
    aside: bool = False


MLP = Recipe("mlp", "digits")
CNN = Recipe("cnn", "images")
LSTM = Recipe("lstm", "waves", depth=1, width=24, rate=3e-3)
RNN = Recipe("rnn", "waves", depth=1, width=24, activation="tanh")
TRANSFORMER = Recipe("transformer", "rows", depth=2, width=32)
TOKENS = replace(TRANSFORMER, data="tokens")
GAN = Recipe("gan", "ring", optimizer="Adam", rate=5e-4, settings={"beta_1": 0.5}, batch=64)
TABLE = replace(MLP, data="wine", width=24)
DIABETES = replace(MLP, data="diabetes", width=24)
SGD = {"optimizer": "SGD", "rate": 0.05, "settings": {"momentum": 0.9}}


def _planted() -> Iterator[tuple[Any, ...]]:
    """Name, healthy recipe, what is wrong with it, rule, layers, what is advised."""
    sigmoid = {"activation": "sigmoid", "depth": 8}
    relu = {"activation": "relu"}
    yield "mlp deep sigmoid", MLP, sigmoid, "vanishing_gradient", "hidden_0", relu
    yield (
        "mlp deep sigmoid sgd",
        replace(TABLE, **SGD),
        sigmoid,
        "vanishing_gradient",
        "hidden_0",
        relu,
    )
    yield "cnn deep sigmoid", CNN, {**sigmoid, "depth": 6}, "vanishing_gradient", "hidden_0", relu
    small = {"gain": 0.05, "depth": 6}
    yield "mlp small init", MLP, small, "vanishing_gradient", "hidden_0", {"gain": 1.0}
    yield (
        "mlp small init tanh",
        DIABETES,
        {**small, "activation": "tanh"},
        "vanishing_gradient",
        "hidden_0",
        {"gain": 1.0},
    )
    yield "cnn small init", CNN, small, "vanishing_gradient", "hidden_0", {"gain": 1.0}
    yield (
        "mlp deep sigmoid cancer",
        replace(TABLE, data="breast_cancer"),
        sigmoid,
        "vanishing_gradient",
        "hidden_0",
        relu,
    )

    large = {"gain": 6.0, "depth": 6}
    yield "mlp large init", MLP, large, "exploding_gradient", "", {"gain": 1.0}
    yield (
        "mlp large init sgd",
        replace(MLP, **SGD | {"rate": 1e-3}),
        large,
        "exploding_gradient",
        "",
        {"gain": 1.0},
    )
    yield "cnn large init", CNN, large, "exploding_gradient", "", {"gain": 1.0}
    yield (
        "rnn exploding recurrence",
        replace(RNN, activation="linear"),
        {"gain": 1.8},
        "exploding_gradient",
        "",
        {"gain": 1.0},
    )
    yield (
        "rnn exploding relu recurrence",
        replace(RNN, activation="relu"),
        {"gain": 2.5},
        "exploding_gradient",
        "",
        {"gain": 1.0},
    )
    yield (
        "transformer large init",
        TRANSFORMER,
        {"gain": 12.0, "wrong": "no normalization"},
        "exploding_gradient",
        "",
        {"gain": 1.0, "wrong": ""},
    )
    yield (
        "mlp raw inputs",
        replace(TABLE, data="breast_cancer"),
        {"raw": True},
        "exploding_gradient",
        "",
        {"raw": False},
    )

    for name, base in (("mlp", MLP), ("cnn", CNN), ("lstm", LSTM), ("transformer", TRANSFORMER)):
        yield f"{name} corrupt batch", base, {"inf_at": 25}, "nonfinite", "", {"inf_at": 0}
    yield "mlp bare logarithm", MLP, {"wrong": "logarithm"}, "nonfinite", "", {"wrong": ""}

    dead = {"bias": -10.0}
    yield (
        "mlp dead relu",
        MLP,
        {**dead, "biased": "hidden_1"},
        "dead_units",
        "hidden_1",
        {"bias": 0.0},
    )
    yield (
        "mlp dead relu table",
        TABLE,
        {"bias": -20.0, "biased": "hidden_0"},
        "dead_units",
        "hidden_0",
        {"bias": 0.0},
    )
    yield (
        "cnn dead relu",
        CNN,
        {**dead, "biased": "hidden_1"},
        "dead_units",
        "hidden_1",
        {"bias": 0.0},
    )
    yield (
        "transformer dead relu",
        TRANSFORMER,
        {"bias": -20.0},
        "dead_units",
        "hidden_",
        {"bias": 0.0},
    )
    yield "gan dead judge", GAN, {"wrong": "dead judge"}, "dead_units", "dead", {"wrong": ""}
    yield (
        "mlp relu before the loss",
        MLP,
        {"wrong": "relu of logits"},
        "dead_units",
        "out",
        {"wrong": ""},
    )

    tanh = {"activation": "tanh"}
    yield (
        "mlp saturated by raw inputs",
        TABLE,
        {**tanh, "raw": True},
        "saturated_layer",
        "hidden_0",
        {"raw": False},
    )
    yield (
        "mlp saturated by init",
        MLP,
        {**tanh, "gain": 40.0},
        "saturated_layer",
        "hidden_",
        {"gain": 1.0},
    )
    yield (
        "mlp saturated sigmoid",
        replace(TABLE, data="breast_cancer"),
        {"activation": "sigmoid", "gain": 60.0},
        "saturated_layer",
        "hidden_",
        {"gain": 1.0},
    )
    yield (
        "cnn saturated by init",
        CNN,
        {**tanh, "gain": 60.0},
        "saturated_layer",
        "hidden_",
        {"gain": 1.0},
    )
    yield (
        "mlp saturated by bias",
        DIABETES,
        {**tanh, "bias": 20.0},
        "saturated_layer",
        "hidden_",
        {"bias": 0.0},
    )

    for name, base in (("mlp", MLP), ("cnn", CNN), ("lstm", LSTM), ("transformer", TOKENS)):
        layer = "positions" if name == "transformer" else "branch"
        yield (
            f"{name} detached branch",
            base,
            {"wrong": "detached"},
            "no_gradient",
            layer,
            {"wrong": ""},
        )
    yield (
        "mlp only the head trains",
        MLP,
        {"wrong": "only the head"},
        "no_gradient",
        "hidden_",
        {"wrong": ""},
    )
    yield (
        "lstm only the head trains",
        LSTM,
        {"wrong": "only the head"},
        "no_gradient",
        "hidden_",
        {"wrong": ""},
    )

    yield (
        "mlp not trainable",
        MLP,
        {"wrong": "not trainable"},
        "frozen_parameter",
        "hidden_0",
        {"wrong": ""},
    )
    yield "cnn pinned", CNN, {"wrong": "pinned"}, "frozen_parameter", "hidden_0", {"wrong": ""}
    yield "mlp pinned", TABLE, {"wrong": "pinned"}, "frozen_parameter", "hidden_0", {"wrong": ""}

    for name, base in (("mlp", MLP), ("cnn", CNN), ("lstm", LSTM), ("transformer", TOKENS)):
        rate = 300 * base.rate
        yield (
            f"{name} rate too high",
            base,
            {"rate": rate},
            "update_too_large",
            "",
            {"rate": base.rate},
        )
    yield (
        "gan rate too high",
        GAN,
        {"rate": 0.2, "discriminator_rate": 5e-4},
        "update_too_large",
        "",
        {"rate": 5e-4},
    )

    steep = {"optimizer": "SGD", "settings": {}}
    yield (
        "linear diverging",
        replace(DIABETES, depth=0),
        {**steep, "rate": 0.6},
        "loss_diverging",
        "",
        {"rate": 0.006},
    )
    yield (
        "linear rate too high",
        replace(MLP, depth=0),
        {**steep, "rate": 100.0},
        "update_too_large",
        "",
        {"rate": 0.3},
    )
    yield (
        "mlp diverging",
        MLP,
        {"activation": "tanh", "optimizer": "SGD", "rate": 10.0, "settings": {"momentum": 0.9}},
        "loss_diverging",
        "",
        {"rate": 0.05},
    )
    yield "rnn diverging", RNN, {**steep, "rate": 20.0}, "loss_diverging", "", {"rate": 0.05}
    yield (
        "transformer diverging",
        TRANSFORMER,
        {**steep, "rate": 5.0},
        "loss_diverging",
        "",
        {"rate": 0.05},
    )
    yield (
        "cnn sgd rate too high",
        CNN,
        {**steep, "rate": 3.0},
        "update_too_large",
        "",
        {"rate": 0.03},
    )
    yield (
        "mlp momentum rate too high",
        MLP,
        {"optimizer": "SGD", "rate": 1.5, "settings": {"momentum": 0.95}},
        "update_too_large",
        "",
        {"rate": 0.015},
    )

    yield (
        "linear oscillating",
        replace(DIABETES, depth=0, batch=442),
        {**steep, "rate": 0.245},
        "loss_oscillating",
        "",
        {"rate": 0.0245},
    )
    yield (
        "linear oscillating momentum",
        replace(DIABETES, depth=0, batch=442),
        {"optimizer": "SGD", "rate": 0.46, "settings": {"momentum": 0.9}, "steps": 600},
        "loss_oscillating",
        "",
        {"rate": 0.046},
    )

    for name, base in (("mlp", MLP), ("cnn", CNN), ("lstm", LSTM), ("transformer", TRANSFORMER)):
        yield (
            f"{name} rate too low",
            base,
            {"rate": base.rate / 1000},
            "loss_stuck",
            "",
            {"rate": base.rate},
        )
    yield (
        "mlp sgd rate too low",
        replace(TABLE, **SGD),
        {"rate": 5e-6},
        "loss_stuck",
        "",
        {"rate": 0.05},
    )
    yield (
        "mlp labels shuffled",
        MLP,
        {"shuffled": True, "steps": 800},
        "loss_stuck",
        "",
        {"shuffled": False},
    )
    yield (
        "cnn labels shuffled",
        CNN,
        {"shuffled": True, "steps": 800},
        "loss_stuck",
        "",
        {"shuffled": False},
    )
    yield (
        "transformer labels shuffled",
        TRANSFORMER,
        {"shuffled": True, "steps": 800},
        "loss_stuck",
        "",
        {"shuffled": False},
    )
    cancer = replace(TABLE, data="breast_cancer")
    yield (
        "mlp softmax of one",
        cancer,
        {"wrong": "softmax of one"},
        "no_gradient",
        "",
        {"wrong": ""},
    )
    yield (
        "mlp loss of a probability",
        cancer,
        {"wrong": "no probability"},
        "no_gradient",
        "",
        {"wrong": ""},
    )

    for name, base in (("mlp", replace(MLP, **SGD)), ("cnn", CNN), ("diabetes", DIABETES)):
        yield (
            f"{name} one wild batch",
            base,
            {"spike_at": 60},
            "gradient_spike",
            "",
            {"spike_at": 0},
        )

    clipped = {"optimizer": "SGD", "rate": 0.05, "settings": {"global_clipnorm": 1e-3}}
    for name, base in (("mlp", MLP), ("lstm", LSTM), ("transformer", TOKENS)):
        advised = {"settings": {"global_clipnorm": 1.0}}
        yield f"{name} clipped far too low", base, clipped, "clipping_always", "", advised

    full = {"optimizer": "SGD", "settings": {}, "curvature": 10}
    yield (
        "linear beyond the edge",
        replace(DIABETES, depth=0, batch=442),
        {**full, "rate": 0.28},
        "edge_of_stability",
        "",
        {"rate": 0.028},
    )
    yield (
        "linear momentum beyond the edge",
        replace(DIABETES, depth=0, batch=442),
        {**full, "rate": 0.52, "settings": {"momentum": 0.9}},
        "edge_of_stability",
        "",
        {"rate": 0.052},
    )
    yield (
        "mlp saddle at zero",
        DIABETES,
        {"gain": 0.0, "activation": "tanh", "curvature": 20},
        "critical_point",
        "",
        {"gain": 1.0},
    )

    uneven = {
        "wrong": "one large layer",
        "normalization": True,
        "optimizer": "SGD",
        "rate": 0.01,
        "settings": {},
    }
    yield "mlp one large layer", MLP, uneven, "layer_rate_mismatch", "hidden_1", {"wrong": ""}
    yield "cnn one large layer", CNN, uneven, "layer_rate_mismatch", "hidden_1", {"wrong": ""}

    yield (
        "mlp batch of two",
        replace(MLP, **SGD),
        {"steps": 800, "batch": 2, "rate": 0.01},
        "noise_dominated",
        "",
        {"batch": 32},
    )
    yield "cnn batch of two", CNN, {"steps": 800, "batch": 2}, "noise_dominated", "", {"batch": 32}
    yield (
        "mlp whole data a batch",
        replace(MLP, **SGD),
        {"batch": 1797, "rate": 0.02, "settings": {}},
        "batch_too_large",
        "",
        {"batch": 256, "steps": 2800},
    )

    overflow = {"mixed": True, "raw": True, "gain": 60.0}
    yield (
        "mlp mixed overflow",
        replace(MLP, depth=4),
        overflow,
        "loss_scale_collapse",
        "",
        {"raw": False, "gain": 1.0},
    )
    yield (
        "cnn mixed overflow",
        replace(CNN, depth=4),
        overflow,
        "loss_scale_collapse",
        "",
        {"raw": False, "gain": 1.0},
    )

    few = {"samples": 40, "rate": 5e-3, "batch": 20, "width": 128, "steps": 800}
    yield "mlp overfitting", DIABETES, few, "overfitting", "", {"samples": 300}
    yield (
        "mlp overfitting noise",
        TABLE,
        {**few, "shuffled": True},
        "overfitting",
        "",
        {"samples": 140},
    )
    yield "lstm overfitting", LSTM, few, "overfitting", "", {"samples": 1600}


def _aside() -> Iterator[tuple[Any, ...]]:
    """Planted faults that no threshold was chosen by."""
    images, tokens_lstm = replace(CNN, width=36), replace(LSTM, data="tokens", width=32)
    rows, cancer = replace(LSTM, data="rows"), replace(TABLE, data="breast_cancer")
    sigmoid = {"activation": "sigmoid"}
    yield (
        "aside mlp deep sigmoid wide",
        replace(MLP, width=96),
        {**sigmoid, "depth": 6},
        "vanishing_gradient",
        "hidden_0",
        {"activation": "relu"},
    )
    yield (
        "aside mlp deep sigmoid diabetes",
        DIABETES,
        {**sigmoid, "depth": 7},
        "vanishing_gradient",
        "hidden_0",
        {"activation": "relu"},
    )
    yield (
        "aside cnn deep sigmoid momentum",
        replace(images, **SGD),
        {**sigmoid, "depth": 7},
        "vanishing_gradient",
        "hidden_0",
        {"activation": "relu"},
    )
    yield (
        "aside mlp small init cancer",
        cancer,
        {"gain": 0.08, "depth": 6},
        "vanishing_gradient",
        "hidden_0",
        {"gain": 1.0},
    )
    yield (
        "aside mlp large init cancer",
        replace(cancer, depth=5),
        {"gain": 10.0},
        "exploding_gradient",
        "",
        {"gain": 1.0},
    )
    yield (
        "aside cnn large init rmsprop",
        replace(images, optimizer="RMSprop"),
        {"gain": 8.0, "depth": 5},
        "exploding_gradient",
        "",
        {"gain": 1.0},
    )
    yield (
        "aside rnn exploding recurrence",
        replace(RNN, data="rows", activation="relu"),
        {"gain": 5.0},
        "exploding_gradient",
        "",
        {"gain": 1.0},
    )
    yield "aside mlp raw wine", TABLE, {"raw": True}, "exploding_gradient", "", {"raw": False}
    for name, base, at in (
        ("mlp", cancer, 40),
        ("rnn", RNN, 10),
        ("transformer", replace(TRANSFORMER, depth=1), 60),
    ):
        yield f"aside {name} corrupt batch", base, {"inf_at": at}, "nonfinite", "", {"inf_at": 0}
    yield (
        "aside mlp dead relu sgd",
        replace(cancer, **SGD),
        {"bias": -15.0, "biased": "hidden_1"},
        "dead_units",
        "hidden_1",
        {"bias": 0.0},
    )
    yield (
        "aside cnn dead relu deep",
        replace(images, depth=4),
        {"bias": -6.0, "biased": "hidden_2"},
        "dead_units",
        "hidden_2",
        {"bias": 0.0},
    )
    yield (
        "aside transformer dead relu",
        replace(TOKENS, width=48),
        {"bias": -12.0, "biased": "hidden_1"},
        "dead_units",
        "hidden_1",
        {"bias": 0.0},
    )
    yield (
        "aside gan dead judge",
        replace(GAN, width=64, batch=32),
        {"wrong": "dead judge"},
        "dead_units",
        "dead",
        {"wrong": ""},
    )
    yield (
        "aside mlp saturated cancer raw",
        cancer,
        {"activation": "tanh", "raw": True},
        "saturated_layer",
        "hidden_0",
        {"raw": False},
    )
    yield (
        "aside mlp saturated sigmoid wine",
        TABLE,
        {**sigmoid, "raw": True},
        "saturated_layer",
        "hidden_0",
        {"raw": False},
    )
    yield (
        "aside cnn saturated by bias",
        CNN,
        {"activation": "tanh", "bias": 15.0},
        "saturated_layer",
        "hidden_",
        {"bias": 0.0},
    )
    yield (
        "aside rnn detached branch",
        RNN,
        {"wrong": "detached"},
        "no_gradient",
        "branch",
        {"wrong": ""},
    )
    yield (
        "aside transformer detached branch",
        TRANSFORMER,
        {"wrong": "detached"},
        "no_gradient",
        "positions",
        {"wrong": ""},
    )
    yield (
        "aside cnn only the head trains",
        images,
        {"wrong": "only the head"},
        "no_gradient",
        "hidden_",
        {"wrong": ""},
    )
    yield (
        "aside transformer only the head trains",
        TRANSFORMER,
        {"wrong": "only the head"},
        "no_gradient",
        "hidden_",
        {"wrong": ""},
    )
    yield (
        "aside cnn not trainable",
        CNN,
        {"wrong": "not trainable"},
        "frozen_parameter",
        "hidden_0",
        {"wrong": ""},
    )
    yield (
        "aside transformer pinned",
        TRANSFORMER,
        {"wrong": "pinned"},
        "frozen_parameter",
        "hidden_0",
        {"wrong": ""},
    )
    for name, base in (
        ("mlp wine", TABLE),
        ("cnn", images),
        ("lstm rows", rows),
        ("transformer", TRANSFORMER),
    ):
        yield (
            f"aside {name} rate too high",
            base,
            {"rate": 200 * base.rate},
            "update_too_large",
            "",
            {"rate": base.rate},
        )
    steep = {"optimizer": "SGD", "settings": {}}
    yield (
        "aside linear diverging",
        replace(DIABETES, depth=0, batch=64),
        {**steep, "rate": 0.5},
        "loss_diverging",
        "",
        {"rate": 0.005},
    )
    yield (
        "aside cnn diverging tanh",
        CNN,
        {**steep, "activation": "tanh", "rate": 15.0},
        "loss_diverging",
        "",
        {"rate": 0.05},
    )
    yield (
        "aside lstm diverging",
        LSTM,
        {"optimizer": "SGD", "rate": 20.0, "settings": {"momentum": 0.9}},
        "loss_diverging",
        "",
        {"rate": 0.05},
    )
    yield (
        "aside linear oscillating",
        replace(DIABETES, depth=0, batch=300, samples=0),
        {**steep, "rate": 0.243},
        "loss_oscillating",
        "",
        {"rate": 0.0243},
    )
    for name, base in (("mlp cancer", cancer), ("lstm tokens", tokens_lstm), ("cnn", images)):
        yield (
            f"aside {name} rate too low",
            base,
            {"rate": base.rate / 500},
            "loss_stuck",
            "",
            {"rate": base.rate},
        )
    yield (
        "aside lstm labels shuffled",
        rows,
        {"shuffled": True, "steps": 800},
        "loss_stuck",
        "",
        {"shuffled": False},
    )
    yield (
        "aside mlp labels shuffled sgd",
        replace(MLP, **SGD),
        {"shuffled": True, "steps": 800},
        "loss_stuck",
        "",
        {"shuffled": False},
    )
    yield (
        "aside mlp one wild batch",
        cancer,
        {"spike_at": 45},
        "gradient_spike",
        "",
        {"spike_at": 0},
    )
    yield (
        "aside cnn one wild batch",
        replace(images, **SGD | {"rate": 0.01}),
        {"spike_at": 70},
        "gradient_spike",
        "",
        {"spike_at": 0},
    )
    clipped = {"optimizer": "SGD", "rate": 0.05, "settings": {"clipnorm": 5e-4}}
    yield (
        "aside cnn clipped far too low",
        CNN,
        clipped,
        "clipping_always",
        "",
        {"settings": {"clipnorm": 1.0}},
    )
    yield (
        "aside linear beyond the edge",
        replace(DIABETES, depth=0, batch=442),
        {**steep, "curvature": 15, "rate": 0.3},
        "edge_of_stability",
        "",
        {"rate": 0.03},
    )
    uneven = {"wrong": "one large layer", "normalization": True, **steep, "rate": 0.02}
    yield (
        "aside mlp one large layer",
        replace(MLP, depth=4, width=64),
        uneven,
        "layer_rate_mismatch",
        "hidden_1",
        {"wrong": ""},
    )
    yield (
        "aside transformer batch of two",
        TRANSFORMER,
        {"steps": 800, "batch": 2},
        "noise_dominated",
        "",
        {"batch": 32},
    )
    yield (
        "aside cnn whole data a batch",
        replace(CNN, optimizer="SGD", rate=0.01),
        {"batch": 1797},
        "batch_too_large",
        "",
        {"batch": 256, "steps": 2800},
    )
    yield (
        "aside mlp mixed overflow",
        replace(cancer, depth=4),
        {"mixed": True, "raw": True, "gain": 60.0},
        "loss_scale_collapse",
        "",
        {"raw": False, "gain": 1.0},
    )
    yield (
        "aside cnn overfitting",
        replace(CNN, width=48),
        {"samples": 40, "rate": 5e-3, "batch": 20, "shuffled": True, "steps": 800},
        "overfitting",
        "",
        {"samples": 1200, "shuffled": False},
    )


def planted() -> tuple[Case, ...]:
    """All with a fault."""
    return (*_cases(_planted(), aside=False), *_cases(_aside(), aside=True))


def _cases(rows: Iterator[tuple[Any, ...]], *, aside: bool) -> Iterator[Case]:
    for name, base, fault, rule, layers, advised in rows:
        group = "." if base.model != "gan" else "generator" if "rate" in fault else "discriminator"
        yield Case(name, replace(base, **fault), rule, layers, group, advised, aside)


def healthy() -> tuple[Case, ...]:
    """All without one."""
    momentum = {"optimizer": "SGD", "rate": 0.02, "settings": {"momentum": 0.9}}
    kinds: dict[str, dict[str, Any]] = {
        "adam": {},
        "sgd": {"optimizer": "SGD", "rate": 0.1, "settings": {}},
        "momentum": momentum,
        "rmsprop": {"optimizer": "RMSprop"},
        "adamw clip": {
            "optimizer": "AdamW", "rate": 2e-3, "schedule": "warmup",
            "settings": {"weight_decay": 0.01, "global_clipnorm": 1.0},
        },
    }  # fmt: skip
    recipes: list[tuple[str, Recipe]] = []
    cancer = replace(TABLE, data="breast_cancer")
    for data in (MLP, TABLE, cancer, DIABETES):
        for kind, change in kinds.items():
            if data is DIABETES and kind == "sgd":
                change = {**change, "rate": 0.03}
            if data is DIABETES and kind == "momentum":
                change = {**change, "rate": 0.005}
            recipes.append((f"mlp {data.data} {kind}", replace(data, **change)))
    for kind, change in kinds.items():
        recipes.append((f"cnn {kind}", replace(CNN, **change)))
        recipes.append((f"transformer rows {kind}", replace(TRANSFORMER, **change)))
    more = {"normalization": True, "depth": 4}
    recipes += [
        ("cnn batch normalization", replace(CNN, **more)),
        ("cnn dropout", replace(CNN, dropout=0.3)),
        ("cnn mixed precision", replace(CNN, mixed=True)),
        ("cnn cosine", replace(CNN, **momentum, schedule="cosine")),
        ("mlp tanh", replace(MLP, activation="tanh")),
        ("mlp gelu deep", replace(MLP, activation="gelu", depth=5)),
        ("mlp deep relu", replace(MLP, depth=8)),
        ("mlp deep batch normalization", replace(MLP, **more, **momentum)),
        ("mlp sigmoid shallow", replace(MLP, activation="sigmoid", depth=1, rate=5e-3)),
        ("mlp validation", replace(MLP, samples=1200)),
        ("mlp small batch", replace(MLP, batch=8)),
        ("mlp large batch", replace(MLP, batch=256, rate=2e-3)),
        ("mlp raw targets", replace(DIABETES, raw_targets=True, rate=1e-2)),
        ("mlp long", replace(TABLE, steps=2000)),
        ("mlp curvature", replace(TABLE, **momentum, curvature=50)),
        ("lstm waves", LSTM),
        (
            "lstm waves momentum",
            replace(LSTM, optimizer="SGD", rate=0.1, settings={"momentum": 0.9, "clipnorm": 1.0}),
        ),
        ("lstm rows", replace(LSTM, data="rows")),
        ("lstm tokens", replace(LSTM, data="tokens")),
        ("lstm deep", replace(LSTM, depth=2)),
        ("rnn waves", RNN),
        ("rnn rows rmsprop", replace(RNN, data="rows", optimizer="RMSprop")),
        ("transformer tokens", TOKENS),
        ("transformer tokens warmup", replace(TOKENS, **kinds["adamw clip"])),
        ("transformer deep", replace(TRANSFORMER, depth=4)),
        ("gan ring", GAN),
        ("gan ring rmsprop", replace(GAN, optimizer="RMSprop", settings={}, rate=2e-4)),
        ("gan digits", replace(GAN, data="digits", rate=2e-4, width=96)),
    ]
    aside = [
        ("mlp digits nadam", replace(MLP, optimizer="Nadam", width=80)),
        ("mlp digits adagrad", replace(MLP, optimizer="Adagrad", rate=0.05)),
        (
            "mlp wine nesterov",
            replace(
                TABLE, optimizer="SGD", rate=0.01, settings={"momentum": 0.9, "nesterov": True}
            ),
        ),
        ("mlp wine lion", replace(TABLE, optimizer="Lion", rate=2e-4)),
        ("mlp breast_cancer elu", replace(cancer, activation="elu", depth=4)),
        ("mlp breast_cancer batch 16", replace(cancer, batch=16, rate=5e-4)),
        ("mlp diabetes tanh", replace(DIABETES, activation="tanh", rate=2e-3)),
        ("mlp diabetes deep", replace(DIABETES, depth=4, rate=5e-4)),
        ("mlp swish", replace(MLP, activation="swish", depth=4)),
        (
            "mlp silu momentum cosine",
            replace(MLP, activation="silu", **momentum, schedule="cosine"),
        ),
        ("mlp large batch momentum", replace(MLP, batch=512, **momentum)),
        ("mlp validation cancer", replace(cancer, samples=400)),
        ("linear digits", replace(MLP, depth=0, optimizer="SGD", rate=0.2, settings={})),
        ("cnn tanh", replace(CNN, activation="tanh")),
        ("cnn elu deep", replace(CNN, activation="elu", depth=4)),
        ("cnn batch normalization momentum", replace(CNN, **more, **momentum)),
        ("cnn nadam wide", replace(CNN, optimizer="Nadam", width=72)),
        ("cnn warmup", replace(CNN, **kinds["adamw clip"], width=36)),
        ("lstm wide", replace(LSTM, width=48, rate=1e-3)),
        ("lstm rows rmsprop", replace(LSTM, data="rows", optimizer="RMSprop", rate=1e-3)),
        ("lstm tokens clip", replace(LSTM, data="tokens", settings={"global_clipnorm": 1.0})),
        ("rnn rows", replace(RNN, data="rows", rate=2e-3)),
        ("transformer wide", replace(TRANSFORMER, width=64, rate=5e-4)),
        ("transformer gelu", replace(TRANSFORMER, activation="gelu", depth=3)),
        ("transformer rows nadam", replace(TRANSFORMER, optimizer="Nadam")),
        ("transformer tokens mixed", replace(TOKENS, mixed=True)),
        ("gan ring wide", replace(GAN, width=96, rate=3e-4)),
        ("gan digits small batch", replace(GAN, data="digits", rate=2e-4, width=96, batch=32)),
    ]
    return (
        *(Case(f"healthy {name}", recipe) for name, recipe in recipes),
        *(Case(f"aside healthy {name}", recipe, aside=True) for name, recipe in aside),
    )
