"""Fixtures for the Lightsail stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from raxx_bcp_tests.sandbox.lightsail.lab import Lab, MakeLab, lightsail_server

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient


@pytest.fixture(scope="module")
def make_lab() -> Iterator[MakeLab]:
    """Makes fresh accounts, one at a time."""
    with lightsail_server() as make:
        yield make


@pytest.fixture
def lab(make_lab: MakeLab) -> Iterator[Lab]:
    """A freshly seeded account, at 06:29 UTC; time stands still."""
    with make_lab() as served:
        yield served


@pytest.fixture
def client(lab: Lab) -> LightsailClient:
    """A real boto3 client of the account's home region that never tries twice."""
    return lab.client()
