"""The examples that `tbgrad demo` runs: programs, each with a docstring that says what it shows."""

from __future__ import annotations

import ast
from pathlib import Path

import tbgrad
from tbgrad.commands.inputs import InputError


def examples() -> dict[str, Path]:
    """The example programs by name.

    In a checkout they are at its top; a wheel has them within the package.
    """
    package = Path(tbgrad.__file__).parent
    places = (package / "examples", package.parent / "examples")
    folder = next(filter(Path.is_dir, places), places[0])
    return {path.stem: path for path in sorted(folder.glob("*.py"))}


def example(name: str) -> Path:
    """The program of this name; an `InputError` where there is none."""
    try:
        return examples()[name]
    except KeyError:
        raise InputError(f"there is no example {name!r}: tbgrad demo --list names all") from None


def title(path: Path) -> str:
    """What an example shows, in one line: the first of its docstring."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return said.partition("\n")[0]
