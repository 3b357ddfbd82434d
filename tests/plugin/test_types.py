"""What the type checker of the tab's modules believes of the answers is what the routes answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import tbgrad.plugin
from tests.plugin import logs
from tests.plugin.conftest import Api, python_provider

TYPES = (Path(tbgrad.plugin.__file__).parent / "types.d.ts").read_text()


def fields(name: str) -> set[str]:
    """The names in an interface, without those that may be missing."""
    found = re.search(rf"^export interface {name}\b[^{{]*\{{\n(.*?)^\}}", TYPES, re.M | re.S)
    assert found is not None, name
    return set(re.findall(r"^  (\w+):", found[1], re.M))


@pytest.fixture(scope="module")
def api(logdir: Path) -> Api:
    return Api(python_provider(logdir))


ROUTES: dict[str, tuple[str, dict[str, str]]] = {
    "Tables": ("tables", {}),
    "Status": ("status", {}),
    "Overview": ("overview", {}),
    "Scalars": ("scalars", {}),
    "Layers": ("layers", {}),
    "Compare": ("compare", {"with": "good"}),
    "Settings": ("settings", {"with": "good"}),
    "OneParameter": ("parameter", {"parameter": "dense_1/kernel"}),
    "Histogram": ("histogram", {"parameter": "dense_1/kernel"}),
    "Curvature": ("curvature", {}),
    "Density": ("density", {"run": "good"}),
    "Alerts": ("alerts", {}),
    "Notes": ("notes", {}),
    "Findings": ("findings", {}),
}


@pytest.mark.parametrize("interface", ROUTES)
def test_an_answer_has_what_its_type_says(api: Api, interface: str) -> None:
    route, query = ROUTES[interface]
    answer = api.get(route, **{"run": logs.ALERTS, **query})
    assert fields(interface) <= set(answer)
    assert set(answer) - fields(interface) <= {"run", "with", "names_left_out", "layers"}


def test_so_has_what_is_in_them(api: Api) -> None:
    run = logs.ALERTS
    api.get("overview", run=run)
    inner: dict[str, Any] = {
        "Parameter": api.get("layers", run=run)["parameters"][0],
        "Measure": api.get("layers", run=run)["measure"],
        "TreeNode": api.get("layers", run=run)["tree"][0],
        "Series": api.get("scalars", run=run)["series"][0],
        "Row": api.get("overview")["runs"][0],
        "Verdict": api.get("overview", run=run)["verdict"],
        "Story": api.get("alerts", run=run)["stories"][0],
        "Alert": api.get("alerts", run=run)["alerts"][0],
        "Estimate": api.get("curvature", run=run)["estimates"][0],
    }
    for interface, answer in inner.items():
        assert fields(interface) <= set(answer), interface
        assert set(answer) - fields(interface) <= {"label", "name"}, interface
