"""A copy as a drill has it: booted with this software's launch script, logged in to over real SSH, and asked."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from raxx_bcp.clock import utc_now
from raxx_bcp.drills.engine.drill import CheckResult, Drill
from raxx_bcp.drills.freescout import database_client
from raxx_bcp.drills.freescout.examine import Restored, examine
from raxx_bcp.drills.freescout.expected import Expectation, Moment
from raxx_bcp.drills.freescout.facts import Fingerprint
from raxx_bcp.drills.hosts.isolation import isolate_and_assert, quieten_freescout
from raxx_bcp.drills.hosts.launch_script import launch_script
from raxx_bcp.drills.hosts.shell import Host
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp.policy import FreeScout, ThrowawayInstances
from raxx_bcp_sandbox.freescout.rows import HelpDesk
from raxx_bcp_sandbox.hosts.certificates import Authority
from raxx_bcp_tests.drills.engine.doubles import StillClock
from raxx_bcp_tests.drills.hosts.desk import order
from raxx_bcp_tests.real_host.conftest import Rack
from raxx_bcp_tests.real_host.login import access, log_in
from raxx_bcp_tests.real_host.machine import Disk, Machine
from raxx_bcp_tests.real_host.outside import MAIL_SERVER

POLICY: Final = ThrowawayInstances(
    worker_cidr="10.77.0.1/32",
    egress_probes=(f"{MAIL_SERVER}:25", "203.0.113.143:143"),
    provision_deadline_minutes=3,
    poll_seconds=1,
    command_timeout_seconds=60,
)
FREESCOUT: Final = FreeScout()
DRILL_ID: Final = "drill-of-a-real-host"
LAUNCH_SCRIPT: Final = launch_script(DRILL_ID, FREESCOUT.quiet_units)


@dataclass
class Entered:
    """``drill()`` is a new one each time, whose clock stands still: what it waits for has happened."""

    machine: Machine
    host: Host
    desk: HelpDesk
    taken_utc: datetime = field(default_factory=utc_now)

    def drill(self) -> Drill:
        clock = StillClock(utc_now())
        return Drill(order(), clock, clock.sleep, lambda _message: None, id=DRILL_ID)

    def isolate(self) -> Drill:
        """The drill's look at the second belt. Raises what it raises; the drill is kept in ``last``."""
        self.last = self.drill()
        isolate_and_assert(self.last, self.host, POLICY, FREESCOUT.quiet_units)
        return self.last

    def quieten(self) -> Drill:
        """The drill's look at what was sent."""
        self.last = self.drill()
        quieten_freescout(self.last, self.host, FREESCOUT)
        return self.last

    def examine(self) -> dict[str, CheckResult]:
        """The drill's look at the help desk, against what was put there."""
        drill = self.drill()
        restored = Restored(
            self.host,
            FREESCOUT,
            expectation(self.desk),
            self.taken_utc,
            quieten=lambda: quieten_freescout(drill, self.host, FREESCOUT),
            client=self.host.sql_client,
        )
        examine(drill, restored)
        return {one.name: one for one in drill.results}


def enter(
    rack: Rack, disk: Disk, authority: Authority, desk: HelpDesk, *, change: str = "", script: str = LAUNCH_SCRIPT
) -> Entered:
    """Boot a copy of ``disk`` as Lightsail would, and log in once its launch script has ended."""
    machine = rack.boot(disk, user_data=script, change=change)
    machine.wait_up("cloud-final.service")
    shell = log_in(machine, access(machine, authority))
    host = Host("raxx-tickets-restored", shell, 60.0, guarded=True)
    host.sql_client = database_client.of_copy(FREESCOUT)
    return Entered(machine, host, desk)


def expectation(desk: HelpDesk) -> Expectation:
    """What must come back, counted here and not by the database."""
    return Expectation(
        origin="what was put there",
        moment=Moment.SAME,
        rows={table: len(rows) for table, rows in desk.rows.items()},
        fingerprint=_fingerprint(desk),
        emoji=True,
        settled=False,
    )


def failed(checks: dict[str, CheckResult]) -> set[str]:
    """The names of those that failed."""
    return {name for name, one in checks.items() if one.status is CheckStatus.FAIL}


def _fingerprint(desk: HelpDesk) -> Fingerprint:
    total = 0
    for row in desk.rows["threads"]:
        words = [row["id"], row["conversation_id"], row["type"], row["state"], row["body"] or "", row["message_id"]]
        moment = datetime.fromisoformat(str(row["created_at"])).replace(tzinfo=UTC)
        text = "|".join(["" if word is None else str(word) for word in words] + [str(int(moment.timestamp()))])
        total += zlib.crc32(text.encode())
    ids = [int(row["id"] or 0) for row in desk.rows["threads"]]
    return Fingerprint(len(ids), max(ids), total)
