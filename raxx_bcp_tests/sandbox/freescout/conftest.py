"""Fixtures: one help desk with its dump set for all tests of a process, which none of them changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from raxx_bcp_tests.faults.freescout_dumps import HealthySet, healthy_set
from raxx_bcp_tests.sandbox.freescout.desk import Desk, restored


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HealthySet]:
    """A FreeScout 1.8.145 whose MariaDB runs; read it, and make copies to change."""
    with healthy_set(tmp_path_factory.mktemp("freescout")) as made:
        yield made


@pytest.fixture
def desk(healthy: HealthySet, tmp_path: Path) -> Iterator[Desk]:
    """A help desk of the test's own, to break."""
    with restored(healthy, tmp_path / "disk") as made:
        yield made


@pytest.fixture(scope="module")
def well(healthy: HealthySet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A help desk for all tests of a module, none of which breaks it."""
    with restored(healthy, tmp_path_factory.mktemp("well") / "disk") as made:
        yield made
