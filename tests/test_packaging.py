"""What people install: the wheel's content, its entry points, and that it works from there."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import tbgrad
from tests.support.logs import write_run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Path:
    """Wheel and source distribution as pip would build them, by the build tool that is there."""
    target = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(target)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return target


@pytest.fixture(scope="module")
def wheel(dist) -> zipfile.ZipFile:
    (path,) = dist.glob("*.whl")
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


def test_the_examples_are_found_in_an_installed_wheel(wheel, tmp_path):
    wheel.extractall(tmp_path)
    listed = subprocess.run(
        [sys.executable, "-m", "tbgrad", "demo", "--list"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    names = {line.split()[0] for line in listed.stdout.splitlines()}
    assert names == {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert not [name for name in wheel.namelist() if name.endswith(".png")]


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


def test_an_index_takes_both_distributions_without_a_warning(dist):
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, dist.iterdir())],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_the_description_begins_with_how_to_install_and_leads_nowhere_relative(wheel):
    _, _, description = metadata_file(wheel, "METADATA").partition("\n\n")
    assert description.startswith("`pip install 'tbgrad[tensorflow]'`")
    targets = re.findall(r"\]\(([^)]+)\)|src(?:set)?=\"([^\"]+)\"", description)
    assert len(targets) > 10
    assert [t for pair in targets for t in pair if t and not t.startswith("https://")] == []


def test_what_is_imported_is_declared(wheel):
    metadata = metadata_file(wheel, "METADATA")
    declared = {
        re.match(r"[\w-]+", line.removeprefix("Requires-Dist: "))[0].lower()
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist: ")
    }
    modules = {"google": "protobuf", "google_crc32c": "google-crc32c", "sklearn": "scikit-learn",
               "ml_dtypes": "ml-dtypes", "pynvml": "nvidia-ml-py", "re2": "google-re2"}  # fmt: skip
    imported = set()
    for path in [*(ROOT / "tbgrad").rglob("*.py"), *(ROOT / "tui").rglob("*.py")]:
        found = re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(), re.MULTILINE)
        imported |= set(found)
    third_party = imported - set(sys.stdlib_module_names) - {"tbgrad", "tbgrad_tui"}
    assert {modules.get(name, name) for name in third_party} <= declared
    assert re.search(r"Requires-Dist: keras<[\d.]+,>=", metadata)  # no further than was tested


def test_the_source_distribution_is_what_is_developed_in(dist, tmp_path):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    (root,) = tmp_path.iterdir()
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    tracked = set(listed.stdout.splitlines()) - {".gitignore", ".ci/run"}
    there = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    assert tracked - there == set()
    for command in ("demo", "test"):  # the README's
        subprocess.run(["make", "-n", command], cwd=root, check=True, capture_output=True)
    assert metadata_file_of(root)["project"]["scripts"] == {"tbgrad": "tbgrad.commands.main:main"}


def metadata_file_of(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())


def test_a_program_with_strict_types_may_use_every_public_name(tmp_path):
    """As a user's editor sees it: from the installed package, with no settings of ours."""
    program = Path(__file__).parent / "support" / "typed_user.py"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, str(program)],
        cwd=tmp_path,
        env={**os.environ, "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache" / "user")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    mistakes = [line for line in done.stdout.splitlines() if "typed_user.py" in line]
    assert mistakes == []
    assert set(tbgrad.__all__) - set(re.findall(r"tbgrad\.(\w+)", program.read_text())) == set()
