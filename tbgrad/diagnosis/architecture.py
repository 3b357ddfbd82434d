"""What explains a fault by how a model is put together: causes that are there, with a remedy."""

from __future__ import annotations

from tbgrad.diagnosis.change import literal
from tbgrad.diagnosis.rule import Moment
from tbgrad.diagnosis.suspects import Suspect
from tbgrad.log.records import Parameter

MANY_SAMPLES = 32
"""A batch by which statistics of it are known well enough."""


def linear_network(moment: Moment) -> Suspect | None:
    """Layers without an activation between them, which together are one linear layer.

    Told of dense layers with nothing unknown between them.
    """
    dense = _dense(moment)
    if len(dense) < 2 or any(p.activation != "linear" or not p.normalization for p in dense[:-1]):
        return None
    return Suspect(
        f"{len(dense)} layers without an activation between them are one linear layer",
        "give all hidden layers activation='relu'",
    )


def softmax_within(moment: Moment) -> Suspect | None:
    """A softmax behind most hidden layers, which leaves of a unit what the others do not take."""
    hidden = _dense(moment)[:-1]
    of_softmax = sum(p.activation == "softmax" for p in hidden)
    if not of_softmax or 2 * of_softmax < len(hidden):
        return None
    return Suspect(
        "a softmax within the network: the outputs of a layer sum up to one, so that each unit "
        "passes on little",
        "replace activation='softmax' by 'relu' in all hidden layers, with "
        "kernel_initializer='he_normal'",
    )


def batch_of_one(moment: Moment) -> Suspect | None:
    """A BatchNormalization over one sample, which is what it is subtracted from."""
    manifest = moment.manifest
    size = manifest.batches[-1].batch_size if manifest is not None and manifest.batches else 0
    if size != 1 or manifest is None:
        return None
    there = any("batch_norm" in p.layer for p in manifest.parameters if p.role == "normalization")
    if not there or not any(p.normalization in ("after", "both") for p in _dense(moment)):
        return None
    return Suspect(
        "BatchNormalization over a batch of one: what is left of a sample without its mean is zero",
        f"raise batch_size from 1 to {literal(MANY_SAMPLES)}",
    )


def _dense(moment: Moment) -> list[Parameter]:
    """The kernels, in their order, where all of them are of dense layers; else none."""
    manifest, layers = moment.manifest, moment.layers
    if manifest is None or layers is None:
        return []
    kernels = [manifest.parameters[row] for row in layers.kernels]
    return kernels if all(len(p.shape) == 2 for p in kernels) and not layers.embeds else []
