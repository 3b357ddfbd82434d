"""What the panels say about a run, against words written by hand."""

import pytest
from tbgrad_tui import facts


@pytest.mark.parametrize(
    ("names", "scope"),
    [
        (
            ["sequential/conv_1/kernel", "sequential/conv_1/bias", "sequential/d/bias"],
            "sequential/",
        ),
        (["m/a/b/kernel", "m/a/c/kernel"], "m/a/"),
        (["m/dense/kernel", "m/dense/bias"], "m/"),
        (["dense/kernel", "dense/bias"], ""),
        (["m/dense/kernel", "m2/dense/kernel"], ""),
        (["m/dense/kernel", "kernel"], ""),
        (["m/dense/kernel"], ""),
        ([], ""),
    ],
)
def test_what_all_names_share_is_told_once(names, scope):
    assert facts.common_scope(names) == scope
