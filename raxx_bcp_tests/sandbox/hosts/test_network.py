"""Addresses and ports: each sandbox has its own, and keeps them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from raxx_bcp.errors import UsageError
from raxx_bcp_sandbox.hosts import network


def test_a_directory_keeps_its_network(tmp_path: Path) -> None:
    chosen = network.choose(tmp_path)
    assert chosen.prefix.startswith("127.")
    assert chosen.prefix.count(".") == 2
    assert (chosen.first, chosen.sink) == (f"{chosen.prefix}.1", f"{chosen.prefix}.254")
    assert network.choose(tmp_path) == chosen == network.load(tmp_path)


def test_two_directories_do_not_meet(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for each in (first, second):
        each.mkdir()
    assert network.choose(first).prefix != network.choose(second).prefix


def test_one_that_is_in_use_is_left_to_its_owner(tmp_path: Path) -> None:
    wanted = network.choose(tmp_path)
    (tmp_path / "network.json").unlink()
    with socket.create_server((wanted.first, wanted.ssh)):
        assert network.choose(tmp_path).prefix != wanted.prefix


def test_a_port_that_is_taken_on_every_address_is_replaced(tmp_path: Path) -> None:
    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))  # noqa: S104 - what it is about
        everywhere.listen()
        taken = everywhere.getsockname()[1]
        assert not network.is_free("127.9.9.9", taken)
        chosen = network._port(network.Network("127.9.9"), taken, [])
    assert chosen != taken


def test_nothing_is_remembered_of_nonsense(tmp_path: Path) -> None:
    assert network.load(tmp_path) is None
    (tmp_path / "network.json").write_text("{")
    assert network.load(tmp_path) is None
    assert network.choose(tmp_path).prefix


def test_a_machine_without_such_addresses_says_so() -> None:
    network.require_loopback()
    with pytest.raises(UsageError, match=r"does not answer on 203\.0\.113\.9 .*Use Linux"):
        network.require_loopback("203.0.113.9")
