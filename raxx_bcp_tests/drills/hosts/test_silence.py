"""From the guard's marks and systemd's times: silent before it could act, or the drill ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raxx_bcp.clients.ssh import connect
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.hosts.isolation import NotIsolatedError
from raxx_bcp.drills.hosts.shell import Host
from raxx_bcp.drills.hosts.silence import SILENT, assert_silent, judge
from raxx_bcp.evidence.row import CheckStatus, Verdict
from raxx_bcp_tests.clients.ssh_lab import Lab as Machine
from raxx_bcp_tests.clients.ssh_lab import ssh_lab
from raxx_bcp_tests.drills.engine.doubles import StillClock
from raxx_bcp_tests.drills.hosts.desk import order

HEALTHY = {
    "mark masked_at": "3.12",
    "mark masked": "80",
    "mark egress_closed_at": "3.60",
    "unit": "active",
    "closed": "3650000",
    "act sysinit.target": "5100000",
    "act basic.target": "5200000",
    "act network-pre.target": "3700000",
    "act network.target": "0",
    "act systemd-networkd.service": "",
    "looked": "0",
}


def test_a_healthy_one_was_silent_before() -> None:
    found = judge(HEALTHY)
    assert (found.missing, found.seconds, found.masked) == ("", 0.0, 80)
    assert found.could_act_at == 3.7
    assert found.closed_at == 3.65


@pytest.mark.parametrize(
    ("changed", "seconds"),
    [
        ({"closed": "4700000"}, 1.0),
        ({"mark egress_closed_at": "4.70"}, 1.0),
        ({"mark masked_at": "4.20"}, 0.5),
        ({"act systemd-networkd.service": "3400000"}, 0.25),
        ({"act network-pre.target": "0", "act sysinit.target": "3150000"}, 0.5),
    ],
)
def test_a_late_one_is_measured(changed: dict[str, str], seconds: float) -> None:
    assert judge({**HEALTHY, **changed}).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"mark masked_at": ""}, "left no marks"),
        ({"mark egress_closed_at": ""}, "left no marks"),
        ({"mark masked": ""}, "left no marks"),
        ({"mark masked_at": "soon"}, "cannot be read"),
        ({"mark masked": "0"}, "has masked nothing"),
        ({"unit": "failed"}, "unit is failed"),
        ({"unit": ""}, "unit is in an unknown state"),
        ({"closed": "0"}, "does not say when"),
        ({each: "0" for each in HEALTHY if each.startswith("act ")}, "does not say when"),
        ({"looked": ""}, "does not say when"),
    ],
)
def test_what_is_not_said_is_not_silent(changed: dict[str, str], why: str) -> None:
    assert why in judge({**HEALTHY, **changed}).missing


# -- over SSH ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with ssh_lab(tmp_path_factory.mktemp("host")) as served:
        yield served


@pytest.fixture
def drill() -> Drill:
    clock = StillClock()
    return Drill(order(), clock, clock.sleep, lambda _message: None)


@pytest.fixture
def host(machine: Machine) -> Iterator[Host]:
    """Its marks are what its ``cat`` prints: /run is this machine's own."""
    machine.program("cat", "printf 'copy_guard=1\\nmasked_at=3.12\\nmasked=80\\negress_closed_at=3.60\\n'")
    machine.program(
        "systemctl",
        'case "$*" in "is-active copy-guard.service") echo active ;; *copy-guard.service) echo 3650000 ;; '
        "*network-pre.target) echo 3700000 ;; *) echo 0 ;; esac",
    )
    with connect(machine.access(), machine.port) as shell:
        yield Host("raxx-tickets-restored", shell, 20.0)


def test_the_row_says_that_it_was_silent_before_the_network(drill: Drill, host: Host) -> None:
    assert_silent(drill, host, guarded=True)
    (check,) = drill.results
    assert (check.name, check.actual, check.status) == (SILENT, "0 s", CheckStatus.PASS)
    assert drill.isolation == [
        "silent before the network: 0 s (80 units masked, egress closed 0.05 s before anything could begin)"
    ]


def test_one_that_could_have_acted_ends_the_drill(drill: Drill, host: Host, machine: Machine) -> None:
    machine.program(
        "systemctl",
        'case "$*" in "is-active copy-guard.service") echo active ;; *copy-guard.service) echo 9000000 ;; '
        "*network-pre.target) echo 3700000 ;; *) echo 0 ;; esac",
    )
    with pytest.raises(NotIsolatedError, match=r"could have acted for 5\.3 s"):
        assert_silent(drill, host, guarded=True)
    assert drill.results[0].status is CheckStatus.FAIL
    assert drill.verdict is Verdict.FAIL


def test_one_without_marks_ends_the_drill(drill: Drill, host: Host, machine: Machine) -> None:
    machine.program("cat", "exit 1")
    with pytest.raises(NotIsolatedError, match="left no marks"):
        assert_silent(drill, host, guarded=True)
    assert drill.verdict is Verdict.FAIL


def test_an_accepted_unguarded_one_never_passes(drill: Drill, host: Host) -> None:
    assert_silent(drill, host, guarded=False)
    (check,) = drill.results
    assert (check.name, check.status) == (SILENT, CheckStatus.NOT_RUN)
    assert drill.verdict is Verdict.COULD_NOT_VERIFY
