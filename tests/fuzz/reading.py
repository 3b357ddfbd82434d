"""Any bytes as an event file: nothing raises, and reading in pieces is reading whole.

    pip install atheris
    python -m tests.fuzz.reading [--minutes 10] [--found DIRECTORY]

An input begins with a byte that says whether the rest is a file as it is, or the contents of
records, each behind its length in two bytes, which are framed with true checksums: so the decoding
is tried too, and not only the framing. What is found that reaches new code is left in DIRECTORY;
tests/fuzz/corpus has a small choice of it, which tests/test_fuzz.py goes through.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path

from tbgrad.export import table
from tbgrad.log.framing import frame
from tbgrad.reading.directory import LogDirectory, read
from tbgrad.report import summary
from tests.support.events import NAME, snapshot

CORPUS = Path(__file__).parent / "corpus"


def file_of(data: bytes) -> bytes:
    """The event file that an input stands for."""
    content = data[1:]
    if data[:1] < b"\x80":
        return content
    parts = []
    while content:
        length = int.from_bytes(content[:2], "little")
        parts.append(content[2 : 2 + length])
        content = content[2 + length :]
    return b"".join(frame(part) for part in parts)


def input_of(contents: list[bytes]) -> bytes:
    """The input that stands for records of these contents."""
    return b"\x80" + b"".join(len(c).to_bytes(2, "little") + c for c in contents)


def check(data: bytes, directory: Path) -> None:
    """Read what an input stands for in every way there is."""
    content = file_of(data)
    path = directory / NAME
    path.unlink(missing_ok=True)
    log = LogDirectory(directory, bounded=False)
    for end in (len(content) // 3, len(content)):
        with path.open("ab") as file:
            file.write(content[path.stat().st_size : end])
        log.poll()
    whole = read(directory)
    assert {n: snapshot(r) for n, r in log.runs.items()} == {
        n: snapshot(r) for n, r in whole.items()
    }
    for run in read(directory, bounded=True).values():
        json.dumps(summary.to_json({run.name: summary.build(run)}), allow_nan=False)
    for run in whole.values():
        for tag in run:
            for _ in table.blocks(run, tag):
                pass
            for _ in table.records(run, tag):
                pass


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--found", type=Path, default=Path(tempfile.gettempdir()) / "tbgrad-fuzz")
    arguments = parser.parse_args()
    import atheris

    arguments.found.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        for module in ("reading.directory", "reading.builder", "reading.parse", "reading.store",
                       "reading.rows", "reading.repeats", "reading.columns.column",
                       "reading.columns.scalars", "reading.columns.packed", "log.tail",
                       "log.framing", "log.decode", "log.json_records", "log.tags",
                       "report.summary", "export.table"):  # fmt: skip
            _instrument(atheris, sys.modules[f"tbgrad.{module}"])
        options = [f"-max_total_time={60 * arguments.minutes:.0f}", "-max_len=4096", "-timeout=20"]
        places = [str(arguments.found), str(CORPUS)]
        atheris.Setup([sys.argv[0], *options, *places], lambda data: check(data, Path(scratch)))
        atheris.Fuzz()


def _instrument(atheris: object, module: object) -> None:
    """Let the fuzzer see which lines of a module are reached."""
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) != module.__name__:  # type: ignore[attr-defined]
            continue
        if isinstance(value, type):
            for key, method in list(vars(value).items()):
                if callable(method) and hasattr(method, "__code__"):
                    setattr(value, key, atheris.instrument_func(method))  # type: ignore[attr-defined]
        elif hasattr(value, "__code__"):
            setattr(module, name, atheris.instrument_func(value))  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
