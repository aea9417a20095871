"""No instance is made from a snapshot without the copy guard, unless somebody says why, on record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from raxx_bcp.clients.lightsail_errors import AbsentError
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.hosts.admission import COPY_GUARD, Admission, UnguardedError
from raxx_bcp.drills.hosts.host import FromAutomatic, FromSnapshot, Origin, make_host
from raxx_bcp.errors import CouldNotVerifyError, PermanentError
from raxx_bcp.guard.sightings import Period
from raxx_bcp_tests.clients.ssh_lab import Lab as Machine
from raxx_bcp_tests.clients.ssh_lab import ssh_lab
from raxx_bcp_tests.drills.engine.doubles import StillClock
from raxx_bcp_tests.drills.hosts.desk import PRODUCTION, RESTORED, Desk, desk, order
from raxx_bcp_tests.drills.hosts.known_guards import Known
from raxx_bcp_tests.sandbox.lightsail.lab import MakeLab, lightsail_server

CLOCK = StillClock()
SINCE = CLOCK.now - timedelta(days=2)
GUARDED = Known([Period(SINCE, SINCE)])
LOST = Known([Period(SINCE, CLOCK.now - timedelta(days=1), CLOCK.now - timedelta(days=1))])
NEVER = Known([])


def admit(known: Known, created: datetime, why: str = "") -> tuple[bool, Drill]:
    drill = Drill(order(), CLOCK, CLOCK.sleep, lambda _message: None)
    return Admission("raxx-tickets", known, why).admit(drill, "Snapshot s", created), drill


def test_one_that_was_taken_under_the_guard_is_admitted_and_the_row_says_since_when() -> None:
    guarded, drill = admit(GUARDED, CLOCK.now - timedelta(days=1))
    assert guarded
    assert drill.target[COPY_GUARD] == f"seen on raxx-tickets since {SINCE:%Y-%m-%d %H:%M} UTC"
    assert drill.findings == []


@pytest.mark.parametrize(
    ("known", "hours", "why"),
    [
        (NEVER, 1, "no copy guard was ever seen on raxx-tickets"),
        (GUARDED, 72, "the copy guard was first seen on raxx-tickets"),
        (LOST, 1, "and was not there later"),
    ],
)
def test_any_other_is_refused_with_what_to_do(known: Known, hours: float, why: str) -> None:
    with pytest.raises(UnguardedError) as refused:
        admit(known, CLOCK.now - timedelta(hours=hours))
    assert why in refused.value.what
    assert "raxx-bcp host guard install raxx-tickets" in refused.value.remedy
    assert isinstance(refused.value, CouldNotVerifyError)


def test_a_reason_admits_it_and_goes_on_record() -> None:
    guarded, drill = admit(NEVER, CLOCK.now, why=" its database is a test's ")
    assert not guarded
    assert drill.target[COPY_GUARD] == "unguarded, accepted by alice: its database is a test's"
    assert drill.findings == [
        (
            "Snapshot s is unguarded, accepted by alice: its database is a test's (no copy guard was ever seen on "
            "raxx-tickets)."
        )
    ]


@pytest.mark.parametrize("nothing", ["", "  "])
def test_a_reason_that_says_nothing_is_none(nothing: str) -> None:
    with pytest.raises(UnguardedError):
        admit(NEVER, CLOCK.now, why=nothing)


# -- where instances are made -----------------------------------------------------------------------------------


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


def automatic(at: Desk) -> Origin:
    return FromAutomatic(
        "raxx-tickets",
        at.lightsail.client().get_auto_snapshots(resourceName="raxx-tickets")["autoSnapshots"][0]["date"],
    )


@pytest.mark.parametrize("kind", ["manual", "automatic"])
@pytest.mark.parametrize("admission", [None, Admission("raxx-tickets", NEVER)], ids=["nobody asked", "unguarded"])
def test_nothing_is_made_of_it(at: Desk, kind: str, admission: Admission | None) -> None:
    origin = FromSnapshot("raxx-tickets-before-upgrade") if kind == "manual" else automatic(at)
    drill = at.drill()
    with pytest.raises(PermanentError if admission is None else UnguardedError):
        make_host(drill, at.door(), at.policy, RESTORED, origin, user_data="", admission=admission)
    assert at.standing() == set(PRODUCTION)
    assert drill.leases.confirmed


def test_lightsails_own_time_decides(at: Desk) -> None:
    """The snapshot by hand is 120 days old; a name says nothing."""
    origin = FromSnapshot("raxx-tickets-before-upgrade")
    admission = Admission("raxx-tickets", Known([Period(at.clock.now - timedelta(days=119), at.clock.now)]))
    with pytest.raises(UnguardedError, match="first seen on raxx-tickets"):
        make_host(at.drill(), at.door(), at.policy, RESTORED, origin, user_data="", admission=admission)
    admission = Admission("raxx-tickets", Known([Period(at.clock.now - timedelta(days=121), at.clock.now)]))
    drill = at.drill()
    with make_host(drill, at.door(), at.policy, RESTORED, origin, user_data="", admission=admission) as host:
        assert host.guarded
    drill.leases.release_all()


def test_a_snapshot_that_is_gone_is_said_before(at: Desk) -> None:
    with pytest.raises(AbsentError):
        make_host(at.drill(), at.door(), at.policy, RESTORED, FromSnapshot("no-such"), user_data="", admission=None)
