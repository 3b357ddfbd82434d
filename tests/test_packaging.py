"""What people install: the wheel's content, its entry points, and that it works from there."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tbgrad
from tests.support.logs import write_run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """The wheel as pip would build it, with the build tool that is already there."""
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (path,) = target.glob("*.whl")
    return zipfile.ZipFile(path)


def metadata_file(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = [n for n in wheel.namelist() if n.endswith(f".dist-info/{name}")]
    return wheel.read(path).decode()


def test_the_wheel_holds_every_tracked_file_of_both_packages(wheel):
    listed = subprocess.run(
        ["git", "ls-files", "tbgrad", "tui/tbgrad_tui"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    tracked = {name.removeprefix("tui/") for name in listed.stdout.splitlines()}
    assert {"tbgrad/py.typed", "tbgrad_tui/py.typed", "tbgrad/plugin/static/index.js"} <= tracked
    assert tracked - set(wheel.namelist()) == set()


def test_the_wheel_holds_nothing_third_party_and_no_tests(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"tbgrad", "tbgrad_tui", f"tbgrad-{tbgrad.__version__}.dist-info"}
    assert not [name for name in wheel.namelist() if "plotly" in name.lower()]


def test_the_version_is_said_once(wheel):
    assert f"\nVersion: {tbgrad.__version__}\n" in metadata_file(wheel, "METADATA")


def test_the_entry_points_lead_somewhere(wheel):
    entries = configparser.ConfigParser()
    entries.read_string(metadata_file(wheel, "entry_points.txt"))
    assert dict(entries["console_scripts"]) == {"tbgrad": "tbgrad.commands.main:main"}
    assert dict(entries["tensorboard_plugins"]) == {"tbgrad": "tbgrad.plugin:Loader"}
    from tbgrad.commands.main import main
    from tbgrad.plugin import Loader

    assert callable(main)
    assert callable(Loader)


def test_tensorflow_is_an_extra(wheel):
    required = [
        line.removeprefix("Requires-Dist: ")
        for line in metadata_file(wheel, "METADATA").splitlines()
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    ]
    assert required
    assert not [name for name in required if name.startswith(("tensorflow", "keras"))]


def test_the_command_works_from_the_installed_files(wheel, tmp_path):
    wheel.extractall(tmp_path / "installed")
    write_run(tmp_path / "runs", steps=20)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, tbgrad, tbgrad_tui; from tbgrad.commands.main import main\n"
            "print(tbgrad.__file__, tbgrad_tui.__file__); sys.exit(main(sys.argv[1:]))",
            "report",
            str(tmp_path / "runs"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    first, second = done.stdout.splitlines()[:2]
    assert first.count(str(tmp_path / "installed")) == 2
    assert second == "run ."
