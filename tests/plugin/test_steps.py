"""Every step in the tab: whole at the resolution it draws, through both of its readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tbgrad.log.norm_codes import MAX_ERROR
from tbgrad.log.steps import Steps
from tbgrad.log.tags import GRADIENT_NORM, LOSS, STEP_LEVELS, in_group
from tbgrad.monitoring.step_log import StepLog
from tbgrad.plugin.sampling import SAMPLES
from tests.plugin.conftest import PROVIDERS, Api, poll
from tests.support.logs import EPOCH, manifest
from tests.support.steps import PACE, StepWriter, part, synthetic

ROWS = 4
LONG = 90_000
SHORT = 2500
DRAINED = {"quick epochs": (420, 7), "slow steps": (2400, 20)}
"""Steps of runs whose blocks are as small as their drains: more of them than TensorBoard keeps."""


def spiked(count: int) -> Steps:
    """Steps of which a few stand out, among them the first and the last."""
    steps = synthetic(count, ROWS)
    for at in (0, count // 3, count - 1):
        steps.norms[at, 2] = 1e3
        steps.scalars[LOSS][at] = 40.0
    steps.norms[count // 2, 1] = np.inf
    steps.scalars[GRADIENT_NORM][count // 2] = np.inf
    return steps


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Steps]]:
    root = tmp_path_factory.mktemp("steps")
    made = {"long": spiked(LONG), "short": spiked(SHORT), "unfinished": spiked(LONG - 777)}
    for name, steps in made.items():
        with StepWriter(root / name, manifest=manifest(2)) as writer:
            writer.write(steps, 250)
            if name == "unfinished":
                writer.log = StepLog()  # a killed process does not finish its levels
    for name, (count, drained) in DRAINED.items():
        made[name] = synthetic(count, ROWS)
        with StepWriter(root / name, manifest=manifest(2)) as writer:
            writer.write(made[name], drained)
    with StepWriter(root / "gan", manifest=manifest(2), group="critic", start_step=None) as writer:
        writer.write(made["short"])
    return root, {**made, in_group("gan", "critic"): made["short"]}


@pytest.fixture(scope="module", params=list(PROVIDERS))
def steps_api(request: pytest.FixtureRequest, written: Any) -> Api:
    root, made = written
    api = Api(PROVIDERS[request.param](root))
    poll(lambda: {r["name"] for r in api.get("runs")["runs"]} == set(made), "all runs are known")
    for name, steps in made.items():
        poll(
            lambda n=name, s=steps: api.get("status", run=n)["last_step"] == s.last_step,
            f"{name} is read",
        )
    return api


def numbers(values: Any) -> np.ndarray:
    return np.array([[np.nan if v is None else float(v) for v in row] for row in values])


@pytest.mark.parametrize("name", DRAINED)
@pytest.mark.parametrize("between", [{}, {"from": 1, "to": 100}])
def test_a_column_says_the_largest_of_its_steps_and_of_no_others(
    between: dict[str, int], name: str, steps_api: Api, written: Any
) -> None:
    norms = written[1][name].norms
    layers = steps_api.get("layers", run=name, **between)
    values = numbers(layers["values"])
    firsts, lasts = layers["first_steps"], layers["steps"]
    assert firsts[0] == 1
    assert lasts[-1] >= between.get("to", len(norms))
    assert all(b == a + 1 for a, b in zip(lasts, firsts[1:], strict=False))
    for i, (first, last) in enumerate(zip(firsts, lasts, strict=True)):
        np.testing.assert_allclose(values[:, i], norms[first - 1 : last].max(axis=0), rtol=0.01)


@pytest.mark.parametrize("name", ["long", "short", "unfinished", "gan/critic"])
def test_no_stretch_is_missing_and_every_peak_is_there(
    name: str, steps_api: Api, written: Any
) -> None:
    steps = written[1][name]
    layers = steps_api.get("layers", run=name)
    values = numbers(layers["values"])
    firsts, lasts = layers["first_steps"], layers["steps"]
    assert firsts[0] == 1
    assert lasts[-1] == steps.last_step
    assert min(250, len(steps) // 16) <= len(firsts) <= 300
    assert all(b == a + 1 for a, b in zip(lasts, firsts[1:], strict=False))
    assert not np.isnan(values[:, :-2]).any()  # the newest may not have been drained to its level
    widest = max(lasts[i] - firsts[i] + 1 for i in range(len(firsts)))
    for i, (first, last) in enumerate(zip(firsts[:-2], lasts[:-2], strict=True)):
        inside = steps.norms[first - 1 : last].max(axis=0)
        reach = steps.norms[max(0, first - 1 - 4 * widest) : last + 4 * widest].max(axis=0)
        assert (values[:, i] >= inside * (1 - MAX_ERROR)).all()
        assert (values[:, i] <= reach * (1 + MAX_ERROR)).all()
    assert layers["nonfinite"]
    assert not layers["sampled"]
    assert layers["problems"] == []


@pytest.mark.parametrize("name", ["long", "short", "gan/critic"])
def test_curves_have_the_true_extremes(name: str, steps_api: Api, written: Any) -> None:
    steps = written[1][name]
    series = {
        one["tag"]: one
        for one in steps_api.get("scalars", run=name, tag=[LOSS, GRADIENT_NORM])["series"]
    }
    loss = series[LOSS]
    assert loss["every_step"]
    assert loss["stored"] == len(steps)
    shown = dict(zip(loss["steps"], loss["values"], strict=True))
    for at in (0, len(steps) // 3, len(steps) - 1):
        assert shown[at + 1] == 40.0
    whole = steps.scalars[LOSS].astype(np.float64)
    assert min(shown.values()) == pytest.approx(whole.min(), rel=1e-6)
    for step, value in shown.items():
        assert value == pytest.approx(whole[step - 1], rel=1e-6)  # points are true ones
    norm = series[GRADIENT_NORM]
    assert dict(zip(norm["steps"], norm["values"], strict=True))[len(steps) // 2 + 1] == "inf"


def test_one_parameter(steps_api: Api, written: Any) -> None:
    steps = written[1]["short"]
    answer = steps_api.get("parameter", run="short", parameter="dense_1/kernel")["norms"]
    shown = dict(zip(answer["steps"], map(float, answer["values"]), strict=True))
    assert max(shown.values()) == pytest.approx(1e3, rel=MAX_ERROR)
    for step, value in shown.items():
        assert value == pytest.approx(steps.norms[step - 1, 2], rel=MAX_ERROR)


def test_a_revision_changes_with_the_steps(tmp_path: Path) -> None:
    steps = synthetic(300, ROWS)
    with StepWriter(tmp_path / "a", manifest=manifest(2), every=0) as writer:
        writer.write(part(steps, 0, 200))
        writer.file.flush()
        api = Api(PROVIDERS["python"](tmp_path))
        before = api.get("status", run="a")["revisions"]
        writer.write(part(steps, 200, 300))
        writer.file.flush()
        after = Api(PROVIDERS["python"](tmp_path)).get("status", run="a")["revisions"]
    for view in ("scalars", "layers"):
        assert before[view] != after[view]


@pytest.mark.parametrize("steps", [900, 4096, 20_000, 100_000, 1_000_000, 4_000_000])
def test_some_level_is_whole_and_fine_enough(steps: int) -> None:
    """Whatever a server keeps at random: by counting blocks, for any length of a run."""
    most = SAMPLES["tbgrad_step_levels"]
    blocks = {width: -(-steps // (4 * width)) for width in STEP_LEVELS.values()}
    kept = sum(min(most, count) for count in blocks.values())
    whole = [width for width, count in blocks.items() if count <= most]
    if steps > SAMPLES["tbgrad_steps"] * 256:
        assert steps / min(whole) >= 280
    # Of 200 parameters: four windows of three codes, sixteen of three scalars.
    if steps <= 1_000_000:
        assert kept * (4 * 3 * 200 * 2 + 16 * 3 * 36 + 250) <= 10e6


def test_a_reservoir_of_a_level_that_is_whole_loses_nothing() -> None:
    """As TensorBoard's does it, with its own: the newest is kept, the others at random."""
    from tensorboard.backend.event_processing import reservoir

    kept = reservoir.Reservoir(SAMPLES["tbgrad_step_levels"], always_keep_last=True, seed=1)
    for block in range(300):
        kept.AddItem("a", block)
    assert kept.Items("a") == list(range(300))


def test_a_manifest_within_a_session_takes_nothing_away(tmp_path: Path) -> None:
    """It is of a step that was logged, and is written after blocks that reach beyond it."""
    steps = synthetic(5000, ROWS)
    with StepWriter(tmp_path / "a", manifest=manifest(2)) as writer:
        writer.write(part(steps, 0, 4096), 256)
        writer.describe(4090, EPOCH + 4096.5 * PACE, first_step=1)
        writer.write(part(steps, 4096, 5000), 256)
    api = Api(PROVIDERS["python"](tmp_path))
    layers = api.get("layers", run="a")
    assert not np.isnan(numbers(layers["values"])).any()
    firsts, lasts = layers["first_steps"], layers["steps"]
    assert (firsts[0], lasts[-1]) == (1, 5000)
    assert firsts[1:] == [last + 1 for last in lasts[:-1]]


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_every_step_of_a_slow_training_is_there(provider: str, tmp_path: Path) -> None:
    """Of whose thousand blocks of a step or two TensorBoard keeps 32."""
    steps = synthetic(1500, ROWS)
    for run in ("a", "b"):
        with StepWriter(tmp_path / run, manifest=manifest(2), every=0, pace=1.0) as writer:
            writer.write(part(steps, 0, 700), 1)
            writer.write(part(steps, 700, 1500), 2)
    api = Api(PROVIDERS[provider](tmp_path))
    for run in ("a", "b"):
        poll(lambda run=run: api.get("status", run=run)["last_step"] == 1500, "all is read")
    for series in api.get("scalars", run=["a", "b"], tag=[LOSS])["series"]:
        assert series["steps"] == list(range(1, 1501))
    for span in ({"columns": 2000}, {"columns": 2000, "from": 640, "to": 800}):
        layers = api.get("layers", run="a", **span)
        first, last = span.get("from", 1), span.get("to", 1500)
        assert layers["steps"] == layers["first_steps"] == list(range(first, last + 1))
        shown, whole = numbers(layers["values"]), steps.norms[first - 1 : last].T
        np.testing.assert_allclose(shown, whole, rtol=MAX_ERROR)


@pytest.mark.parametrize("provider", list(PROVIDERS))
@pytest.mark.parametrize(("count", "single"), [(1000, 768), (5000, 0)])
def test_a_slow_training_that_goes_on_is_there_whole(
    provider: str, count: int, single: int, tmp_path: Path
) -> None:
    """What is not gathered yet in windows; of the newest steps, 15 at most, at least the last."""
    steps = synthetic(count, ROWS)
    with StepWriter(tmp_path / "a", manifest=manifest(2), every=0, pace=1.0) as writer:
        writer.write(steps, 1)
        writer.file.flush()
        api = Api(PROVIDERS[provider](tmp_path))
        poll(lambda: api.get("status", run="a")["last_step"] == count, "all is read")
        layers = api.get("layers", run="a", columns=2000)
        zoomed = api.get("layers", run="a", columns=2000, **{"from": count - 100})
    firsts, lasts = np.array(layers["first_steps"]), np.array(layers["steps"])
    assert lasts[:single].tolist() == firsts[:single].tolist() == list(range(1, single + 1))
    windows = list(range(single + 16, count - 7, 16))
    assert lasts[(lasts > single) & (lasts < count - 7)].tolist() == windows
    assert lasts[-1] == count
    assert not np.isnan(numbers(layers["values"])).any()
    assert zoomed["steps"][-1] == count
    assert set(range(count - 88, count - 7, 16)) <= set(zoomed["steps"])


@pytest.mark.parametrize("provider", list(PROVIDERS))
@pytest.mark.parametrize("again", [1701, 60_001])
def test_a_session_that_begins_again_takes_the_place_of_the_former(
    provider: str, again: int, tmp_path: Path
) -> None:
    old = synthetic(61_234, ROWS)
    new = synthetic(9000, ROWS, first=again, seed=5)
    new.norms[:] *= 1e4
    for steps in (old, new):
        with StepWriter(
            tmp_path / "a", manifest=manifest(2), start_step=steps.first_step,
            at=1_790_000_000.0 + (steps is new) * 1e6,
        ) as writer:  # fmt: skip
            writer.write(steps, 250)
    api = Api(PROVIDERS[provider](tmp_path))
    poll(lambda: api.get("runs")["runs"], "the run is known")
    poll(lambda: api.get("status", run="a")["last_step"] == new.last_step, "all is read")
    layers = api.get("layers", run="a")
    values = numbers(layers["values"])
    assert layers["steps"][-1] == new.last_step
    # What a block held that reached over the beginning is gone with it.
    lost = np.flatnonzero(np.isnan(values).any(axis=0))
    assert all(again - 1024 <= layers["steps"][i] <= again for i in lost)
    values = np.nan_to_num(values, nan=0)
    whole = np.concatenate([old.norms[: again - 1], new.norms])
    width = layers["steps"][0] - layers["first_steps"][0] + 1
    for i, (first, last) in enumerate(zip(layers["first_steps"], layers["steps"], strict=True)):
        inside = whole[first - 1 : last].max(axis=0)
        around = whole[max(0, first - 1 - 4 * width) : last + 4 * width].max(axis=0)
        if not first - 1024 <= again <= last + 1024:
            assert (values[:, i] >= inside * (1 - MAX_ERROR)).all()
            assert (values[:, i] <= around * (1 + MAX_ERROR)).all()
