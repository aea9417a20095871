"""Throwaway instances that killed drills left, and what the sweeper does with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from raxx_bcp.clients.instance_shapes import drill_tags
from raxx_bcp.clients.instances import Instances
from raxx_bcp.drills.engine.sweeper import Swept, _sweep_one
from raxx_bcp.drills.hosts.leftovers import InstanceLeftovers
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.waiting import silent
from raxx_bcp_tests.clients.ssh_lab import Lab as Machine
from raxx_bcp_tests.clients.ssh_lab import ssh_lab
from raxx_bcp_tests.drills.hosts.desk import PRODUCTION, RESTORED, Desk, desk
from raxx_bcp_tests.sandbox.lightsail.lab import MakeLab, lightsail_server

OTHER = "freescout_dump-20310314T080000Z-d4e5f6"


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


def sweep(at: Desk) -> Swept:
    swept = Swept()
    for leftover in InstanceLeftovers(at.door()).leftovers():
        _sweep_one(leftover, swept, at.clock, at.sleep, silent)
    return swept


def test_a_leftover_past_its_lease_is_deleted_and_says_whose_it_was(at: Desk) -> None:
    at.stand(OTHER, timedelta(hours=-1))
    swept = sweep(at)
    (gone,) = swept.gone
    assert (gone.name, gone.drill_id) == (RESTORED, OTHER)
    assert gone.usd > 0
    assert swept.clean
    assert at.standing() == set(PRODUCTION)


def test_an_instance_inside_its_lease_is_left_alone(at: Desk) -> None:
    at.stand(OTHER, timedelta(hours=1))
    swept = sweep(at)
    assert [one.drill_id for one in swept.not_yet] == [OTHER]
    assert RESTORED in at.standing()


def test_an_expiry_that_cannot_be_read_is_reported_and_left_alone(at: Desk) -> None:
    at.stand(OTHER, None)
    swept = sweep(at)
    (left,) = swept.still_there
    assert "left alone" in left.problem
    assert not swept.clean
    assert RESTORED in at.standing()


def test_our_tags_on_another_name_delete_nothing(at: Desk) -> None:
    """Somebody copied our tags to production: its name alone protects it."""
    tags = [{"key": key, "value": value} for key, value in drill_tags(OTHER, at.clock.now - timedelta(days=1)).items()]
    at.lightsail.client().tag_resource(resourceName="raxx-vault", tags=tags)  # type: ignore[arg-type]
    swept = sweep(at)
    (left,) = swept.still_there
    assert "not one of the throwaway instances" in left.problem
    assert at.standing() == set(PRODUCTION)


def test_an_account_without_leftovers_is_clean(at: Desk) -> None:
    swept = sweep(at)
    assert (swept.clean, swept.gone, swept.not_yet) == (True, [], [])


def test_a_list_that_cannot_be_seen_is_raised(at: Desk) -> None:
    at.lightsail.fault("lightsail-denied")
    with pytest.raises(CouldNotVerifyError):
        list(InstanceLeftovers(at.door()).leftovers())


def test_prices_that_cannot_be_seen_do_not_stop_the_sweeper(at: Desk) -> None:
    at.stand(OTHER, timedelta(hours=-1))

    class Priceless(Instances):
        def bundles(self) -> Any:
            raise CouldNotVerifyError("Denied.", "See deploy/iam/.")

    door = Priceless(names=(RESTORED,), protected=PRODUCTION, client=at.lightsail.client())
    (leftover,) = InstanceLeftovers(door).leftovers()
    assert leftover.lease.usd_per_hour == 0.0
