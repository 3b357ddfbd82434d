"""Eigenvalues in the tab: digits fit their error; what an adaptive optimizer bounds is drawn."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tbgrad.log import encode
from tbgrad.log.append import EventFileWriter
from tbgrad.log.records import STATISTICS, CurvatureEstimate, Eigenvalue
from tbgrad.log.text import measured
from tests.log.test_text import MEASURED, SHARES
from tests.plugin.tabs import choose_run, healthy, show_view
from tests.support.browser import Tab, open_tab, tensorboard
from tests.support.logs import manifest, write_run

pytestmark = pytest.mark.browser

IN_JAVASCRIPT = """async (cases) => {
  const base = new URL("format.js", document.querySelector("link[rel=stylesheet]").href);
  const { measured } = await import(base);
  return cases.map(([value, error]) => measured(Number(value), Number(error)));
}"""
ASCII = str.maketrans("−⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "-0123456789-")


def as_python(words: str) -> str:
    plain = words.translate(ASCII).replace("×10", "e")
    return plain.replace("not a number", "nan").replace("infinite", "inf")


def write_adaptive(directory: Path, stability: float) -> None:
    """An RMSprop whose preconditioned eigenvalues are some 500 times as large as the others."""
    with EventFileWriter(directory, start_step=0) as writer:
        writer.add(0, [encode.manifest(manifest())])
        for step in (100, 200, 300):
            estimate = CurvatureEstimate(
                (Eigenvalue(1.24, 0.0059), Eigenvalue(-0.1, 0.01)), True, 9, 0.1, 1.0, 64,
                570.0, "2 / η", Eigenvalue(570.0 * stability, 3.0),
            )  # fmt: skip
            writer.add(step, [encode.curvature(estimate), encode.scalar("loss", 1.0)])


def write_dead(directory: Path) -> None:
    """A network that died at step 20, soon after its only estimates; a constant rate and trace."""
    described = replace(manifest(2), cadences={"every": 2, "curvature_every": 6})
    with EventFileWriter(directory, start_step=0) as writer:
        writer.add(0, [encode.manifest(described)])
        for step in range(1, 401, 2):
            norm = 1.0 / step if step < 20 else 0.0
            values = [
                encode.scalar("loss", 2.3), encode.scalar("learning_rate", 3e-4),
                encode.parameters(np.full((4, len(STATISTICS)), norm, np.float32)),
            ]  # fmt: skip
            if step in (5, 11):
                estimate = CurvatureEstimate(
                    (Eigenvalue(4.0, 0.01), Eigenvalue(-0.1, 0.01)), True, 9, 0.1, 2.3, 64, 10.0,
                    "2 / η", trace=7.0, trace_error=0.5,
                )  # fmt: skip
                values.append(encode.curvature(estimate))
            writer.add(step, values)


def ticks(tab: Tab, panel: str) -> list[str]:
    """The labels in a chart."""
    found: list[str] = tab.frame.eval_on_selector_all(
        f"#{panel} .chart text", "all => all.map((text) => text.textContent)"
    )
    return found


def test_what_the_tab_says_of_eigenvalues(browser: Any, tmp_path: Path) -> None:
    write_adaptive(tmp_path / "runs" / "adaptive", 1.2)
    write_adaptive(tmp_path / "runs" / "edge", 1.0016)
    write_adaptive(tmp_path / "runs" / "calm", 0.4)
    write_dead(tmp_path / "runs" / "dead")
    write_run(tmp_path / "runs" / "ahead", steps=50, at=time.time() + 7200)
    with tensorboard(tmp_path / "runs", tmp_path) as server:
        tab = open_tab(browser, server.url)
        choose_run(tab, "adaptive")
        tab.wait("document.querySelector('#summary dl').innerText.includes('unstable')")
        assert "λ/limit 1.20: unstable" in " ".join(tab.text("#summary dl").split())
        assert tab.frame.is_visible("#summary .bad")
        tab.wait("document.querySelector('#curvature .chart')?.data?.length === 4")
        traces = {trace["name"]: trace["y"] for trace in tab.traces("curvature")}
        assert traces["preconditioned λmax"] == pytest.approx([684.0] * 3)
        assert traces["limit"] == [570.0] * 3
        axes = "[...document.querySelector('#curvature .chart').data].map((t) => Boolean(t.second))"
        assert tab.frame.evaluate(axes) == [False, False, True, True]
        legend = tab.text("#curvature .legend")
        assert "preconditioned λmax (right)" in legend
        assert "its limit = 2 / η" in legend
        choose_run(tab, "edge")
        tab.wait("document.querySelector('#summary dl').innerText.includes('at the edge')")
        words = " ".join(tab.text("#summary dl").split())
        assert "λ/limit 1.00: at the edge of stability" in words
        assert not tab.frame.is_visible("#summary .bad")
        choose_run(tab, "calm")
        tab.wait("document.querySelector('#summary dl').innerText.includes('stable')")
        assert "λ/limit 0.40: stable" in " ".join(tab.text("#summary dl").split())
        tab.wait("document.querySelector('#curvature .chart').data[2].y[0] === 228")
        assert tab.layout("curvature")["yaxis2"]["range"][1] > 570  # the limit is in sight
        choose_run(tab, "dead")
        tab.wait("document.querySelector('#summary dl').innerText.includes('stale')")
        assert "λ/limit 0.40, stale: 388 steps ago" in " ".join(tab.text("#summary dl").split())
        assert "stable" not in tab.text("#summary dl")
        tab.wait("document.querySelector('#parameter .title-row').innerText.includes('exactly')")
        assert "exactly 0 (190)" in tab.text("#parameter .title-row")
        marks = "document.querySelector('#parameter .zeros').getAttribute('d').split('M').length"
        assert tab.frame.evaluate(marks) == 191
        tab.frame.select_option("#scalar select", "learning_rate")
        tab.wait("document.querySelector('#scalar .chart').data[0].name === 'learning rate'")
        assert "3×10⁻⁴" in ticks(tab, "scalar")
        show_view(tab, "curvature")
        tab.wait("document.querySelector('#trace .chart')?.data?.[0].y.length === 2")
        assert tab.traces("trace")[0]["error"] == [0.5, 0.5]
        show_view(tab, "run")
        choose_run(tab, "ahead")
        tab.wait("document.querySelector('#summary .updated').innerText.includes('ahead of')")
        assert "dated 2 h ahead of this clock" in tab.text("#summary .updated")
        pairs = [[str(value), str(error)] for value, error, _ in MEASURED]
        pairs = [[text.replace("inf", "Infinity") for text in pair] for pair in pairs]
        shown = tab.frame.evaluate(IN_JAVASCRIPT, pairs)
        assert [as_python(words) for words in shown] == [measured(v, e) for v, e, _ in MEASURED]
        healthy(tab)
        tab.page.context.close()


SHARES_IN_JAVASCRIPT = """async (cases) => {
  const base = new URL("format.js", document.querySelector("link[rel=stylesheet]").href);
  const { percentBetween } = await import(base);
  return cases.map((share) => percentBetween(share));
}"""


def test_shares_of_eigenvalues_stand_beside_their_density(browser: Any, tmp_path: Path) -> None:
    counted = CurvatureEstimate(
        (Eigenvalue(3.0, 0.01), Eigenvalue(-1.0, 0.01)), True, 9, 0.1, 1.0, 64,
        minimum_ratio=SHARES[0][0], negative_fraction=SHARES[2][0], zero_fraction=SHARES[1][0],
    )  # fmt: skip
    with EventFileWriter(tmp_path / "runs" / "a", start_step=0) as writer:
        density = encode.density(np.linspace(-1, 3, 50), np.ones(50))
        values = [encode.curvature(counted), density, encode.scalar("loss", 1.0)]
        writer.add(0, [encode.manifest(manifest()), *values])
    with tensorboard(tmp_path / "runs", tmp_path) as server:
        tab = open_tab(browser, server.url)
        show_view(tab, "curvature")
        tab.wait("document.querySelector('#density .legend').innerText.includes('below zero')")
        words = " ".join(tab.text("#density").split())
        assert "above zero: 12.3 % (11.0 to 13.6)" in words
        assert "below zero: between 20 and 80 %" in words
        told = tab.frame.evaluate(SHARES_IN_JAVASCRIPT, [asdict(share) for share, _ in SHARES])
        assert told == [words for _, words in SHARES]
