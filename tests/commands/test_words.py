"""What the command says of a log that is not all there, or not as it should be."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas
import pytest
from tensorboard.compat.proto import event_pb2, summary_pb2, types_pb2

from tbgrad.log import encode
from tests.commands.conftest import COMMAND, refusal, run
from tests.reading.test_nothing_lost import tensor_event
from tests.support.events import NAME, event, write_events
from tests.support.logs import write_run


def test_a_full_disk_behind_standard_output_is_one_sentence(tmp_path: Path) -> None:
    write_run(tmp_path / "a", steps=50)
    with open("/dev/full", "w") as full:
        for arguments in (["report"], ["report", "--json"]):
            done = subprocess.run(
                [*COMMAND, *arguments, str(tmp_path)],
                stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 2
            assert done.stderr == (
                "tbgrad: the output cannot be written: No space left on device\n"
            )


def test_logs_that_are_compressed(tmp_path: Path) -> None:
    packed = gzip.compress(write_events(tmp_path / "plain", [event(1)]).read_bytes())
    (tmp_path / "runs").mkdir()
    path = tmp_path / "runs" / f"{NAME}.gz"
    path.write_bytes(packed)
    words = f"{path}, byte 0: not read: it is compressed with gzip: decompress it first"
    sentence = refusal("export", tmp_path / "runs", "-o", tmp_path / "x.csv")
    assert sentence.startswith(f"nothing could be read: {words}")
    done = run("report", tmp_path / "runs")
    assert done.returncode == 0
    assert "steps           nothing could be read" in done.stdout
    assert done.stdout.count("compressed with gzip") == 1
    assert words in done.stdout
    said = json.loads(run("report", tmp_path / "runs", "--json").stdout)
    assert "gzip" in said["problems"][str(path)]
    assert said["runs"]["."]["damage"]["count"] == 1


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    write_events(tmp_path / "runs" / NAME, [event(s, v) for v in (1.0, 2.0) for s in range(200)])
    words = "200 values of loss gave way to later ones of the same or a lower step"
    done = run("report", tmp_path / "runs")
    assert f"left out: 200 values of the log\n{words}\n" in done.stdout
    said = json.loads(run("report", tmp_path / "runs", "--json").stdout)["runs"]["."]["left_out"]
    assert (said["count"], said["listed"][0]["tag"]) == (200, "loss")
    done = run("export", tmp_path / "runs", "-o", tmp_path / "x.csv")
    assert f"left out: {words.replace('loss', '.: loss')}\n" in done.stderr
    assert "200 rows of 1 run" in done.stderr


def test_steps_below_zero_are_steps(tmp_path: Path) -> None:
    write_events(tmp_path / "runs" / NAME, [event(step) for step in (-5, -4, -3)])
    done = run("report", tmp_path / "runs")
    assert "steps           -5 to -3, 3 logged" in done.stdout
    said = json.loads(run("report", tmp_path / "runs", "--json").stdout)["runs"]["."]
    assert (said["first_step"], said["last_step"]) == (-5, -3)


def test_a_run_of_histograms_and_texts_alone_says_what_it_holds(tmp_path: Path) -> None:
    values = [encode.histogram("weights", np.ones((3, 3))), encode.note("hello")]
    made = event_pb2.Event(step=1, wall_time=1.0, summary=summary_pb2.Summary(value=values))
    write_events(tmp_path / "runs" / NAME, [made])
    done = run("report", tmp_path / "runs")
    assert "It holds 1 series of histograms and 1 series of texts." in done.stdout
    assert "no scalars either" not in done.stdout


def test_a_home_directory_and_a_misspelt_one(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "mnist", steps=20)
    home = {**os.environ, "HOME": str(tmp_path)}
    assert "run mnist" in run("report", "~/runs", env=home).stdout
    target = tmp_path / "out.csv"
    assert run("export", "~/runs", "-o", "~/out.csv", env=home).returncode == 0
    assert target.exists()
    for command in (["report"], ["export", "-o", str(target)]):
        assert refusal(*command, "~/runs/mnsit", env=home) == (
            f"{tmp_path}/runs/mnsit does not exist: did you mean {tmp_path}/runs/mnist?"
        )


@pytest.mark.parametrize("command", ["report", "watch"])
def test_logs_on_other_machines(command: str) -> None:
    assert refusal(command, "me@server:/data/runs") == (
        "me@server:/data/runs is on another machine: read it there, with "
        "ssh -t me@server tbgrad watch /data/runs"
    )
    assert refusal(command, "nonsense://x/y").startswith("nonsense://x/y cannot be read: ")
    # fsspec is there, and what it needs for this is not.
    assert refusal(command, "s3://bucket/runs").startswith(
        "reading s3://bucket/runs needs more: Install s3fs"
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl", ".npz"])
def test_an_export_keeps_all_digits(tmp_path: Path, suffix: str) -> None:
    number = 2**53 + 1
    made = tensor_event(1, "count", dtype=types_pb2.DT_INT64, int64_val=[number])
    write_events(tmp_path / "runs" / NAME, [made])
    target = tmp_path / f"x{suffix}"
    assert run("export", tmp_path / "runs", "-o", target).returncode == 0
    if suffix == ".npz":
        assert np.load(target)[".//count//values"].tolist() == [number]
    elif suffix == ".jsonl":
        assert json.loads(target.read_text())["value"] == number
    elif suffix == ".parquet":
        assert pandas.read_parquet(target)["text"].tolist() == [str(number)]
    else:
        assert f",{number},{number}" in target.read_text()
    said = json.loads(run("report", tmp_path / "runs", "--json").stdout)
    assert said["runs"]["."]["scalars"]["count"]["last"]["value"] == number
