"""The files that the browser loads, and the addresses of the rest."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import tbgrad
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
