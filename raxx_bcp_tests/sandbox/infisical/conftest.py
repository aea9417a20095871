"""Fixtures for the vault stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raxx_bcp_tests.sandbox.infisical.support import Vault, raxx_vault


@pytest.fixture
def vault() -> Iterator[Vault]:
    """A freshly seeded vault on a free port."""
    with raxx_vault() as served:
        yield served
