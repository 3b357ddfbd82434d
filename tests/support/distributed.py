"""Programs that train on two replicas; `tests/keras/test_replicas.py` runs them and reads.

    python -m tests.support.distributed mirrored DIRECTORY         two logical devices, every case
    python -m tests.support.distributed worker DIRECTORY 0 PORTS   one of two workers

They train a linear model under the mean squared error, with and without the monitor, and leave the
logs and the final weights in DIRECTORY.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

BATCH, STEPS, INPUTS, OUTPUTS, RATE = 16, 12, 5, 3, 0.05
RNG = np.random.default_rng(5)
X = RNG.standard_normal((BATCH * STEPS, INPUTS)).astype(np.float32)
Y = RNG.standard_normal((BATCH * STEPS, OUTPUTS)).astype(np.float32)
W = RNG.standard_normal((INPUTS, OUTPUTS)).astype(np.float32)
CLIP = 0.3
NAN_STEP = 7

FIT_CASES = {
    "curvature": {},
    "found_by_itself": {},
    "eagerly": {},
    "clipped_decayed": {"global_clipnorm": CLIP, "weight_decay": 0.1},
    "scaled": {},
    "not_finite": {},
    "adaptive_curvature": {},
}
LOOP_CASES = ("loop", "loop_clipped_by_hand", "loop_without_optimizer")
WORKER_CASES = ("loop_clipped_by_hand", "loop_without_optimizer")
SAME = {"found_by_itself": "curvature", "loop_without_optimizer": "loop"}
"""What differs from another case in the monitor alone trains the same without it."""


def bare(case):
    """Where the weights without the monitor are."""
    return f"{SAME.get(case, case)}_bare"


def fit(strategy, case, callbacks):
    import keras

    with strategy.scope():
        model = keras.Sequential([keras.Input((INPUTS,)), keras.layers.Dense(
            OUTPUTS, use_bias=False, name="linear")])  # fmt: skip
        model.set_weights([W])
        kind = keras.optimizers.Adam if case == "adaptive_curvature" else keras.optimizers.SGD
        optimizer = kind(RATE, **FIT_CASES[case])
        if case == "scaled":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(optimizer, "mse", run_eagerly=case == "eagerly")
    x = X.copy()
    if case == "not_finite":
        # A replica takes half a batch: in one of them alone.
        x[(NAN_STEP - 1) * BATCH + BATCH - 1, 0] = np.nan
    model.fit(x, Y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=callbacks)
    return model.get_weights()[0]


def loop(strategy, case, logdir):
    import keras
    import tensorflow as tf

    import tbgrad

    with strategy.scope():
        w = tf.Variable(W, name="linear")
        optimizer = keras.optimizers.SGD(RATE)
        optimizer.build([w])
    seen = None if case == "loop_without_optimizer" else optimizer
    writer = tbgrad.GradientSummaryWriter(logdir, [w], optimizer=seen, every=1) if logdir else None

    def on_replica(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((x @ w - y) ** 2) / (BATCH * OUTPUTS)
        gradients = tape.gradient(loss, [w])
        if writer is not None:
            writer.observe(gradients, loss=loss)
        if case == "loop_clipped_by_hand":
            gradients = [tf.clip_by_norm(g, CLIP) for g in gradients]
        optimizer.apply(gradients, [w])

    @tf.function
    def train_step(batch):
        strategy.run(on_replica, args=batch)

    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(BATCH)
    for batch in strategy.experimental_distribute_dataset(data):
        train_step(batch)
    if writer is not None:
        writer.close()
    return strategy.experimental_local_results(w)[0].numpy()


def mirrored(directory):
    import tensorflow as tf

    import tbgrad

    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    weights = {}
    for case in FIT_CASES:
        wanted = tbgrad.Curvature(data=(X, Y), every=5, budget=None)
        curvature = wanted if "curvature" in case else None
        monitor = tbgrad.GradientMonitor(
            directory / case, every=None if case == "found_by_itself" else 1, curvature=curvature
        )
        weights[case] = fit(strategy, case, [monitor])
        if bare(case) not in weights:
            weights[bare(case)] = fit(strategy, case, [])
    for case in LOOP_CASES:
        weights[case] = loop(strategy, case, directory / case)
        if bare(case) not in weights:
            weights[bare(case)] = loop(strategy, case, None)
    np.savez(directory / "weights.npz", **weights)


def worker(directory, index, ports):
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    task = {"type": "worker", "index": index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    assert strategy.num_replicas_in_sync == 2
    weights = {}
    for case in WORKER_CASES:
        weights[case] = loop(strategy, case, directory / f"worker{index}" / case)
        if bare(case) not in weights:
            weights[bare(case)] = loop(strategy, case, None)
    np.savez(directory / f"weights{index}.npz", **weights)


if __name__ == "__main__":
    kind, target, *rest = sys.argv[1:]
    if kind == "mirrored":
        mirrored(Path(target))
    else:
        worker(Path(target), int(rest[0]), rest[1].split(","))
