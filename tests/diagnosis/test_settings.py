"""Thresholds and what is silenced, in code and in a file."""

from __future__ import annotations

from typing import Any

import pytest

from tbgrad.diagnosis import AlertSettings
from tests.diagnosis.histories import alerts, one


def test_what_is_silenced_is_not_told() -> None:
    dead = [0, 0, 0.75, 0.75, 0.8, 0.8, 0, 0]
    columns = {"dead_fraction": dead}
    elsewhere = AlertSettings(silence={"dead_units": "dense_1/*"})
    alert = one(alerts(range(1, 20), columns=lambda _: columns, settings=elsewhere), "dead_units")
    assert alert.parameters == ("dense_2/bias",)
    for silence in ({"dead_units": "*"}, {"dead_units": ["dense_1/*", "dense_2/*"]}):
        settings = AlertSettings(silence=silence)
        assert alerts(range(1, 20), columns=lambda _: columns, settings=settings) == []


def test_settings_from_a_file(tmp_path: Any) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text('[thresholds]\ndead_units = 0.9\n[silence]\nno_gradient = ["a/*"]\n')
    settings = AlertSettings.read(file)
    assert (settings.dead_units, settings.silence) == (0.9, {"no_gradient": ["a/*"]})
    assert settings == AlertSettings(dead_units=0.9, silence={"no_gradient": ["a/*"]})


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("[thresholds]\ndead_unit = 0.9", ValueError, "'dead_unit': did you mean 'dead_units'?"),
        ("[silence]\nloss_stock = '*'", ValueError, "did you mean 'loss_stuck'?"),
        ("[silences]\n", ValueError, "did you mean 'silence'?"),
        ("[thresholds]\ndead_units = 'all'", TypeError, "dead_units is a threshold, a number"),
        ("[silence]\ndead_units = [1]", TypeError, "silence['dead_units'] is a pattern"),
        ("[thresholds", ValueError, "is not a TOML file"),
    ],
)  # fmt: skip
def test_a_file_of_settings_with_a_mistake(tmp_path: Any, text: str, error: Any, says: str) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text(text)
    with pytest.raises(error) as caught:
        AlertSettings.read(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)
