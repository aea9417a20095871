"""The copy guard on a real Debian: production does not notice it, and a copy is silent from its first instruction."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from raxx_bcp_tests.real_host import hostile, production
from raxx_bcp_tests.real_host.conftest import Rack
from raxx_bcp_tests.real_host.machine import Disk, Machine, wait, write

Boot = Callable[..., Machine]
BOOTS = 20
AT_ONCE = 4
LOOKS_ON_SECONDS = 4.0
"""For how long a silent copy is looked on, once it is up: without the guard it has acted by then, see the controls."""
SCHEDULED = "203.0.113.143:143"
"""Where cron's job sends to."""


def mailed(machine: Machine) -> bool:
    return {*production.CUSTOMERS, production.SPOOLED} <= set(machine.outside.mails)


def ports(machine: Machine) -> set[int]:
    return {int(each.rpartition(":")[2]) for each in machine.outside.left if hostile.WORLD in each}


def assert_silent(machine: Machine) -> None:
    """It sent nothing, it could not have, and its marks say since when."""
    assert machine.outside.mails == []
    assert machine.outside.left == []
    marks = dict(line.split("=", 1) for line in machine.run("cat", "/run/copy-guard/marks").splitlines())
    assert int(marks["masked"]) > 50
    for unit in ("cron", "supervisor", "exim4", "anacron", "atd", "docker"):
        # is-enabled says "enabled" of an init script of System V that is masked.
        assert machine.run("systemctl", "show", "-p", "LoadState", "--value", unit).strip() == "masked", unit
        assert machine.ends_with("systemctl", "is-active", unit)[1].strip() == "inactive", unit
    for unit in ("ssh", "mariadb", "nginx", "php8.2-fpm"):
        assert machine.succeeds("systemctl", "is-active", "--quiet", unit), unit
    waiting = machine.run("mariadb", "-N", "freescout", "-e", "SELECT COUNT(*) FROM jobs").strip()
    assert waiting == str(len(production.CUSTOMERS))
    could_act = min(reached(machine, each) for each in ("network-pre.target", "sysinit.target"))
    assert float(marks["masked_at"]) <= float(marks["egress_closed_at"]) <= could_act


def reached(machine: Machine, unit: str) -> float:
    shown = machine.run("systemctl", "show", "-p", "ActiveEnterTimestampMonotonic", "--value", unit)
    return int(shown) / 1e6


# -- what a copy does without the guard, or nothing below would prove anything ------------------------------


def test_without_the_guard_a_copy_mails_customers(booted: Boot, unguarded: Disk) -> None:
    machine = booted(unguarded)
    wait(lambda: mailed(machine), 30, f"customers were not mailed, but {machine.outside.mails}")
    assert any(SCHEDULED in each for each in machine.outside.left)


def test_without_the_guard_everything_acts(booted: Boot, rack: Rack, unguarded: Disk) -> None:
    machine = booted(made_hostile(rack, unguarded))
    wanted = {*hostile.ACTORS, hostile.IN_A_CONTAINER}
    wait(lambda: ports(machine) == wanted, 30, f"only {ports(machine)} acted")


# -- production -----------------------------------------------------------------------------------------------


def test_production_does_not_notice_the_guard(booted: Boot, guarded: Disk) -> None:
    machine = booted(guarded, production.ORIGINAL)
    wait(lambda: mailed(machine), 30, f"production does not work: {machine.outside.mails}")
    code, said = machine.ends_with("copy-guard", "status")
    assert code == 0
    assert "machine=same" in said
    assert "whole=yes" in said
    assert machine.ends_with("systemctl", "cat", "copy-guard.service")[0] != 0
    assert not machine.succeeds("test", "-e", "/run/copy-guard")
    early = "/run/systemd/generator.early"
    assert machine.run("find", early, "-name", "copy-guard*", "-o", "-lname", "/dev/null") == ""
    assert "-P OUTPUT ACCEPT" in machine.run("iptables", "-S")


# -- copies -----------------------------------------------------------------------------------------------------


def test_twenty_copies_of_twenty_are_silent(rack: Rack, guarded: Disk) -> None:
    """Some with a slow unit, some with all that could act, some over a full minute of cron's; all recover MariaDB."""
    hostile_disk = made_hostile(rack, guarded)
    plans = [(number, hostile_disk if number % 2 else guarded) for number in range(BOOTS)]

    def boot(plan: tuple[int, Disk]) -> int:
        number, disk = plan
        machine = rack.machine(disk.copy(rack.place()), f"22222222-aaaa-4bbb-8ccc-0000000001{number:02}")
        if number % 5 == 0:
            write(
                machine.disk.root / "etc/systemd/system/nginx.service.d/slow.conf", "[Service]\nExecStartPre=sleep 8\n"
            )
        machine.boot()
        machine.wait_up()
        time.sleep(60 - time.time() % 60 + 2 if number % 7 == 0 else LOOKS_ON_SECONDS)
        assert_silent(machine)
        rack.scrap(machine)
        return number

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert sorted(pool.map(boot, plans)) == list(range(BOOTS))


def test_a_copy_stays_silent_over_a_reboot(booted: Boot, guarded: Disk) -> None:
    machine = booted(guarded)
    before = machine.run("cat", "/run/copy-guard/marks")
    machine.reboot()
    machine.wait_up()
    time.sleep(LOOKS_ON_SECONDS)
    assert_silent(machine)
    assert machine.run("cat", "/run/copy-guard/marks") != before


def test_what_is_installed_on_a_copy_is_masked_too(booted: Boot, guarded: Disk) -> None:
    """A package brings a unit, its script reloads systemd and starts it."""
    machine = booted(guarded)
    unit = "[Service]\nExecStart=/bin/sleep 600\n[Install]\nWantedBy=multi-user.target\n"
    machine.run("sh", "-c", "cat >/etc/systemd/system/brought.service && systemctl daemon-reload", stdin=unit)
    assert "masked" in machine.ends_with("systemctl", "start", "brought.service")[1]
    assert machine.run("sh", "-c", "grep -c egress_closed_at /run/copy-guard/marks").strip() == "1"


def test_no_look_up_waits_on_a_copy(booted: Boot, guarded: Disk) -> None:
    """The host's name has no entry and the name server is away, and sudo looks it up."""
    machine = booted(guarded)
    assert machine.ends_with("getent", "hosts", machine.run("hostname").strip())[0] != 0
    began = time.monotonic()
    assert machine.run("su", "-", production.LOGIN, "-c", "sudo -n id -u").strip().splitlines()[-1] == "0"
    assert machine.ends_with("nc", "-z", "-w", "20", "192.0.2.25", "25")[0] != 0
    assert machine.ends_with("nc", "-z", "-w", "20", "2001:db8::25", "25")[0] != 0
    assert time.monotonic() - began < 10
    assert machine.outside.left == []


def test_a_copy_says_loudly_what_it_is(booted: Boot, guarded: Disk) -> None:
    machine = booted(guarded)
    for place in ("/run/issue.d/copy-guard.issue", "/run/motd.d/copy-guard"):
        assert "this machine is a COPY of production (differs)" in machine.run("cat", place)
    assert "COPY GUARD" in machine.run("journalctl", "-b", "-u", "copy-guard.service", "--no-pager")
    code, said = machine.ends_with("copy-guard", "status")
    assert code == 1
    assert "machine=differs" in said


# -- a guard that does not work ---------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ("rm {root}/etc/copy-guard/machine", "record-missing"),
        (": >{root}/etc/copy-guard/machine", "record-missing"),
        ("rm {root}/var/lib/test-host/product_uuid", "identity-unreadable"),
    ],
)
def test_what_cannot_be_known_is_a_copy(rack: Rack, guarded: Disk, change: str, verdict: str) -> None:
    """Also on production itself: silent is loud and undone by one command, a mail is not."""
    machine = rack.machine(guarded.copy(rack.place()), production.ORIGINAL)
    machine.on_disk(change)
    machine.boot()
    machine.wait_up()
    time.sleep(LOOKS_ON_SECONDS)
    assert f"identity={verdict}" in machine.run("cat", "/run/copy-guard/marks")
    assert machine.outside.mails == []


# -- people -----------------------------------------------------------------------------------------------------


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


def test_uninstalling_leaves_nothing(booted: Boot, guarded: Disk) -> None:
    machine = booted(guarded, production.ORIGINAL)
    machine.run("copy-guard", "uninstall")
    for file in ("/etc/copy-guard", "/etc/systemd/system-generators/copy-guard", "/usr/local/sbin/copy-guard"):
        assert not machine.succeeds("test", "-e", file), file
    assert machine.run("/root/copy-guard/copy-guard", "status", check=False).strip().endswith("machine=not-installed")


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_a_copy_does_not_take_itself_for_production(booted: Boot, guarded: Disk, verb: str) -> None:
    machine = booted(guarded)
    code, said = machine.ends_with("/root/copy-guard/copy-guard", verb, "freescout")
    assert code == 2
    assert "copy-guard accept" in said
    assert "machine=differs" in machine.ends_with("copy-guard", "status")[1]


def test_the_vaults_containers_start_behind_closed_egress(rack: Rack, unguarded: Disk) -> None:
    """Nothing by itself; what the drill asks for, and then no container gets out, whatever Docker's own rules say."""
    disk = unguarded.copy(rack.place())
    machine = rack.machine(disk, production.ORIGINAL)
    production.bring_guard(disk.root)
    hostile.docker(disk.root)
    machine.boot()
    machine.wait_up()
    machine.run("/root/copy-guard/copy-guard", "install", "vault")
    machine.run("systemctl", "enable", "docker.service")
    machine.run("sync")
    machine.kill()
    disk.unmount()
    copy = rack.machine(disk.copy(rack.place()))
    copy.boot()
    copy.wait_up()
    assert "masked" in copy.ends_with("systemctl", "start", "docker.service")[1]
    assert copy.ends_with("copy-guard", "start", "cron.service")[0] == 2
    copy.run("copy-guard", "start", "docker.service")
    time.sleep(LOOKS_ON_SECONDS)
    assert copy.succeeds("systemctl", "is-active", "--quiet", "docker.service")
    assert copy.succeeds("pgrep", "-f", f"send {hostile.IN_A_CONTAINER}")
    assert copy.outside.left == []


def made_hostile(rack: Rack, disk: Disk) -> Disk:
    """A copy of a disk with all that could act."""
    made = disk.copy(rack.place())
    hostile.make_hostile(made.mount())
    made.unmount()
    return made
