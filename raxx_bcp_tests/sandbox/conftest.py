"""Fixtures for the supervisor's tests: small sandboxes of their own, and the shared one."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from raxx_bcp_sandbox.part import Part
from raxx_bcp_sandbox.parts import slack
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_sandbox.waiting import Clock

MakeSandbox = Callable[..., Sandbox]


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path for a state directory that does not exist yet; whatever runs in it is stopped afterwards."""
    parent = Path(tempfile.mkdtemp(prefix="raxx-"))
    try:
        yield parent / "s"
    finally:
        Sandbox(parent / "s").down()
        shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def said() -> list[str]:
    """The sentences that ``make`` sandboxes say."""
    return []


@pytest.fixture
def make(home: Path, said: list[str]) -> MakeSandbox:
    """Makes a supervisor over ``home``, as each command does; by default with the quickest part only."""

    def make_sandbox(parts: Sequence[Part] = (slack.PART,), *, clock: Clock | None = None) -> Sandbox:
        return Sandbox(home, parts=parts, say=said.append, clock=clock, any_ports=True)

    return make_sandbox


def faster(times: int) -> Clock:
    """A clock that runs ``times`` as fast as the real one: deadlines come soon."""
    return Clock(now=lambda: time.monotonic() * times)


def kill(pid: int) -> None:
    """kill -9, and wait until the kernel has really taken the process away."""
    process = psutil.Process(pid)
    process.kill()
    process.wait(timeout=10)
