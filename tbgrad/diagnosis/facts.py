"""What else is known of a run: what its logged records told last, for causes and advice."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tbgrad.diagnosis.epochs import Epochs
from tbgrad.diagnosis.network import Network
from tbgrad.diagnosis.record import Record
from tbgrad.log.records import Manifest
from tbgrad.log.tags import LEARNING_RATE, LOSS

ENDED = 1e-3
"""A learning rate of so much of its highest value has come to its end."""

ORDINARY = 0.3
"""Weights into a unit count as if they had at least this norm: some begin at zero."""

ENTRIES = 10
"""So many estimates of the size of the inputs are kept, of the first records."""

RESTS = 0.01
"""A bias whose gradient is so small beside others has come to rest, and tells nothing of inputs."""


class Facts:
    """The newest of what only some records tell. NaN, None or empty is not known.

    Attributes:
        manifest: the newest one.
        rate: the learning rate of the newest step, `peak_rate` its highest so far.
        ended_since: the step from which on the rate is next to nothing beside its highest; -1 where
            it is not.
        updates: relative update of every kernel, [P], NaN elsewhere; `largest_update` is the
            largest of them, `worst_update` the largest so far.
        first_weights: norms of all weights in the first record that had them; `weights` the newest.
        dead: the largest share of units of a layer that no gradient reaches.
        no_gradient: whether the gradient of all parameters is exactly zero.
        stability: largest eigenvalue over the optimizer's threshold.
        inputs: of the first records, how large the inputs of the first layer seem to be: gradient
            norm of its kernel over that of its bias, for one input.
        epochs: the course of the loss within the epochs.
    """

    def __init__(self) -> None:
        self.manifest: Manifest | None = None
        self.rate = self.peak_rate = math.nan
        self.ended_since = -1
        self.updates: NDArray[np.float64] | None = None
        self.largest_update = self.worst_update = math.nan
        self.first_weights: NDArray[np.float32] | None = None
        self.weights: NDArray[np.float32] | None = None
        self.dead = 0.0
        self.no_gradient = False
        self.stability = math.nan
        self.inputs: list[float] = []
        self.epochs = Epochs()

    def add(self, record: Record, layers: Network | None) -> None:
        """Take in a record, ahead of the rules."""
        if record.manifest is not None and record.manifest is not self.manifest:
            self.manifest = record.manifest
            self.first_weights = None
        self._add_rate(record)
        if record.curvature is not None:
            self.stability = record.curvature.stability
        loss = record.scalars.get(LOSS, math.nan)
        if self.manifest is not None and self.manifest.batches:
            first = record.first_step or record.step
            self.epochs.add((first + record.step) // 2, loss, self.manifest.batches[-1])
        if record.table is not None and layers is not None:
            self._add_table(record, layers)

    @property
    def input_scale(self) -> float:
        """How large a single input is, at least; NaN where it is not known."""
        return min(self.inputs, default=math.nan)

    def _add_rate(self, record: Record) -> None:
        rate = record.scalars.get(LEARNING_RATE, math.nan)
        if math.isnan(rate):
            return
        self.rate = rate
        self.peak_rate = rate if math.isnan(self.peak_rate) else max(self.peak_rate, rate)
        if rate > ENDED * self.peak_rate:
            self.ended_since = -1
        elif self.ended_since < 0:
            self.ended_since = record.first_step or record.step

    def _add_table(self, record: Record, layers: Network) -> None:
        norms, weights = record.statistic("norm"), record.statistic("weight_norm")
        updates, dead = record.statistic("update_norm"), record.statistic("dead_fraction")
        if weights is not None:
            self.weights = weights
            self.first_weights = weights if self.first_weights is None else self.first_weights
            if updates is not None:
                self._add_updates(updates, weights, layers)
        if norms is None:
            return
        known = norms[~np.isnan(norms)]
        self.no_gradient = bool(len(known)) and not known.any()
        if dead is not None and len(layers.heads):
            shares = dead[layers.heads]
            self.dead = float(np.nan_to_num(np.fmax.reduce(shares)))
        if layers.entrance is not None:
            kernel, bias, root = layers.entrance
            scale = float(norms[kernel]) / max(float(norms[bias]) * root, 1e-30)
            rests = norms[bias] < RESTS * np.fmax.reduce(norms[layers.heads])
            if math.isfinite(scale) and scale > 0 and not rests and len(self.inputs) < ENTRIES:
                self.inputs.append(scale)

    def _add_updates(
        self, updates: NDArray[np.float32], weights: NDArray[np.float32], layers: Network
    ) -> None:
        rows = layers.kernels
        ratios = np.full(layers.count, np.nan)
        least = ORDINARY * np.sqrt(layers.units[rows])
        ratios[rows] = updates[rows] / np.maximum(weights[rows], least)
        ratios[~np.isfinite(ratios)] = np.nan
        self.updates = ratios
        if not np.isnan(ratios).all():
            self.largest_update = float(np.nanmax(ratios))
            self.worst_update = float(np.fmax(self.worst_update, self.largest_update))
