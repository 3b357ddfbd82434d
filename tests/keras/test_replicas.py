"""Several replicas: the log is that of one device on the whole batch, and one process writes it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

import tbgrad
from tests.support.distributed import (
    BATCH,
    CLIP,
    FIT_CASES,
    LOOP_CASES,
    NAN_STEP,
    OUTPUTS,
    RATE,
    STEPS,
    WORKER_CASES,
    W,
    X,
    Y,
    bare,
)

pytestmark = pytest.mark.tensorflow

DECAY = FIT_CASES["clipped_decayed"]["weight_decay"]


def start(*arguments):
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.distributed", *map(str, arguments)],
        env=os.environ | quiet,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    directory = tmp_path_factory.mktemp("mirrored")
    child = start("mirrored", directory)
    said = child.communicate(timeout=300)[0]
    assert child.returncode == 0, said
    return directory, np.load(directory / "weights.npz"), said


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    directory = tmp_path_factory.mktemp("workers")
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    ports = ",".join(str(each.getsockname()[1]) for each in sockets)
    for each in sockets:
        each.close()
    children = [start("worker", directory, index, ports) for index in range(2)]
    said = [child.communicate(timeout=300)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], said
    return directory, [np.load(directory / f"weights{index}.npz") for index in range(2)]


def clip(gradient):
    return gradient * min(1.0, CLIP / np.linalg.norm(gradient))


def expected(case):
    """Loss, norm, norm of the update and clip factor of every step, in float64."""
    w, rows = W.astype(np.float64), []
    for step in range(STEPS):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        x, y = X[batch].astype(np.float64), Y[batch].astype(np.float64)
        # Keras clips the gradient of each replica, which is of half a batch, before it adds.
        halves = [
            2 / (BATCH * OUTPUTS) * a.T @ (a @ w - b)
            for a, b in zip(np.split(x, 2), np.split(y, 2), strict=True)
        ]
        gradient = sum(halves)
        applied = sum(map(clip, halves)) if "clipped" in case else gradient
        new = (w * (1 - RATE * DECAY) if "decayed" in case else w) - RATE * applied
        rows.append(
            (
                np.mean((x @ w - y) ** 2),
                np.linalg.norm(gradient),
                np.linalg.norm(new - w),
                np.linalg.norm(applied) / np.linalg.norm(gradient),
            )
        )
        w = new
    return np.array(rows).T


def check(logdir, case):
    loss, norm, update, factor = expected(case)
    run = tbgrad.read(logdir)["."]
    assert run["gradient/norm"].steps.tolist() == list(range(1, STEPS + 1))
    np.testing.assert_allclose(run["gradient/norm"].values, norm, rtol=1e-5)
    np.testing.assert_allclose(run.statistic("norm")[:, 0], norm, rtol=1e-5)
    np.testing.assert_allclose(run["loss"].values, loss, rtol=1e-5)
    if case == "loop_without_optimizer":
        assert np.isnan(run.statistic("update_norm")).all()
    else:
        np.testing.assert_allclose(run.statistic("update_norm")[:, 0], update, rtol=1e-4)
    if "clipped" in case:
        np.testing.assert_allclose(run["gradient/clip_factor"].values, factor, rtol=1e-4)
    else:
        assert "gradient/clip_factor" not in run


@pytest.mark.parametrize("case", ["curvature", "eagerly", "clipped_decayed", "scaled", *LOOP_CASES])
def test_two_mirrored_replicas_log_what_one_device_would(case, mirrored):
    check(mirrored[0] / case, case)


def test_two_mirrored_replicas_train_the_same_with_and_without_the_monitor(mirrored):
    weights = mirrored[1]
    for case in (*FIT_CASES, *LOOP_CASES):
        np.testing.assert_array_equal(weights[case], weights[bare(case)], err_msg=case)


def test_a_value_that_is_not_finite_on_one_replica_alone_is_named(mirrored):
    directory, _, said = mirrored
    run = tbgrad.read(directory / "not_finite")["."]
    assert run.statistic("nonfinite")[:, 0].nonzero()[0][0] == NAN_STEP - 1
    assert f"not finite at step {NAN_STEP}" in said


def test_curvature_is_estimated_where_two_replicas_train(mirrored):
    run = tbgrad.read(mirrored[0] / "curvature")["."]
    x = X.astype(np.float64)
    largest = np.linalg.eigvalsh(2 / (len(x) * OUTPUTS) * x.T @ x)[-1]
    found = run["curvature/lambda_max"]
    assert found.steps.tolist() == [0, 5, 10, 12]
    np.testing.assert_allclose(found.values, largest, rtol=0.02)


def test_the_curvature_that_adam_sees_is_estimated_where_two_replicas_train(mirrored):
    run = tbgrad.read(mirrored[0] / "adaptive_curvature")["."]
    w, mean, square = W.astype(np.float64), 0.0, 0.0
    for step in range(STEPS):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        x, y = X[batch].astype(np.float64), Y[batch].astype(np.float64)
        gradient = 2 / (BATCH * OUTPUTS) * x.T @ (x @ w - y)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        correction = (1 - 0.9 ** (step + 1)) / np.sqrt(1 - 0.999 ** (step + 1))
        diagonal = correction * (np.sqrt(square) + 1e-7)
        w = w - RATE * mean / diagonal
    x = X.astype(np.float64)
    whole = np.kron(2 / (len(x) * OUTPUTS) * x.T @ x, np.eye(OUTPUTS))
    scale = np.sqrt(diagonal.ravel())
    sharpest = np.linalg.eigvalsh(whole / np.outer(scale, scale))[-1]
    last = run["tbgrad/curvature"].values[-1]
    assert last.preconditioned.value == pytest.approx(sharpest, rel=0.02)
    assert last.stability == pytest.approx(sharpest / (38 / RATE), rel=0.02)


def test_of_two_workers_the_first_writes_what_one_device_would(workers):
    directory, weights = workers
    for case in WORKER_CASES:
        check(directory / "worker0" / case, case)
        assert not (directory / "worker1" / case).exists()
        for own in weights:
            np.testing.assert_array_equal(own[case], own[bare(case)])
