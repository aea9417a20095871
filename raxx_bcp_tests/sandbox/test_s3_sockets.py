"""SeaweedFS names Unix sockets in /tmp by port, so a port that is free may still be unusable."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from raxx_bcp_sandbox import ports
from raxx_bcp_sandbox.dagster_dev import free_port
from raxx_bcp_sandbox.parts import s3

PORT = s3.PART.ports[0]


@pytest.fixture
def left() -> Iterator[tuple[int, socket.socket]]:
    """A free port's number, and a bound Unix socket that bears it; nobody listens on it yet."""
    number = free_port()
    path = Path(f"/tmp/seaweedfs-test-{number}.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(path))
        try:
            yield number, made
        finally:
            path.unlink(missing_ok=True)


def test_a_socket_that_a_dead_one_of_ours_left_is_no_hindrance(left: tuple[int, socket.socket]) -> None:
    assert ports.choose(PORT, left[0], ()) == left[0]


def test_a_socket_that_is_served_is(left: tuple[int, socket.socket]) -> None:
    number, made = left
    made.listen()
    assert ports.choose(PORT, number, ()) != number


def test_a_socket_of_another_user_is_since_it_cannot_be_removed(
    left: tuple[int, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 4242)
    assert ports.choose(PORT, left[0], ()) != left[0]
