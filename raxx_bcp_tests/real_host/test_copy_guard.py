"""What else a copy with the guard does on a real Debian; that it is silent: ``test_silence.py``."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from raxx_bcp_tests.real_host import hostile, production
from raxx_bcp_tests.real_host.conftest import Rack
from raxx_bcp_tests.real_host.looks import LOOKS_ON_SECONDS, mailed
from raxx_bcp_tests.real_host.machine import Disk, Machine, wait, write

Boot = Callable[..., Machine]


@pytest.fixture(scope="module")
def silent(module_rack: Rack, guarded: Disk) -> Machine:
    """A copy of production that nobody has touched; the tests that share it leave nothing behind."""
    return module_rack.boot(guarded)


# -- a copy -----------------------------------------------------------------------------------------------------


def test_what_is_installed_on_a_copy_is_masked_too(silent: Machine) -> None:
    """A package brings a unit, its script reloads systemd and starts it."""
    unit = "[Service]\nExecStart=/bin/sleep 600\n[Install]\nWantedBy=multi-user.target\n"
    silent.run("sh", "-c", "cat >/etc/systemd/system/brought.service && systemctl daemon-reload", stdin=unit)
    assert "masked" in silent.ends_with("systemctl", "start", "brought.service")[1]
    assert silent.run("sh", "-c", "grep -c egress_closed_at /run/copy-guard/marks").strip() == "1"


def test_no_look_up_waits_on_a_copy(silent: Machine) -> None:
    """The host's name has no entry and the name server is away, and sudo looks it up."""
    assert silent.ends_with("getent", "hosts", silent.run("hostname").strip())[0] != 0
    began = time.monotonic()
    assert silent.run("su", "-", production.LOGIN, "-c", "sudo -n id -u").strip().splitlines()[-1] == "0"
    assert silent.ends_with("nc", "-z", "-w", "20", "192.0.2.25", "25")[0] != 0
    assert silent.ends_with("nc", "-z", "-w", "20", "2001:db8::25", "25")[0] != 0
    # The same two as of the sandbox's hosts, see sandbox/hosts/test_restored.py.
    assert silent.ends_with("curl", "-sS", "--max-time", "20", "https://github.com/")[0] == 6
    assert silent.ends_with("curl", "-sS", "--max-time", "20", "http://203.0.113.9/")[0] == 7
    assert time.monotonic() - began < 10
    assert silent.outside.left == []


def test_a_copy_says_loudly_what_it_is(silent: Machine) -> None:
    for place in ("/run/issue.d/copy-guard.issue", "/run/motd.d/copy-guard"):
        assert "this machine is a COPY of production (differs)" in silent.run("cat", place)
    assert "COPY GUARD" in silent.run("journalctl", "-b", "-u", "copy-guard.service", "--no-pager")
    code, said = silent.ends_with("copy-guard", "status")
    assert code == 1
    assert "machine=differs" in said


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_a_copy_does_not_take_itself_for_production(silent: Machine, verb: str) -> None:
    code, said = silent.ends_with("/root/copy-guard/copy-guard", verb, "freescout")
    assert code == 2
    assert "copy-guard accept" in said
    assert "machine=differs" in silent.ends_with("copy-guard", "status")[1]


def test_where_egress_cannot_be_closed_nothing_starts(rack: Rack, guarded: Disk) -> None:
    machine = rack.machine(guarded.copy(rack.place()))
    write(machine.disk.root / "etc/copy-guard/copy-guard", "#!/bin/sh\nexit 1\n", 0o755)
    machine.boot()
    wait(
        lambda: "failed" in machine.ends_with("systemctl", "is-active", "copy-guard.service")[1], 60, "it did not fail"
    )
    time.sleep(LOOKS_ON_SECONDS)
    for unit in ("ssh", "mariadb", "cron", "multi-user.target"):
        assert not machine.succeeds("systemctl", "is-active", "--quiet", unit), unit
    assert machine.outside.mails == []


def test_the_vaults_containers_start_behind_closed_egress(rack: Rack, unguarded: Disk) -> None:
    """Nothing by itself; what the drill asks for, and then no container gets out, whatever Docker's own rules say."""
    disk = unguarded.copy(rack.place())
    machine = rack.machine(disk, production.ORIGINAL)
    production.bring_guard(disk.root)
    hostile.docker(disk.root)
    machine.boot()
    machine.wait_up("basic.target")
    machine.run("/root/copy-guard/copy-guard", "install", "vault")
    machine.run("systemctl", "enable", "docker.service")
    machine.kill()
    disk.unmount()
    copy = rack.boot(disk)
    assert "masked" in copy.ends_with("systemctl", "start", "docker.service")[1]
    assert copy.ends_with("copy-guard", "start", "cron.service")[0] == 2
    copy.run("copy-guard", "start", "docker.service")
    time.sleep(LOOKS_ON_SECONDS)
    assert copy.succeeds("systemctl", "is-active", "--quiet", "docker.service")
    assert copy.succeeds("pgrep", "-f", f"send {hostile.IN_A_CONTAINER}")
    assert copy.outside.left == []


# -- production that moved ----------------------------------------------------------------------------------------


def test_production_that_moved_is_accepted_by_one_command(booted: Boot, guarded: Disk) -> None:
    machine = booted(guarded)
    code, said = machine.ends_with("copy-guard", "accept", stdin="yes\n")
    assert code == 2
    assert "MAILS CUSTOMERS" in said
    assert machine.outside.mails == []
    said = machine.run("copy-guard", "accept", stdin="this is production\n")
    assert "Accepted" in said
    wait(lambda: mailed(machine), 60, f"it does not work again: {machine.outside.mails}")
    assert machine.ends_with("copy-guard", "status")[0] == 0
    assert "-P OUTPUT ACCEPT" in machine.run("iptables", "-S")
    machine.reboot()
    machine.wait_up()
    assert machine.succeeds("systemctl", "is-active", "--quiet", "supervisor")
    assert not machine.succeeds("test", "-e", "/run/copy-guard")
