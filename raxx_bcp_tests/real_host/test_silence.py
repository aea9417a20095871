"""Twenty copies of twenty are silent from their first instruction; without the guard, customers are mailed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from raxx_bcp_tests.real_host import hostile, production
from raxx_bcp_tests.real_host.conftest import Rack
from raxx_bcp_tests.real_host.looks import LOOKS_ON_SECONDS, assert_silent, mailed, ports
from raxx_bcp_tests.real_host.machine import Disk, Machine, wait

AT_ONCE = 4
SCHEDULED = "203.0.113.143:143"
"""Where cron's job sends to."""
SLOW = (
    "mkdir {root}/etc/systemd/system/nginx.service.d && "
    "printf '[Service]\\nExecStartPre=sleep 8\\n' >{root}/etc/systemd/system/nginx.service.d/slow.conf"
)
"""A unit that keeps the machine from being up, while the others go on."""


@dataclass(frozen=True)
class Boot:
    """One of the twenty. All of them recover a MariaDB that was cut off."""

    what: str
    change: str = ""
    hostile: bool = False
    """All that could act is there, Docker among it."""
    over_a_full_minute: bool = False
    twice: bool = False
    identity: str = production.COPY
    because: str = "differs"


def unknown(change: str, because: str) -> Boot:
    """Also production itself is a copy where it cannot be known: silent is loud and undone by one command."""
    return Boot(f"on production itself: {change}", change, identity=production.ORIGINAL, because=because)


BOOTS = (
    Boot("over a full minute of cron's", over_a_full_minute=True),
    Boot("over a full minute, with all that could act", hostile=True, over_a_full_minute=True),
    Boot("and once more after a reboot", twice=True),
    unknown("rm {root}/etc/copy-guard/machine", "record-missing"),
    unknown(": >{root}/etc/copy-guard/machine", "record-missing"),
    unknown("rm {root}/var/lib/test-host/product_uuid", "identity-unreadable"),
    *(Boot("with a slow unit", SLOW) for _ in range(3)),
    Boot("with a slow unit, and all that could act", SLOW, hostile=True),
    *(Boot("with all that could act", hostile=True) for _ in range(6)),
    *(Boot("as it is") for _ in range(4)),
)


def test_without_the_guard_everything_acts(rack: Rack, unguarded: Disk) -> None:
    """The positive control, or nothing below would prove anything."""
    machine = rack.boot(made_hostile(rack, unguarded))
    wanted = {*hostile.ACTORS, hostile.IN_A_CONTAINER}
    wait(lambda: ports(machine) == wanted, 30, f"only {ports(machine)} acted")
    wait(lambda: mailed(machine), 30, f"customers were not mailed, but {machine.outside.mails}")
    assert any(SCHEDULED in each for each in machine.outside.left)


def test_twenty_copies_of_twenty_are_silent(rack: Rack, guarded: Disk) -> None:
    assert len(BOOTS) == 20
    disks = {False: guarded, True: made_hostile(rack, guarded)}

    def wrong(number: int, boot: Boot) -> str:
        identity = boot.identity.replace("000000000002", f"0000000001{number:02}")
        try:
            machine = rack.boot(disks[boot.hostile], identity, change=boot.change)
            look_on(machine, boot)
            if boot.twice:
                machine.reboot()
                machine.wait_up()
                look_on(machine, boot)
            rack.scrap(machine)
        except AssertionError as error:
            return f"{boot.what}: {error}"
        return ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert [each for each in pool.map(wrong, range(len(BOOTS)), BOOTS) if each] == []


def look_on(machine: Machine, boot: Boot) -> None:
    """Wait for as long as it would have had to act by, and see that it did not."""
    time.sleep(60 - time.time() % 60 + 2 if boot.over_a_full_minute else LOOKS_ON_SECONDS)
    assert_silent(machine, boot.because)


def made_hostile(rack: Rack, disk: Disk) -> Disk:
    """A copy of a disk with all that could act."""
    made = disk.copy(rack.place())
    hostile.make_hostile(made.mount())
    made.unmount()
    return made
