"""The product's own isolation, over real SSH, on a real host: healthy, and with what can be wrong with one."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from raxx_bcp.clients.instance_shapes import Access, access_of
from raxx_bcp.clients.ssh import connect
from raxx_bcp.clock import utc_now
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.hosts.isolation import ISOLATION, isolate_and_assert
from raxx_bcp.drills.hosts.isolation import quieten_freescout as quieten
from raxx_bcp.drills.hosts.launch_script import launch_script
from raxx_bcp.drills.hosts.shell import Host
from raxx_bcp.drills.hosts.silence import SILENT, assert_silent
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp.policy import FreeScout, ThrowawayInstances
from raxx_bcp_sandbox.hosts.certificates import Authority
from raxx_bcp_tests.drills.hosts.desk import order
from raxx_bcp_tests.real_host import production
from raxx_bcp_tests.real_host.conftest import Rack
from raxx_bcp_tests.real_host.machine import Disk, Machine
from raxx_bcp_tests.real_host.outside import HOST, MAIL_SERVER

POLICY = ThrowawayInstances(
    worker_cidr="10.77.0.1/32",
    egress_probes=(f"{MAIL_SERVER}:25", "203.0.113.143:143"),
    provision_deadline_minutes=3,
    poll_seconds=1,
    command_timeout_seconds=60,
)
FREESCOUT = FreeScout()
Enter = Callable[..., tuple[Drill, Host, Machine]]


@pytest.fixture
def access(authority: Authority) -> Callable[[Machine], Access]:
    """What Lightsail would say of a machine's login."""

    def of(machine: Machine) -> Access:
        keys = machine.run("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub").splitlines()
        known = [dict(zip(("algorithm", "publicKey"), line.split(), strict=False)) for line in keys]
        login = authority.login(production.LOGIN, time.time(), 600)
        return access_of({**login, "ipAddress": HOST, "hostKeys": known, "protocol": "ssh"})

    return of


@pytest.fixture
def enter(rack: Rack, access: Callable[[Machine], Access]) -> Enter:
    """A copy of a disk, booted with this software's own launch script, and logged in to."""

    def made(
        disk: Disk, script: Callable[[str], str] = lambda text: text, change: str = ""
    ) -> tuple[Drill, Host, Machine]:
        drill = Drill(order(), utc_now, time.sleep, lambda _message: None)
        user_data = script(launch_script(drill.id, FREESCOUT.quiet_units))
        machine = rack.machine(disk.copy(rack.place()), user_data=user_data)
        if change:
            machine.on_disk(change)
        machine.boot()
        machine.wait_up("ssh.service")
        machine.wait_up("cloud-init.service")
        shell = machine.outside.inside(lambda: connect(access(machine), 22))
        return drill, Host("raxx-tickets-restored", shell, 60.0, guarded=True), machine

    return made


def test_a_guarded_copy_passes_all_of_it(enter: Enter, guarded: Disk) -> None:
    drill, host, machine = enter(guarded)
    assert_silent(drill, host, guarded=True)
    isolate_and_assert(drill, host, POLICY, FREESCOUT.quiet_units)
    assert {one.name: one.status for one in drill.results} == {SILENT: CheckStatus.PASS, ISOLATION: CheckStatus.PASS}
    assert drill.isolation[0].startswith("silent before the network: 0 s (")
    machine.wait_up()
    began = time.monotonic()
    assert quieten(drill, host, FREESCOUT) == len(production.CUSTOMERS)
    assert time.monotonic() - began < 20, "a command waited for a name server"
    assert machine.outside.mails == []
    assert machine.outside.left == []


def test_a_worker_that_runs_all_the_same_tries_in_vain_and_that_is_told_apart(enter: Enter, guarded: Disk) -> None:
    drill, host, machine = enter(guarded)
    machine.wait_up()
    machine.run("python3", "/var/www/html/artisan", "schedule:run")
    quieten(drill, host, FREESCOUT)
    tried = len(production.CUSTOMERS)
    assert drill.isolation[-2] == f"no mail was handed over since boot, {tried} attempts did not get out (send_logs)"
    assert machine.outside.mails == []
