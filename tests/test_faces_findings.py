"""Of landscapes, critical points, gradients and trajectories both faces say the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.plugin.conftest import Api, python_provider
from tests.support.findings import write_findings
from tests.support.logs import write_run
from tests.tui.support import app_on, loaded, shown, until


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faces")
    write_findings(root)
    return root


def said_by_the_tab(api: Api) -> list[tuple[str, list[str]]]:
    """Every finding by name, and the phrases that the tab shows of it."""
    told = []
    for one in api.get("findings", run="seed0")["findings"]:
        answer = api.get("finding", run="seed0", name=one["name"])
        told.append((one["name"], [*phrases(answer), answer.get("headline", "")]))
    answer = api.get("trajectories", run="seed0")
    runs = [f"{run['name']}  {run['words']}" for run in answer["runs"]]
    return [*told, ("trajectories", [*phrases(answer), *runs, *answer["axes"]])]


def phrases(answer: dict[str, Any]) -> list[str]:
    cells = [cell for row in answer.get("rows", ()) for cell in row["cells"]]
    title = answer.get("spectrum", {}).get("title", "")
    names = [layer["name"] for layer in answer.get("layers", ()) if isinstance(layer, dict)]
    words = [phrase["text"] for phrase in answer.get("words", ())]
    return [*words, *answer.get("columns", ()), *cells, title, *names]


async def test_every_phrase_of_the_tab_is_in_the_terminal(logdir: Path) -> None:
    told = said_by_the_tab(Api(python_provider(logdir)))
    assert len(told) == 5
    app = app_on(logdir)
    async with app.run_test(size=(160, 50)) as pilot:
        await loaded(pilot)
        while app.run_name != "seed0":
            await pilot.press("right_square_bracket")
        await pilot.press("8")
        for i, (name, words) in enumerate(told):
            place = f"{i + 1} of 5: {name}"
            await until(pilot, lambda p=place: p in shown(app))
            await until(pilot, lambda w=words[0]: w in shown(app))
            screen = shown(app)
            assert [phrase for phrase in words if phrase not in screen] == [], screen
            await pilot.press("down")


async def test_what_to_do_where_nothing_was_logged_is_said_alike(tmp_path: Path) -> None:
    write_run(tmp_path / "a", steps=20)
    nothing = Api(python_provider(tmp_path)).get("findings", run="a")["nothing"]
    app = app_on(tmp_path)
    async with app.run_test(size=(160, 50)) as pilot:
        await loaded(pilot)
        await pilot.press("8")
        await until(pilot, lambda: nothing[0] in shown(app))
        assert [line for line in nothing if line not in shown(app)] == []
