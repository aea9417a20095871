"""Keys of an operator and of a stranger, made once."""

from __future__ import annotations

import pytest

from raxx_bcp_sandbox.keys import STRANGER, KeyPair, make_key


@pytest.fixture(scope="session")
def operator() -> KeyPair:
    return make_key()


@pytest.fixture(scope="session")
def stranger() -> KeyPair:
    return make_key(STRANGER)
