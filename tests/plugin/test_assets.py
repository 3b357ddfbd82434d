"""The files that the browser loads, and the addresses of the rest."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import tbgrad
from tbgrad.plugin.assets import Static, hash_of
from tests.plugin.conftest import Api


def test_files_and_data_carry_the_headers_tensorboard_asks_for(api: Api) -> None:
    for route, kind in (
        ("runs", "application/json"),
        ("static/index.js", "text/javascript"),
        ("static/views/layers.js", "text/javascript"),
        ("static/style.css", "text/css"),
    ):
        headers = api.raw(route).headers
        assert headers["Content-Type"].startswith(kind)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-cache, must-revalidate"
    assert api.raw("runs", method="POST").status_code == 405


def test_plotly_comes_from_the_installed_package_compressed_and_cached(api: Api) -> None:
    version = api.get("plotly")["version"]
    response = api.raw("plotly.min.js", headers={"Accept-Encoding": "gzip"}, version=version)
    assert response.headers["Content-Encoding"] == "gzip"
    assert "immutable" in response.headers["Cache-Control"]
    assert b"plotly.js v" in gzip.decompress(response.data)[:200]
    assert b"plotly.js v" in api.raw("plotly.min.js").data[:200]


def test_without_the_plotly_package_the_tab_can_say_so(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tbgrad.plugin import assets

    monkeypatch.setattr(assets, "_plotly_script", lambda: None)
    monkeypatch.setattr(assets, "plotly_gzipped", lambda: None)
    assert api.get("plotly") == {"version": None}
    assert api.raw("plotly.min.js").status_code == 404


def test_every_route_is_described() -> None:
    page = (Path(tbgrad.__file__).parent / "plugin" / "http_api.md").read_text()
    routes = [r for r in Api(object()).apps if not r.startswith("/static")]
    assert [r for r in routes if f"`{r}`" not in page] == []


def test_what_tensorboard_loads_is_kept_as_long_as_it_is_the_same(api: Api) -> None:
    path = api.plugin.frontend_metadata().es_module_path
    folder = path.rpartition("/")[0]
    assert path in api.apps
    assert folder.startswith("/static-")
    plain = {route.removeprefix("/static") for route in api.apps if route.startswith("/static/")}
    assert plain == {r.removeprefix(folder) for r in api.apps if r.startswith(f"{folder}/")}
    for name in ("index.js", "views/layers.js", "style.css"):
        kept, asked = api.raw(f"{folder[1:]}/{name}"), api.raw(f"static/{name}")
        assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert (kept.data, kept.headers["ETag"]) == (asked.data, asked.headers["ETag"])
        assert asked.headers["Cache-Control"] == "no-cache, must-revalidate"


def test_the_hash_changes_with_any_file() -> None:
    files = {"a.js": Static(b"1", "text/javascript"), "b.js": Static(b"2", "text/javascript")}
    others = (
        {**files, "b.js": Static(b"3", "text/javascript")},
        {"a.js": files["a.js"]},
        {"a.js": files["a.js"], "c.js": files["b.js"]},
        {"a.js": Static(b"12", "text/javascript"), "b.js": Static(b"", "text/javascript")},
    )
    assert len({hash_of(each) for each in (files, *others)}) == 5
    assert hash_of(files) == hash_of(dict(files))
