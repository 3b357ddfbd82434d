"""One BLAS thread: on matrices this small a second one waits more than it works."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:  # comes with scikit-learn; without it the tests take longer
        yield
        return
    with threadpool_limits(1, "blas"):
        yield
