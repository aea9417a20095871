"""The stand-in as the sandbox starts it, with bodies: killed and started again, and ended."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from raxx_bcp_sandbox.hosts import marks, network
from raxx_bcp_sandbox.lightsail.__main__ import KEY_VARIABLE, SECRET_VARIABLE, main
from raxx_bcp_tests.sandbox.hosts.lab import ISOLATE, RESTORED, TICKETS, Shell, until
from raxx_bcp_tests.sandbox.lightsail.lab import Lab, lightsail_process


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    """Where disks and processes are kept."""
    return tmp_path / "hosts"


@pytest.fixture
def lab(hosts: Path) -> Iterator[Lab]:
    """A process of its own, whose time runs."""
    with lightsail_process("--hosts", str(hosts), pending_seconds=0) as served:
        yield served


def restore(lab: Lab) -> None:
    """A copy of production's FreeScout."""
    lab.client().create_instances_from_snapshot(
        instanceNames=[RESTORED],
        availabilityZone="us-east-1a",
        bundleId="small_3_0",
        sourceInstanceName=TICKETS,
        useLatestRestorableAutoSnapshot=True,
        userData=ISOLATE,
    )
    until(lambda: lab.client().get_instance_state(instanceName=RESTORED)["state"]["name"] == "running", "it hangs")


def log_in(lab: Lab, hosts: Path) -> Shell:
    """A login, as soon as the instance answers."""
    made: list[Shell] = []
    net = network.load(hosts)
    assert net is not None

    def ready() -> bool:
        access: Any = lab.client().get_instance_access_details(instanceName=RESTORED)["accessDetails"]
        with contextlib.suppress(OSError):
            made.append(Shell(access, net.ssh))
        return bool(made)

    until(ready, "nobody can log in")
    assert made[0].run("cloud-init status --wait").status in (0, 1)
    return made[0]


def programs(hosts: Path) -> dict[int, float]:
    """Every process that runs for an instance below ``hosts``, by pid and start."""
    found = {each.pid: each.create_time() for each in marks.processes_of(hosts / "instances")}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if any(word.startswith(f"--datadir={hosts}") for word in words):
                found[process.pid] = process.create_time()
    return found


def test_kill_nine_and_a_restart(lab: Lab, hosts: Path) -> None:
    restore(lab)
    shell = log_in(lab, hosts)
    shell.sql("INSERT INTO options (name, value) VALUES ('planted', 'kept')")
    keys = lab.client().get_instance_access_details(instanceName=RESTORED)["accessDetails"]["hostKeys"]
    before = programs(hosts)
    assert len(before) >= 2
    lab.kill()
    shell.client.close()
    assert programs(hosts), "what it left behind is what the next one must find"
    lab.start()
    again = log_in(lab, hosts)
    assert again.sql("SELECT value FROM options WHERE name = 'planted'") == ["kept"]
    assert again.run("systemctl is-active cron mariadb nginx").out == "inactive\nactive\nactive\n"
    after = lab.client().get_instance_access_details(instanceName=RESTORED)["accessDetails"]["hostKeys"]
    assert [each["publicKey"] for each in after] == [each["publicKey"] for each in keys]
    assert not before.items() & programs(hosts).items(), "those of before do not run any more"
    again.client.close()


def test_what_was_deleted_while_it_was_away_is_forgotten(lab: Lab, hosts: Path) -> None:
    stray = hosts / "instances" / "of-nobody"
    (stray / "disk").mkdir(parents=True)
    (hosts / "snapshots" / "of-nobody" / "disk").mkdir(parents=True)
    lab.kill()
    lab.start()
    until(lambda: not stray.exists() and not (hosts / "snapshots" / "of-nobody").exists(), "they are left")
    instances = [each["arn"].rpartition("/")[2] for each in lab.client().get_instances()["instances"]]
    until(lambda: {each.name for each in (hosts / "instances").iterdir()} == set(instances), "those there are stay")


def test_its_end_is_the_end_of_its_instances(lab: Lab, hosts: Path) -> None:
    restore(lab)
    until(lambda: len(programs(hosts)) >= 3, "nothing runs")
    assert lab.process is not None
    lab.process.terminate()
    lab.process.wait(timeout=15)
    assert programs(hosts) == {}


def test_it_may_be_ended_while_everything_boots(lab: Lab, hosts: Path) -> None:
    lab.client().create_instances(
        instanceNames=["hanging"],
        availabilityZone="us-east-1a",
        blueprintId="debian_12",
        bundleId="small_3_0",
        userData="#!/bin/sh\nsleep 600\n",
    )
    assert lab.process is not None
    lab.process.terminate()
    lab.process.wait(timeout=15)
    until(lambda: programs(hosts) == {}, "something is left", 5)


def test_without_its_mail_sink_it_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = network.choose(tmp_path)
    keys = {KEY_VARIABLE: "AKIA", SECRET_VARIABLE: "x"}
    before = signal.getsignal(signal.SIGTERM)
    try:
        with socket.create_server((net.sink, net.smtp)), pytest.raises(SystemExit) as caught:
            main(["--port", "1", "--store", str(tmp_path / "s"), "--hosts", str(tmp_path)], keys)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.code == 1
    assert "The mail sink cannot listen" in capsys.readouterr().err
