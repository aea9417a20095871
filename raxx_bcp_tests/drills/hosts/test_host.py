"""The throwaway instance of a drill: made, closed, logged in to, and given back, on a stand-in and real SSH."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import asyncssh
import pytest

from raxx_bcp.clients.instances import Instances
from raxx_bcp.clients.ssh import LoginRefusedError, WrongHostError, connect
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.hosts.connections import instances_client
from raxx_bcp.drills.hosts.host import (
    FromAutomatic,
    FromBlueprint,
    FromSnapshot,
    Host,
    Origin,
    make_host,
)
from raxx_bcp.errors import BackupWrongError, BcpError, CouldNotVerifyError, TransientError, UsageError
from raxx_bcp.policy import Policy
from raxx_bcp_tests.clients.ssh_lab import Lab as Machine
from raxx_bcp_tests.clients.ssh_lab import pinned, ssh_lab
from raxx_bcp_tests.drills.hosts.desk import PRODUCTION, RESTORED, Desk, desk
from raxx_bcp_tests.drills.hosts.known_guards import admission
from raxx_bcp_tests.sandbox.lightsail.lab import MakeLab, lightsail_server

BY_HAND = FromSnapshot("raxx-tickets-before-upgrade")
OF_THE_VAULT = FromSnapshot("raxx-vault-before-ubuntu-22")
OTHER = "freescout_dump-20310314T080000Z-d4e5f6"
SECRET = "rxs_ticket_text"
SCRIPT = "#!/bin/sh\necho launched\n"


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


def host_of(at: Desk, drill: Drill, origin: Origin = BY_HAND, **named: Any) -> Host:
    return make_host(drill, at.door(), at.policy, RESTORED, origin, user_data=SCRIPT, admission=admission(), **named)


def instance(at: Desk) -> dict[str, Any]:
    answer: Any = at.lightsail.client().get_instance(instanceName=RESTORED)["instance"]
    return dict(answer)


# -- the healthy way -------------------------------------------------------------------------------------


GUARD_SEEN = "seen on raxx-tickets since 2020-01-01 00:00 UTC"


@pytest.mark.parametrize(
    "origin", [BY_HAND, FromBlueprint("ubuntu_22_04"), "automatic"], ids=["manual", "blueprint", "automatic"]
)
def test_a_host_is_made_closed_and_logged_in_to_and_given_back(at: Desk, origin: Origin | str) -> None:
    if isinstance(origin, str):
        day = at.lightsail.client().get_auto_snapshots(resourceName="raxx-tickets")["autoSnapshots"][0]["date"]
        origin = FromAutomatic("raxx-tickets", day)
    drill = at.drill()
    with host_of(at, drill, origin) as host:
        assert host.script("say who it is", "echo $0; pwd").splitlines()[-1] == str(at.machine.home)
        found = at.door().get(RESTORED)
        assert found is not None
        assert (found.drill_id, found.expires_utc) == (drill.id, drill.expires_utc)
        (opening,) = at.door().openings(RESTORED)
        assert (opening.first, opening.last, opening.sources) == (at.machine.port, at.machine.port, ("127.0.0.1/32",))
        assert drill.isolation == [f"Lightsail's firewall lets in 127.0.0.1/32 to TCP {at.machine.port} only"]
        guard = {} if isinstance(origin, FromBlueprint) else {"copy guard": GUARD_SEEN}
        assert drill.target == {"resource": RESTORED, "region": "us-east-1", "bundle": "small_3_0", **guard}
    drill.leases.release_all()
    (returned,) = drill.leases.returned
    assert (returned.kind, returned.name, returned.problem) == ("lightsail instance", RESTORED, "")
    assert drill.leases.confirmed
    assert at.standing() == set(PRODUCTION)


def test_its_user_data_is_the_launch_script(at: Desk) -> None:
    host_of(at, at.drill()).close()
    world = at.lightsail.world
    assert world is not None
    assert world.instance("us-east-1", RESTORED).user_data == SCRIPT


def test_the_lease_closes_the_login_and_costs_what_its_bundle_costs(at: Desk) -> None:
    drill = at.drill()
    host = host_of(at, drill)
    at.sleep(3600)
    drill.leases.release_all()
    assert not host.shell.alive
    hours = (drill.clock() - drill.started_utc).total_seconds() / 3600
    assert drill.leases.returned[0].usd == pytest.approx(12.0 / 730 * hours, rel=0.01)


def test_the_firewall_is_closed_before_the_instance_runs(at: Desk) -> None:
    at.bodies.up = False
    seen = []

    class Watching(Instances):
        def open_only(self, name: str, port: int, cidr: str) -> None:
            found = self.get(name)
            seen.append(found.state if found else "none")
            super().open_only(name, port, cidr)
            at.bodies.up = True

    door = Watching(names=(RESTORED,), protected=PRODUCTION, client=at.lightsail.client())
    make_host(at.drill(), door, at.policy, RESTORED, BY_HAND, user_data="", admission=admission()).close()
    assert seen == ["pending"]


# -- how large -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "named", "bundle"),
    [
        (OF_THE_VAULT, "", "small_3_0"),
        (BY_HAND, "", "small_3_0"),
        (BY_HAND, "large_3_0", "large_3_0"),
        (FromBlueprint("ubuntu_22_04", ram_gb=0.5, disk_gb=20), "", "nano_3_0"),
        (FromBlueprint("ubuntu_22_04", ram_gb=3.0), "", "medium_3_0"),
    ],
)
def test_the_cheapest_bundle_that_holds_it_is_taken(at: Desk, origin: Origin, named: str, bundle: str) -> None:
    """The vault's own, small_1_0, is sold no more."""
    host_of(at, at.drill(), origin, bundle=named).close()
    assert instance(at)["bundleId"] == bundle


@pytest.mark.parametrize(
    ("origin", "named", "said"),
    [
        (BY_HAND, "huge_9_0", "no bundle huge_9_0"),
        (BY_HAND, "small_1_0", "no bundle small_1_0"),
        (FromBlueprint("ubuntu_22_04", cpus=64), "", "No bundle has 64 CPUs"),
    ],
)
def test_a_bundle_that_is_not_there_is_a_usage_error(at: Desk, origin: Origin, named: str, said: str) -> None:
    drill = at.drill()
    with pytest.raises(UsageError, match=said):
        host_of(at, drill, origin, bundle=named)
    assert drill.leases.open == []
    assert at.standing() == set(PRODUCTION)


# -- what cannot be restored -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "advance", "kind", "said"),
    [
        ("lightsail-snapshot-stuck", 3600, CouldNotVerifyError, "is pending"),
        ("lightsail-snapshot-error", 3600, BackupWrongError, "is in error"),
    ],
)
def test_a_snapshot_that_is_not_good_is_not_restored(
    at: Desk, fault: str, advance: int, kind: type[BcpError], said: str
) -> None:
    at.lightsail.fault(fault)
    at.lightsail.client().create_instance_snapshot(instanceName="raxx-tickets", instanceSnapshotName="fresh")
    at.lightsail.advance(advance)
    drill = at.drill()
    with pytest.raises(kind, match=said) as caught:
        host_of(at, drill, FromSnapshot("fresh"))
    assert type(caught.value) is kind
    assert at.standing() == set(PRODUCTION)


def test_without_the_workers_address_nothing_is_made(at: Desk) -> None:
    at.policy = at.policy.model_copy(update={"worker_cidr": ""})
    with pytest.raises(UsageError, match="worker_cidr"):
        host_of(at, at.drill())
    assert at.standing() == set(PRODUCTION)


# -- the name is taken -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expires", "said", "remedy"),
    [
        (timedelta(hours=2), "has it until 2031-03-14 11:00 UTC", "Wait for that drill"),
        (timedelta(hours=-2), "lease ended 2031-03-14 07:00 UTC", "raxx-bcp drill sweep"),
        (None, "does not say until when", "by hand"),
    ],
)
def test_a_leftover_of_that_name_is_explained_and_left_alone(
    at: Desk, expires: timedelta | None, said: str, remedy: str
) -> None:
    at.stand(OTHER, expires)
    drill = at.drill()
    with pytest.raises(CouldNotVerifyError, match=said) as caught:
        host_of(at, drill)
    assert remedy in caught.value.remedy
    assert drill.leases.open == [], "nothing of it is ours to give back"
    assert RESTORED in at.standing()


def test_somebodys_instance_of_that_name_is_left_alone(at: Desk) -> None:
    at.lightsail.client().create_instances(
        instanceNames=[RESTORED], availabilityZone="us-east-1a", blueprintId="ubuntu_22_04", bundleId="small_3_0"
    )
    with pytest.raises(CouldNotVerifyError, match="no drill made it"):
        host_of(at, at.drill())
    assert RESTORED in at.standing()


def test_somebody_who_was_quicker_keeps_it(at: Desk) -> None:
    """Made between our look and our call: the call is refused, and the teardown must not take it for ours."""

    class Late(Instances):
        def create_from_snapshot(self, *arguments: Any) -> None:
            at.stand(OTHER, timedelta(hours=1))
            super().create_from_snapshot(*arguments)

    door = Late(names=(RESTORED,), protected=PRODUCTION, client=at.lightsail.client())
    drill = at.drill()
    with pytest.raises(CouldNotVerifyError, match="already in use"):
        make_host(drill, door, at.policy, RESTORED, BY_HAND, user_data="", admission=admission())
    drill.leases.release_all()
    assert drill.leases.confirmed
    assert RESTORED in at.standing()


def test_an_answer_that_was_lost_leaves_nothing_behind(at: Desk) -> None:
    class Deaf(Instances):
        def create_from_snapshot(self, *arguments: Any) -> None:
            super().create_from_snapshot(*arguments)
            raise TransientError("Lightsail could not be reached.", "Try again.")

    door = Deaf(names=(RESTORED,), protected=PRODUCTION, client=at.lightsail.client())
    drill = at.drill()
    with pytest.raises(TransientError):
        make_host(drill, door, at.policy, RESTORED, BY_HAND, user_data="", admission=admission())
    assert RESTORED in at.standing()
    at.lightsail.advance(600)
    drill.leases.release_all()
    assert drill.leases.confirmed
    assert at.standing() == set(PRODUCTION)


def test_a_call_that_was_sent_twice_is_still_ours(at: Desk) -> None:
    class Twice(Instances):
        def create_from_snapshot(self, *arguments: Any) -> None:
            super().create_from_snapshot(*arguments)
            super().create_from_snapshot(*arguments)

    door = Twice(names=(RESTORED,), protected=PRODUCTION, client=at.lightsail.client())
    make_host(at.drill(), door, at.policy, RESTORED, BY_HAND, user_data="", admission=admission()).close()


def test_an_instance_whose_tag_was_removed_is_reported_and_not_deleted(at: Desk) -> None:
    drill = at.drill()
    host_of(at, drill)
    at.lightsail.client().untag_resource(resourceName=RESTORED, tagKeys=["raxx-bcp:drill"])
    drill.leases.release_all()
    assert not drill.leases.confirmed
    assert "the tag of no drill" in drill.leases.returned[0].finding
    assert RESTORED in at.standing()


# -- until it can be asked -------------------------------------------------------------------------------


def test_an_instance_that_never_boots_is_unknown_after_the_deadline(at: Desk) -> None:
    at.bodies.up = False
    drill = at.drill()
    with pytest.raises(CouldNotVerifyError, match="is pending after 20 minutes"):
        host_of(at, drill)
    assert timedelta(minutes=20) <= drill.clock() - drill.started_utc < timedelta(minutes=21)
    drill.leases.release_all()
    assert drill.leases.confirmed


def test_an_ssh_port_that_nobody_answers_is_unknown_after_the_deadline(at: Desk) -> None:
    at.policy = at.policy.model_copy(update={"ssh_port": 1, "poll_seconds": 60.0})
    drill = at.drill()
    with pytest.raises(
        CouldNotVerifyError, match=r"could not be logged in to within 20 minutes: .* could not be reached"
    ):
        host_of(at, drill)
    assert drill.clock() - drill.started_utc >= timedelta(minutes=20)


def test_a_host_that_wakes_up_late_is_waited_for(at: Desk) -> None:
    tries = []

    def late(*arguments: Any) -> Any:
        tries.append(at.clock.now)
        if len(tries) < 4:
            raise TransientError("Nobody answers.", "Wait.")
        return connect(*arguments)

    host_of(at, at.drill(), login=late).close()
    assert len(tries) == 4


def test_the_wrong_host_key_is_a_failure_that_names_it(at: Desk) -> None:
    wrong = asyncssh.generate_private_key("ssh-ed25519")
    ((algorithm, key),) = pinned([wrong])
    at.bodies.details = lambda details: {**details, "hostKeys": [{"algorithm": algorithm, "publicKey": key}]}
    before = len(at.machine.server.logins)
    with pytest.raises(WrongHostError, match="wrong host key") as caught:
        host_of(at, at.drill())
    assert wrong.get_fingerprint() in caught.value.what
    assert len(at.machine.server.logins) == before, "nothing was sent"


def test_host_keys_that_a_booting_copy_is_about_to_renew_are_asked_for_again(at: Desk) -> None:
    old = [{"algorithm": a, "publicKey": k} for a, k in pinned([asyncssh.generate_private_key("ssh-ed25519")])]
    asked: list[list[dict[str, str]]] = [[], old]
    at.bodies.details = lambda details: {**details, "hostKeys": asked.pop(0) if asked else details["hostKeys"]}
    host_of(at, at.drill()).close()
    assert asked == []


@pytest.mark.parametrize(("refusals", "ends"), [(3, False), (100, True)])
def test_a_refused_login_is_forgiven_while_the_host_boots(at: Desk, refusals: int, ends: bool) -> None:  # noqa: FBT001
    given = []

    def grudging(details: dict[str, Any]) -> dict[str, Any]:
        given.append(at.clock.now)
        if len(given) > refusals:
            return details
        return {**details, "certKey": at.machine.access(expired=True).certificate}

    at.bodies.details = grudging
    if not ends:
        host_of(at, at.drill()).close()
        return
    with pytest.raises(LoginRefusedError):
        host_of(at, at.drill())
    assert timedelta(minutes=2) <= given[-1] - given[0] < timedelta(minutes=3)


# -- the client of a policy --------------------------------------------------------------------------------


def test_the_policys_door_knows_its_names() -> None:
    door = instances_client(Policy())
    assert door.names == {"raxx-tickets-restored", "raxx-vault-restored"}
    assert door.protected == {"raxx-tickets", "raxx-vault"}


def test_a_policy_that_names_production_as_restored_has_no_door() -> None:
    policy = Policy()
    bad = policy.freescout.model_copy(update={"restored_instance": policy.vault_snapshot.instance})
    with pytest.raises(UsageError, match="raxx-vault has the name of a production instance"):
        instances_client(policy.model_copy(update={"freescout": bad}))
