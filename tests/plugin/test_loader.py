"""How much TensorBoard is asked to keep, and what follows from that."""

from __future__ import annotations

from tbgrad.plugin import Loader
from tbgrad.plugin.sampling import samples_for
from tbgrad.plugin.source import LogSource


def test_the_loader_raises_how_much_is_kept_but_not_over_the_user() -> None:
    class Flags:
        samples_per_plugin = {"tbgrad": 50, "images": 3}  # noqa: RUF012 - stands in for a namespace

    Loader().fix_flags(Flags)
    assert Flags.samples_per_plugin == {
        **samples_for(""), "tbgrad": 50, "images": 3,
    }  # fmt: skip


def test_a_series_as_long_as_tensorboard_keeps_may_have_lost_records() -> None:
    source = LogSource(None, {"scalars": 5000, "tbgrad": 0})
    assert source.sampled("scalars", 5000)
    assert not source.sampled("scalars", 4999)
    assert not source.sampled("tbgrad", 10**6)
