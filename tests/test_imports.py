"""Who loads what: in clean interpreters, with TensorFlow installed, on real files."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.logs import write_run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


_PRINT_MODULES = "import sys, json; print(json.dumps(list(sys.modules)))"


def modules_after(code: str, *arguments: str) -> set[str]:
    """Top-level names of all modules that are loaded once `code` has run."""
    child = subprocess.run(
        [sys.executable, "-c", f"{code}\n{_PRINT_MODULES}", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=ROOT,
    )
    return {name.partition(".")[0] for name in json.loads(child.stdout.splitlines()[-1])}


def test_tensorflow_is_installed_so_that_these_tests_mean_something():
    assert importlib.util.find_spec("tensorflow") is not None


def test_importing_tbgrad_loads_the_standard_library_alone():
    bare = modules_after("")
    foreign = modules_after("import tbgrad") - bare - set(sys.stdlib_module_names)
    assert foreign == {"tbgrad"}


@pytest.fixture
def logdir(tmp_path):
    write_run(tmp_path / "a", steps=100)
    return str(tmp_path)


READERS = {
    "read": "import sys, tbgrad; assert len(tbgrad.read(sys.argv[1])['a']['loss']) == 10",
    "report": (
        "import sys; from tbgrad.commands.main import main\n"
        "assert main(['report', sys.argv[1]]) == 0"
    ),
    "report --json": (
        "import sys; from tbgrad.commands.main import main\n"
        "assert main(['report', sys.argv[1], '--json']) == 0"
    ),
    "plot": (
        "import sys; from tbgrad.commands.main import main\n"
        "assert main(['plot', sys.argv[1], '-o', sys.argv[1] + '/a.png']) == 0"
    ),
}


@pytest.mark.parametrize("code", READERS.values(), ids=READERS.keys())
def test_reading_a_log_loads_no_tensorflow(code, logdir):
    loaded = modules_after(code, logdir)
    assert "tbgrad" in loaded
    assert not loaded & {"tensorflow", "keras", "textual", "plotly"}


def test_unknown_names_are_refused_as_in_any_module():
    import tbgrad

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tbgrad.nonsense
    assert {"read", "GradientMonitor", "hessian"} <= set(dir(tbgrad))


def test_the_room_of_the_hessian_can_be_imported_and_waits_with_tensorflow():
    assert "tensorflow" not in modules_after("import tbgrad.hessian; from tbgrad import hessian")


def test_the_numerics_of_the_hessian_load_no_tensorflow():
    room = ROOT / "tbgrad" / "hessian"
    names = [f"tbgrad.hessian.{path.stem}" for path in room.glob("*.py") if "__" not in path.stem]
    assert not modules_after(f"import {', '.join(names)}") & {"tensorflow", "keras"}


def test_a_type_checker_sees_misspelt_names(tmp_path):
    right = "tbgrad.read('x')", "tbgrad.GradientMonitor", "tbgrad.hessian.trace", "trace"
    wrong = "tbgrad.raed('x')", "tbgrad.GradientMonitr", "tbgrad.hessian.trce", "tbgrad.nonsense"
    lines = ["import tbgrad", "import tbgrad.hessian", "from tbgrad.hessian import trace"]
    (tmp_path / "script.py").write_text("\n".join([*lines, *right, *wrong]) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"),
         "--cache-dir", str(ROOT / ".mypy_cache"), str(tmp_path / "script.py")],
        capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
    )  # fmt: skip
    found = re.findall(r"script\.py:(\d+): error: .*\[attr-defined\]", done.stdout)
    assert [int(line) for line in found] == [8, 9, 10, 11], done.stdout


@pytest.fixture(scope="module")
def base_install(tmp_path_factory):
    """What `pip install tbgrad` leaves: all that is installed here but TensorFlow and Keras."""
    here = tmp_path_factory.mktemp("site-packages")
    installed = Path(pytest.__file__).parents[1]
    for path in installed.iterdir():
        if not path.name.lower().startswith(("tensorflow", "keras", "_virtualenv", "__editable")):
            (here / path.name).symlink_to(path)

    def run_there(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-c", code],
            capture_output=True, text=True, timeout=120, check=False, cwd="/",
            env={"PYTHONPATH": f"{here}:{ROOT}:{ROOT / 'tui'}", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip

    return run_there


def test_help_on_an_install_without_tensorflow(base_install):
    done = base_install("import pydoc, tbgrad; pydoc.help(tbgrad)")
    assert (done.returncode, done.stderr) == (0, "")
    assert "class LogDirectory" in done.stdout
    assert "pip install 'tbgrad[tensorflow]'" in done.stdout
    done = base_install("import pydoc, tbgrad.hessian; pydoc.help(tbgrad.hessian)")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "code",
    [
        "import tbgrad; tbgrad.GradientMonitor",
        "from tbgrad import Curvature",
        "from tbgrad.hessian import HessianOperator",
        "from tbgrad.hessian import eigenvalues; eigenvalues(lambda: 0.0, [])",
        "from tbgrad.hessian import layer_eigenvalues; layer_eigenvalues(lambda: 0.0, [])",
    ],
)
def test_without_tensorflow_one_sentence_says_what_to_install(base_install, code):
    sentence = base_install(code).stderr.splitlines()[-1]
    assert sentence.startswith("ImportError: ")
    assert "needs TensorFlow" in sentence
    assert "pip install 'tbgrad[tensorflow]'" in sentence


# ------------------------------------------------------------------------------- the layers hold


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PYTHONPATH": f"{directory}:{directory / 'tui'}", "PATH": "/usr/bin:/bin"},
    )


@pytest.fixture
def copy(tmp_path):
    """The packages and their contracts, free to be broken."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "tbgrad", tmp_path / "tbgrad", ignore=ignore)
    shutil.copytree(ROOT / "tui", tmp_path / "tui", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold(copy):
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


BREACHES = [
    ("log.records", "tbgrad.log.encode"),
    ("log.tags", "tbgrad.log.records"),
    ("log.text", "tbgrad.log.tags"),
    ("log.decode", "tbgrad.log.tail"),
    ("log.encode", "tbgrad.reading.directory"),
    ("log.append", "textual"),
    ("reading.run", "tbgrad.reading.builder"),
    ("reading.builder", "keras"),
    ("reading.directory", "tbgrad.report.summary"),
    ("diagnosis.engine", "tbgrad.reading.run"),
    ("monitoring", "tbgrad.reading.run"),
    ("monitoring", "tensorflow"),
    ("hessian.lanczos", "tensorflow"),
    ("hessian", "tbgrad.keras"),
    ("report.summary", "tensorflow"),
    ("figures.drawing", "tbgrad.report.summary"),
    ("figures.drawing", "tensorflow"),
    ("report.print", "tbgrad_tui"),
    ("commands.main", "tensorflow"),
    ("plugin", "tbgrad.keras"),
    ("keras", "tbgrad.plugin"),
]


def test_every_breach_of_the_contracts_is_found(copy):
    for module, forbidden in BREACHES:
        place = copy / "tbgrad" / module.replace(".", "/")
        path = place.with_suffix(".py")
        path = path if path.exists() else place / "__init__.py"
        path.write_text(f"{path.read_text()}\nimport {forbidden}\n")
    with (copy / "tui" / "tbgrad_tui" / "__init__.py").open("a") as file:
        file.write("\nimport tbgrad.plugin\nimport tensorflow\n")
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    found = set(re.findall(r"(\S+)\s+->\s+(\S+)\s+\(l\.", done.stdout))
    expected = {(f"tbgrad.{module}", forbidden) for module, forbidden in BREACHES}
    expected |= {("tbgrad_tui", "tbgrad.plugin"), ("tbgrad_tui", "tensorflow")}
    assert expected - found == set()


def test_every_room_is_under_the_contracts():
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = content["tool"]["importlinter"]["contracts"]
    rooms = {path.stem for path in (ROOT / "tbgrad").iterdir() if "__" not in path.stem}
    rooms -= {"py"}  # py.typed

    def named(contract: dict[str, Any], key: str) -> set[str]:
        words = " ".join(contract.get(key, ())).replace("|", " ").split()
        return {word.split(".")[1] for word in words if word.startswith("tbgrad.")}

    layers = contracts[0]
    assert rooms - named(layers, "layers") == set()
    forbidden = {
        library: named(contract, "source_modules")
        for contract in contracts
        for library in ("tensorflow", "textual")
        if library in contract.get("forbidden_modules", ())
    }
    assert rooms - forbidden["tensorflow"] == {"keras"}
    assert rooms - forbidden["textual"] == {"commands"}
