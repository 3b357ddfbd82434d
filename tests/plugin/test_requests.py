"""What a request may ask: bad ones get a sentence, nothing can be changed or comes twice."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tbgrad.plugin.arguments import MAX_LENGTH
from tbgrad.plugin.routes import ROUTES
from tbgrad.plugin.views import scalars
from tests.plugin import logs
from tests.plugin.conftest import Api, python_provider

GOOD = {
    "run": "good", "parameter": "dense_1/kernel", "with": logs.ALERTS, "name": "x",
    "statistic": "norm", "columns": "7", "row": "1", "from": "10", "to": "900", "format": "json",
    "times": "1", "tag": "loss", "most": "3", "point": "1", "layer": "dense_1", "filter": "good",
    "step": "600", "find": "kernel", "order": "worst",
}  # fmt: skip
NUMBERS = ("columns", "row", "most", "point", "from", "to", "step")
CHOICES = ("format", "times", "order")
SEVERAL = ("tag", "with", "run")
BAD: dict[str, Any] = {
    "empty": "", "a word": "many", "negative": "-1", "NaN": "NaN", "infinite": "inf",
    "a fraction": "1.5", "nines": "000000001" + "9" * 4500, "zeros ahead": "0000000010000000000",
    "another digit": "²", "Arabic": "٣", "blanks": " 7 ", "a sign": "+7", "hexadecimal": "0x7",
    "a byte of zero": "7\0", "a line": "7\n", "markup": logs.EVIL, "a path": "../../etc/passwd",
    "long": "x" * (MAX_LENGTH + 1), "a list": "[7]", "braces": "{run}", "percent": "%00%s",
    "high": "𝕏" * 50,
}  # fmt: skip


@pytest.fixture(scope="module")
def api(logdir: Path) -> Api:
    return Api(python_provider(logdir))


def said(api: Api, route: str, query: dict[str, Any]) -> int:
    """The status of an answer, which is a sentence where it is none."""
    response = api.raw(route, **query)
    assert response.status_code in (200, 400, 404), (route, query, response.text[:300])
    if response.status_code != 200:
        sentence = json.loads(response.text)["error"]
        assert 0 < len(sentence) < 600, sentence
        assert "\n" not in sentence
        assert "Error" not in sentence
        assert response.headers["Content-Type"] == "application/json"
    return int(response.status_code)


@pytest.mark.parametrize("route", ROUTES)
def test_every_bad_argument_of_every_route_gets_a_sentence(api: Api, route: str) -> None:
    known = ROUTES[route].arguments
    asked = {name: GOOD[name] for name in known}
    assert said(api, route, asked) in (200, 400 if route == "trajectories" else 404)
    for name in known:
        missing = said(api, route, {k: v for k, v in asked.items() if k != name})
        assert missing != 500
        for what, value in BAD.items():
            status = said(api, route, {**asked, name: value})
            wrong = name in CHOICES or (name in NUMBERS and (what, name) not in FINE)
            assert status == 400 or not wrong, (route, name, what, status)
            if len(value) > MAX_LENGTH:
                assert status == 400, (route, name, what)
        again = said(api, route, {**asked, name: [GOOD[name], GOOD[name]]})
        several = name in SEVERAL and (route, name) not in ONE
        assert (again == 400) is not several or route == "trajectories", (route, name, again)


FINE = {("negative", "from"), ("negative", "to"), ("negative", "step")}
"""Steps below zero are steps; `to` lies ahead of `from` then."""

ONE = {
    (route, name)
    for route in ROUTES
    for name in ("run", "with")
    if (route, name) not in {("scalars", "run"), ("trajectories", "with")}
}
"""Routes that are of one run."""


TIMED = [route for route in ROUTES if "times" in ROUTES[route].arguments]
"""Of the others the time of a record tells it from a newer one."""


@pytest.mark.parametrize("route", TIMED)
def test_times_come_when_they_are_asked_for(api: Api, route: str) -> None:
    query = {"run": logs.EVIL, "parameter": "same"}
    if route == "density":
        query["run"] = "good"
    assert "wall_time" not in api.raw(route, **query).text
    assert "wall_time" in api.raw(route, **query, times="1").text


def test_ends_of_a_range_come_in_their_order(api: Api) -> None:
    code, sentence = api.error("layers", run="good", **{"from": 20, "to": 10})
    assert (code, sentence) == (400, "'from' must not be behind 'to', but 20 is behind 10")


def test_equal_tags_cost_one_and_many_are_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    (series,) = api.get("scalars", run=["good"] * 90, tag=["loss"] * 2000)["series"]
    assert (series["run"], series["tag"]) == ("good", "loss")
    many = api.error("scalars", run="good", tag=[f"tag {i}" for i in range(101)])
    assert many == (400, "'tag' may be given 100 times, not 101")
    monkeypatch.setattr(scalars, "MAX_CURVES", 500 // 3)
    curves = api.error("scalars", run=["good", "plain"], tag=[f"tag {i}" for i in range(100)])
    assert curves == (400, "'run' and 'tag' ask for 200 curves; 166 may be")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(api: Api, method: str) -> None:
    for route in api.apps:
        response = api.raw(route[1:], method=method, run="good")
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD"), route
        assert "GET and HEAD only" in json.loads(response.text)["error"]


def test_a_head_is_the_same_without_a_body(api: Api) -> None:
    for route in ("status", "layers", "static/index.js", "plotly.min.js"):
        whole, head = api.raw(route, run="good"), api.raw(route, "HEAD", run="good")
        assert head.data == b""
        for name in ("Content-Length", "Content-Type", "ETag", "Cache-Control"):
            assert head.headers[name] == whole.headers[name], (route, name)


@pytest.mark.parametrize("route", [*ROUTES, "static/index.js", "plotly.min.js"])
def test_what_the_browser_has_does_not_come_again(api: Api, route: str) -> None:
    query = {"run": "good", "parameter": "dense_1/kernel", "with": logs.ALERTS}
    if route == "finding":
        return  # there are none in this log
    if route == "trajectories":
        return
    for _ in range(4):  # until all runs are known
        first = api.raw(route, **query)
    assert first.status_code == 200
    same = api.raw(route, headers={"If-None-Match": first.headers["ETag"]}, **query)
    assert (same.status_code, same.data) == (304, b"")
    assert same.headers["ETag"] == first.headers["ETag"]
    other = api.raw(route, headers={"If-None-Match": 'W/"another"'}, **query)
    assert other.data == first.data
    if "format" in getattr(ROUTES.get(route), "arguments", ()):
        assert api.raw(route, **query, format="binary").headers["ETag"] != first.headers["ETag"]


def test_an_error_is_not_kept(api: Api) -> None:
    assert "ETag" not in api.raw("status", run="absent").headers


def test_answers_are_compressed_for_those_who_take_it(api: Api) -> None:
    plain = api.raw("layers", run="good")
    packed = api.raw("layers", run="good", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    refused = api.raw("layers", run="good", headers={"Accept-Encoding": "gzip;q=0"})
    assert refused.data == plain.data
