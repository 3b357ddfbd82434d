"""The files the browser loads: our own modules, and Plotly as the installed package brings it."""

from __future__ import annotations

import functools
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from importlib import metadata, resources, util
from pathlib import Path

_TYPES = {".js": "text/javascript", ".css": "text/css"}


@dataclass(frozen=True)
class Static:
    """A file below `static/`: its content, its content type, and a hash of it."""

    content: bytes
    content_type: str

    @functools.cached_property
    def gzipped(self) -> bytes:
        """The content, compressed."""
        return gzip.compress(self.content, 6, mtime=0)

    @functools.cached_property
    def etag(self) -> str:
        """The hash of the content."""
        return hashlib.blake2s(self.content, digest_size=16).hexdigest()


def static_files() -> dict[str, Static]:
    """Every file below `static/` as it is now, by its path there ("views/heatmap.js")."""
    root = Path(str(resources.files("tbgrad.plugin") / "static"))
    return {
        path.relative_to(root).as_posix(): Static(path.read_bytes(), _type_of(path))
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def hash_of(files: dict[str, Static]) -> str:
    """A short hash of all of them and of their names."""
    told = hashlib.blake2s(digest_size=8)
    for name, file in files.items():
        told.update(f"{name}\0{len(file.content)}\0".encode() + file.content)
    return told.hexdigest()


def _type_of(path: Path) -> str:
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return f"{kind}; charset=utf-8" if path.suffix in _TYPES else kind or "application/octet-stream"


def plotly_version() -> str | None:
    """Version of the installed Plotly package, None where its script is not to be had."""
    if _plotly_script() is None:
        return None
    try:
        return metadata.version("plotly")
    except metadata.PackageNotFoundError:
        return "unknown"


@functools.cache
def plotly_gzipped() -> bytes | None:
    """Plotly's script, compressed once; None where it is not installed."""
    script = _plotly_script()
    return None if script is None else gzip.compress(script.read_bytes(), 6, mtime=0)


def _plotly_script() -> Path | None:
    # find_spec of a top-level package does not import it: importing plotly takes half a second.
    spec = util.find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        return None
    script = Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    return script if script.is_file() else None
