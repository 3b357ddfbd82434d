"""Training on several replicas: which one observes, and the sums that all of them take part in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tensorflow as tf

from tbgrad.keras import internals
from tbgrad.keras.parameters import tensorflow_variable

T = TypeVar("T")


def count() -> int:
    """Replicas that take the present step together, those of other workers included."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def index() -> int:
    """Which of them traces or runs this code; 0 outside of replicas."""
    context = tf.distribute.get_replica_context()
    if context is None or count() == 1:
        return 0
    return int(tf.get_static_value(tf.convert_to_tensor(context.replica_id_in_sync_group)))


def sums(values: Sequence[Any]) -> list[Any]:
    """The sum of each tensor over all replicas; every one of them has to call this. None stays."""
    given = [value for value in values if value is not None]
    context = tf.distribute.get_replica_context()
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, given) if given else ())
    return [None if value is None else next(summed) for value in values]


def writes_summaries(variables: Sequence[Any]) -> bool:
    """Whether this process, of those that train `variables` together, is the one to keep a log."""
    strategy = tf.distribute.get_strategy()
    for variable in variables:
        strategy = getattr(tensorflow_variable(variable), "distribute_strategy", None) or strategy
    return bool(strategy.extended.should_save_summary)


def several_workers(strategy: Any) -> bool:
    """Whether the replicas are in several processes."""
    return internals.several_workers(strategy)


def outside_tracing(function: Callable[..., T], *args: Any) -> T:
    """Call `function` as if no graph were under construction and no strategy in force.

    A variable made inside a replica would be one on every replica; the monitor's are on one device.
    One made while a function is traced for the second time would be an error of that function.
    """
    if tf.executing_eagerly() and not tf.distribute.has_strategy():
        return function(*args)
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(function(*args))
        except Exception as error:  # noqa: BLE001 - raised again in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=run, name="tbgrad-outside")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
