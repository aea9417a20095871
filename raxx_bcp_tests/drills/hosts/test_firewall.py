"""Lightsail's firewall in front of a throwaway instance: one address to one port, or the drill ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from raxx_bcp.clients.instances import Instances
from raxx_bcp.drills.hosts.host import FromSnapshot, make_host
from raxx_bcp.drills.hosts.isolation import IsolationUnknownError
from raxx_bcp.errors import PermanentError
from raxx_bcp_tests.clients.ssh_lab import Lab as Machine
from raxx_bcp_tests.clients.ssh_lab import ssh_lab
from raxx_bcp_tests.drills.hosts.desk import PRODUCTION, RESTORED, Desk, desk
from raxx_bcp_tests.drills.hosts.known_guards import admission
from raxx_bcp_tests.sandbox.lightsail.lab import MakeLab, lightsail_server

BY_HAND = FromSnapshot("raxx-tickets-before-upgrade")


@pytest.fixture(scope="module")
def make_lab() -> Iterator[MakeLab]:
    with lightsail_server() as make:
        yield make


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with ssh_lab(tmp_path_factory.mktemp("host")) as served:
        yield served


@pytest.fixture
def at(make_lab: MakeLab, machine: Machine) -> Iterator[Desk]:
    with desk(make_lab, machine) as made:
        yield made


@pytest.mark.parametrize(
    "openings",
    [
        [],
        [{"protocol": "tcp", "fromPort": 0, "toPort": 65535, "cidrs": ["127.0.0.1/32"]}],
        [{"protocol": "tcp", "fromPort": None, "toPort": None, "cidrs": ["0.0.0.0/0"]}],
        [{"protocol": "tcp", "fromPort": None, "toPort": None, "cidrs": ["127.0.0.1/32"], "ipv6Cidrs": ["::/0"]}],
        [
            {"protocol": "tcp", "fromPort": None, "toPort": None, "cidrs": ["127.0.0.1/32"]},
            {"protocol": "tcp", "fromPort": 80, "toPort": 80, "cidrs": ["127.0.0.1/32"]},
        ],
    ],
    ids=["none", "all ports", "everybody", "IPv6 too", "another port"],
)
def test_a_firewall_that_does_not_hold_ends_the_drill(at: Desk, openings: list[dict[str, Any]]) -> None:
    class Leaky(Instances):
        def open_only(self, name: str, port: int, cidr: str) -> None:  # noqa: ARG002
            own = [{**one, "fromPort": one["fromPort"] or port, "toPort": one["toPort"] or port} for one in openings]
            for one in own:
                one["fromPort"] = 0 if one["toPort"] == 65535 else one["fromPort"]
            at.lightsail.client().put_instance_public_ports(instanceName=name, portInfos=own)  # type: ignore[arg-type]

    door = Leaky(names=(RESTORED,), protected=PRODUCTION, client=at.lightsail.client())
    drill = at.drill()
    with pytest.raises(IsolationUnknownError, match="does not hold"):
        make_host(drill, door, at.policy, RESTORED, BY_HAND, user_data="", admission=admission())
    assert drill.isolation == []
    at.lightsail.advance(600)
    drill.leases.release_all()
    assert at.standing() == set(PRODUCTION)


def test_a_firewall_that_may_not_be_changed_ends_the_drill_when_it_runs(at: Desk) -> None:
    tries = []

    class Denied(Instances):
        def open_only(self, name: str, port: int, cidr: str) -> None:  # noqa: ARG002
            tries.append(name)
            raise PermanentError("It was denied.", "See deploy/iam/.")

    door = Denied(names=(RESTORED,), protected=PRODUCTION, client=at.lightsail.client())
    with pytest.raises(PermanentError, match="denied"):
        make_host(at.drill(), door, at.policy, RESTORED, BY_HAND, user_data="", admission=admission())
    assert len(tries) > 1, "while it boots, a refusal is not the end"
