"""What a machine did, and could have done."""

from __future__ import annotations

from typing import Final

from raxx_bcp_tests.real_host import hostile, production
from raxx_bcp_tests.real_host.machine import Machine

LOOKS_ON_SECONDS: Final = 4.0
"""For how long a silent copy is looked on, once it is up: without the guard it has acted by then, see the controls."""
_SILENCED: Final = ("cron", "supervisor", "exim4", "anacron", "atd", "docker")
_NEEDED: Final = ("ssh", "mariadb", "nginx", "php8.2-fpm")


def mailed(machine: Machine) -> bool:
    """Has all that waited been sent?"""
    return {*production.CUSTOMERS, production.SPOOLED} <= set(machine.outside.mails)


def ports(machine: Machine) -> set[int]:
    """Which of ``hostile.ACTORS`` have sent something."""
    return {int(each.rpartition(":")[2]) for each in machine.outside.left if hostile.WORLD in each}


def assert_silent(machine: Machine, because: str = "differs") -> None:
    """It sent nothing, it could not have, and its marks say since when. ``because``: why it took itself for a copy."""
    assert machine.outside.mails == []
    assert machine.outside.left == []
    marks = dict(line.split("=", 1) for line in machine.run("cat", "/run/copy-guard/marks").splitlines())
    assert marks["identity"] == because
    assert int(marks["masked"]) > 50
    # is-enabled says "enabled" of an init script of System V that is masked.
    loaded = machine.run("systemctl", "show", "-p", "LoadState", "--value", *_SILENCED).split()
    assert dict(zip(_SILENCED, loaded, strict=True)) == dict.fromkeys(_SILENCED, "masked")
    assert set(machine.run("systemctl", "is-active", *_SILENCED, check=False).split()) == {"inactive"}
    assert set(machine.run("systemctl", "is-active", *_NEEDED).split()) == {"active"}
    waiting = machine.run("mariadb", "-N", "freescout", "-e", "SELECT COUNT(*) FROM jobs").strip()
    assert waiting == str(len(production.CUSTOMERS))
    could_act = min(_reached(machine, each) for each in ("network-pre.target", "sysinit.target"))
    assert float(marks["masked_at"]) <= float(marks["egress_closed_at"]) <= could_act


def _reached(machine: Machine, unit: str) -> float:
    shown = machine.run("systemctl", "show", "-p", "ActiveEnterTimestampMonotonic", "--value", unit)
    return int(shown) / 1e6
