"""The files the browser loads: our own modules, and Plotly as the installed package brings it."""

from __future__ import annotations

import functools
import gzip
import mimetypes
from importlib import metadata, resources, util
from pathlib import Path

_TYPES = {".js": "text/javascript", ".css": "text/css"}


def static_files() -> dict[str, str]:
    """Content type of every file below `static/`, by its path there ("views/heatmap.js")."""
    root = Path(str(resources.files("tbgrad.plugin") / "static"))
    return {
        path.relative_to(root).as_posix(): _TYPES.get(path.suffix)
        or mimetypes.guess_type(path.name)[0]
        or "application/octet-stream"
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def read_static(name: str) -> bytes:
    """Content of one of `static_files`."""
    return (resources.files("tbgrad.plugin") / "static" / name).read_bytes()


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
