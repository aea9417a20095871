"""One local Raxx for each pytest process, on its own ports, up at the first test that asks for it.

Import ``sandbox`` and ``breakable_sandbox`` in a conftest.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from raxx_bcp_sandbox.supervisor import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox that is up. Do not break it: use ``breakable_sandbox`` for that."""
    # Not pytest's own directory: its long path leaves no room for the Unix sockets that servers make below it.
    home = Path(tempfile.mkdtemp(prefix="raxx-"))
    local = Sandbox(home / "s", any_ports=True)
    try:
        local.up()
        yield local
    finally:
        local.down(purge=(home / "s").exists())
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def breakable_sandbox(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The same sandbox; whatever a test breaks in it is mended afterwards."""
    try:
        yield sandbox
    finally:
        sandbox.mend_all()
