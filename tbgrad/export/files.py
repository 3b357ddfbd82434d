"""Write runs into a file for other programs: CSV, Parquet, JSON lines or NumPy arrays."""

from __future__ import annotations

import csv
import fnmatch
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tbgrad.export import table
from tbgrad.log.encode import to_jsonable
from tbgrad.log.records import Damage
from tbgrad.log.tags import MANIFEST, STEPS
from tbgrad.reading.left_out import LeftOut
from tbgrad.reading.run import Run

NOT_ASKED = "are written where --tag says so, as --tag '*'"
"""Why the norms of every parameter at every step are left out."""


class ExportError(Exception):
    """An export that cannot be made; one sentence says why and what to do."""


class ExportFile(Protocol):
    """A file that is being written, series by series."""

    def begin(self, run: Run) -> None:
        """Begin with another run."""

    def add(self, run: Run, tag: str) -> int:
        """Write a series; how many rows, lines or arrays it took."""

    def close(self) -> None:
        """Write what is left."""


class CsvFile:
    """One row a number, in the columns of `table.COLUMNS`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._writer = csv.writer(self._file)
        self._writer.writerow(table.COLUMNS)

    def begin(self, run: Run) -> None:
        """Nothing."""

    def add(self, run: Run, tag: str) -> int:
        """Write a series."""
        rows = 0
        for block in table.blocks(run, tag):
            count = len(block["step"])
            columns = [_cells(name, block.get(name, ""), count) for name in table.COLUMNS]
            self._writer.writerows(zip(*columns, strict=True))
            rows += count
        return rows

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class JsonLinesFile:
    """One object a line: a value of a series at a step; a run with a manifest begins with it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", errors="backslashreplace")

    def begin(self, run: Run) -> None:
        """Write the manifest."""
        if run.manifest is not None:
            value = to_jsonable(asdict(run.manifest))
            self._write({"run": run.name, "tag": MANIFEST, "value": value})

    def add(self, run: Run, tag: str) -> int:
        """Write a series."""
        lines = 0
        for lines, record in enumerate(table.records(run, tag), start=1):  # noqa: B007
            self._write(record)
        return lines

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, content: dict[str, Any]) -> None:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self._file.write(text + "\n")


class NpzFile:
    """Arrays by name, "RUN//TAG//steps" and so on, as `numpy.load` reads them."""

    def __init__(self, path: Path) -> None:
        self._file = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._names: set[str] = set()

    def begin(self, run: Run) -> None:
        """Write the manifest."""
        if run.manifest is not None:
            text = json.dumps(to_jsonable(asdict(run.manifest)))
            self._write(f"{run.name}//{MANIFEST}", np.array(text))

    def add(self, run: Run, tag: str) -> int:
        """Write a series."""
        count = 0
        for count, (name, array) in enumerate(table.arrays(run, tag), start=1):  # noqa: B007
            self._write(f"{run.name}//{tag}//{name}", array)
        return count

    def close(self) -> None:
        """Write the list of the arrays."""
        self._file.close()

    def _write(self, name: str, array: Any) -> None:
        free, number = name, 1
        while free in self._names:
            number += 1
            free = f"{name} ({number})"
        self._names.add(free)
        sound = free.encode(errors="backslashreplace").decode()
        with self._file.open(f"{sound}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


class ParquetFile:
    """The rows of `CsvFile`; texts that repeat are stored once."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise ExportError(
                "Parquet needs pyarrow: pip install 'tbgrad[parquet]', or choose a .csv file"
            ) from None
        self._arrow = pyarrow
        types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
        fields = [(name, types[kind]) for name, kind in table.COLUMNS.items()]
        self._schema = pyarrow.schema(fields)
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema)

    def begin(self, run: Run) -> None:
        """Nothing."""

    def add(self, run: Run, tag: str) -> int:
        """Write a series."""
        rows = 0
        for block in table.blocks(run, tag):
            count = len(block["step"])
            columns = []
            for name, field in zip(table.COLUMNS, self._schema, strict=True):
                value = block.get(name)
                if value is None:
                    columns.append(self._arrow.nulls(count, field.type))
                elif np.ndim(value) == 0:
                    columns.append(self._arrow.array(np.full(count, value), field.type))
                elif name == "value":
                    columns.append(self._arrow.array(np.asarray(value, np.float64)))
                else:
                    columns.append(self._arrow.array(value).cast(field.type))
            self._writer.write_table(self._arrow.table(columns, schema=self._schema))
            rows += count
        return rows

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


FILES: dict[str, Callable[[Path], ExportFile]] = {
    ".csv": CsvFile,
    ".parquet": ParquetFile,
    ".jsonl": JsonLinesFile,
    ".npz": NpzFile,
}


def write(
    runs: Iterator[Run],
    target: Path,
    run_pattern: str = "*",
    tag_patterns: Sequence[str] | None = None,
    left_out: list[LeftOut] | None = None,
) -> dict[str, int]:
    """Write the series that match into `target`, whose suffix says how; all of it or nothing.

    Without patterns of tags these are all but the norms of every parameter at every step, of which
    there may be many more than of all else; a pattern that matches `tbgrad/steps` has them written.

    Returns the number of rows (CSV, Parquet), lines (JSON lines) or arrays (npz) by run. What of
    these series the log has and they have not is added to `left_out`, with the run in its tag.

    Raises:
        ExportError: the suffix is unknown, a package is missing, or nothing matches.
        OSError: the file cannot be written.
    """
    make = FILES.get(target.suffix.lower())
    if make is None:
        known = ", ".join(FILES)
        raise ExportError(
            f"the name of the file says what is written, and {target.name!r} does not end in one "
            f"of {known}"
        )
    written: dict[str, int] = {}
    seen: list[str] = []
    unread: list[Damage] = []
    readable = False
    with replacing(target) as scratch:
        file = make(scratch)
        try:
            for run in runs:
                seen.append(run.name)
                readable |= bool(run)
                unread += () if run else run.damage
                if not fnmatch.fnmatchcase(run.name, run_pattern):
                    continue
                tags, missing = _chosen(run, tag_patterns)
                if left_out is not None:
                    left_out += [replace(one, tag=f"{run.name}: {one.tag}") for one in missing]
                if tags:
                    file.begin(run)
                    written[run.name] = sum(file.add(run, tag) for tag in tags)
        finally:
            file.close()
        if unread and not readable:
            more = f", and {len(unread) - 1:,} more places" if len(unread) > 1 else ""
            raise ExportError(f"nothing could be read: {unread[0]}{more}")
        if not written:
            wanted = " or ".join(map(repr, tag_patterns or ("*",)))
            raise ExportError(
                f"nothing matches: no run {run_pattern!r} with a series like {wanted}; "
                f"the runs are {', '.join(seen) or 'none'}"
            )
    return written


def _chosen(run: Run, patterns: Sequence[str] | None) -> tuple[list[str], list[LeftOut]]:
    """The series of a run that match, and what of these is not written."""

    def matches(tag: str) -> bool:
        return any(fnmatch.fnmatchcase(tag, pattern) for pattern in patterns or ("*",))

    tags = [tag for tag in run if matches(tag)]
    missing = [entry for entry in run.left_out if matches(entry.tag)]
    if not patterns and STEPS in tags:
        tags.remove(STEPS)
        missing.insert(0, LeftOut(STEPS, run[STEPS].total, NOT_ASKED))
    return tags, missing


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A file beside the target, which takes its place when all went well."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        umask = os.umask(0)
        os.umask(umask)
        scratch.chmod(0o666 & ~umask)  # as a file that was opened has, and a temporary one has not
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def _cells(name: str, column: Any, count: int) -> list[Any]:
    """A column of a block for CSV: values in the fewest digits that give back what was logged."""
    if np.ndim(column) == 0:
        return [column if isinstance(column, str) else float(column)] * count
    array = np.asarray(column)
    if name == "value" and array.dtype.kind == "f":
        with np.errstate(over="ignore", under="ignore"):
            narrow = array.astype(np.float32)
        if np.array_equal(narrow.astype(array.dtype), array, equal_nan=True):
            array = narrow.astype(np.str_)
    return list(array.tolist())
