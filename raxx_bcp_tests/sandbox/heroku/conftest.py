"""Fixtures for the Heroku stand-in: one account a module, mended and rid of throwaway apps after every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raxx_bcp_sandbox.heroku.world import PRODUCTION
from raxx_bcp_tests.sandbox.heroku.lab import Lab, heroku_lab

ROWS = 5_000
"""Of production, in tests that do not look at how many there are."""

PROVISION_SECONDS = 60.0
"""Of the recorded clock: nothing becomes ready before a test lets the time pass."""


@pytest.fixture(scope="module")
def served() -> Iterator[Lab]:
    """The account of this module. The fault ``heroku-timeouts`` waits for no real time."""

    async def at_once(_seconds: float) -> None:
        """Let no time pass."""

    with heroku_lab(rows=ROWS, provision_seconds=PROVISION_SECONDS, sleep=at_once) as lab:
        yield lab


@pytest.fixture
def lab(served: Lab) -> Iterator[Lab]:
    """The account, as it was at its beginning: production and staging."""
    yield served
    served.mend_all()
    with served.world.lock:
        for app in served.world.apps():
            if app.name not in (PRODUCTION, "raxx-app-staging"):
                served.world.delete_app(app)
