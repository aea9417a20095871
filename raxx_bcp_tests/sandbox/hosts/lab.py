"""Instances with a body for a test: a Lightsail stand-in in this process, real boto3, and a real SSH client.

with host_lab() as lab:
    shell = lab.shell(lab.restore())
    assert shell.run("sudo -n systemctl is-active cron").out == "active\n"
"""

from __future__ import annotations

import base64
import contextlib
import io
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from raxx_bcp_sandbox.hosts import network
from raxx_bcp_sandbox.hosts.bodies import HostBodies
from raxx_bcp_sandbox.hosts.kinds import Furnishings
from raxx_bcp_sandbox.hosts.layout import Layout
from raxx_bcp_sandbox.hosts.machine import Settings
from raxx_bcp_sandbox.lightsail.seed import raxx
from raxx_bcp_sandbox.lightsail.times import parse_utc
from raxx_bcp_sandbox.lightsail.world import World
from raxx_bcp_tests.sandbox.lightsail.lab import NOW, Lab, MakeLab, Plan, lightsail_server

TICKETS = "raxx-tickets"
RESTORED = "raxx-tickets-restored"
IDENTITIES = {"RAXX_SANDBOX_CLIENT_ID": "an-exporter", "RAXX_SANDBOX_CLIENT_SECRET": "an-exporters-secret"}
BOOT_SECONDS = 40.0
# What a drill's launch script does: close the way out, and stop what acts by itself.
ISOLATE = """#!/bin/sh
for tables in iptables ip6tables; do
    $tables -P OUTPUT DROP
    $tables -I OUTPUT 1 -o lo -j ACCEPT
    $tables -I OUTPUT 2 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
done
for unit in cron supervisor postfix exim4; do
    systemctl stop $unit
    systemctl disable $unit
    systemctl mask $unit
done
pkill -f 'artisan (queue:work|schedule:run|freescout:fetch-emails)'
echo isolated
"""


@dataclass(frozen=True)
class Ran:
    """What a command over SSH did."""

    status: int
    out: str
    err: str


class Shell:
    """A real SSH client, logged in with nothing but what GetInstanceAccessDetails said."""

    def __init__(self, access: dict[str, Any], port: int) -> None:
        self.client = paramiko.SSHClient()
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        for each in access["hostKeys"]:
            key = paramiko.PKey.from_type_string(each["algorithm"], base64.b64decode(each["publicKey"]))
            self.client.get_host_keys().add(f"[{access['ipAddress']}]:{port}", each["algorithm"], key)
        key = paramiko.RSAKey.from_private_key(io.StringIO(access["privateKey"]))
        key.load_certificate(access["certKey"])
        self.client.connect(
            access["ipAddress"],
            port=port,
            username=access["username"],
            pkey=key,
            allow_agent=False,
            look_for_keys=False,
            timeout=10,
        )

    def run(self, command: str, given: bytes = b"") -> Ran:
        """Run a command to its end."""
        stdin, stdout, stderr = self.client.exec_command(command)
        stdin.write(given)
        stdin.channel.shutdown_write()
        out, err = stdout.read(), stderr.read()
        return Ran(stdout.channel.recv_exit_status(), out.decode(), err.decode())

    def sql(self, script: str, database: str = "freescout") -> list[str]:
        """Lines that MariaDB answers."""
        ran = self.run(f"sudo -n mariadb --batch --raw --skip-column-names {database}", script.encode())
        assert ran.status == 0, ran.err
        return ran.out.splitlines()


@dataclass
class HostLab:
    """A stand-in with bodies."""

    lab: Lab
    bodies: HostBodies
    shells: list[Shell] = field(default_factory=list)

    @property
    def net(self) -> network.Network:
        """The instances' addresses and ports."""
        return self.bodies.network

    def client(self) -> Any:
        """A boto3 client."""
        return self.lab.client()

    def state(self, name: str) -> str:
        """An instance's state."""
        return str(self.client().get_instance_state(instanceName=name)["state"]["name"])

    def wait(self, name: str, state: str = "running") -> str:
        """Wait until the instance is in ``state``."""
        until(lambda: self.state(name) == state, f"{name} is not {state}")
        return name

    def restore(self, name: str = RESTORED, *, user_data: str = "", boot: bool = True, **source: Any) -> str:
        """A new instance from ``source``: by default production FreeScout's newest automatic snapshot."""
        chosen = source or {"sourceInstanceName": TICKETS, "useLatestRestorableAutoSnapshot": True}
        self.client().create_instances_from_snapshot(
            instanceNames=[name],
            availabilityZone="us-east-1a",
            bundleId="medium_3_0",
            userData=user_data,
            **chosen,
        )
        return self.launched(name) if boot else name

    def launched(self, name: str) -> str:
        """Wait until the instance runs and its launch script has ended."""
        self.wait(name)
        assert self.shell(name).run("cloud-init status --wait").status in (0, 1)
        return name

    def blank(self, name: str = RESTORED, *, user_data: str = "", blueprint: str = "ubuntu_22_04") -> str:
        """A new instance from a blueprint."""
        self.client().create_instances(
            instanceNames=[name],
            availabilityZone="us-east-1a",
            blueprintId=blueprint,
            bundleId="small_3_0",
            userData=user_data,
        )
        return self.launched(name)

    def snapshot(self, instance: str, name: str) -> None:
        """Take a manual snapshot and wait for it."""
        self.client().create_instance_snapshot(instanceName=instance, instanceSnapshotName=name)
        self.available(name)

    def available(self, name: str) -> None:
        """Wait for a snapshot."""

        def state() -> str:
            found = self.client().get_instance_snapshot(instanceSnapshotName=name)["instanceSnapshot"]
            return str(found["state"])

        until(lambda: state() == "available", f"{name} is not available")

    def access(self, name: str) -> dict[str, Any]:
        """How to log in."""
        details: dict[str, Any] = self.client().get_instance_access_details(instanceName=name)["accessDetails"]
        return details

    def shell(self, name: str) -> Shell:
        """Log in; the connection ends with the lab."""
        made = Shell(self.access(name), self.net.ssh)
        self.shells.append(made)
        return made

    def layout(self, name: str) -> Layout:
        """Where the instance's things are."""
        arn = self.client().get_instance(instanceName=name)["instance"]["arn"]
        return Layout(self.bodies.directory / "instances" / arn.rpartition("/")[2])

    def mails(self) -> int:
        """How many mails have left an instance."""
        return len(list(self.bodies.mail.glob("*.eml")))

    def delete(self, name: str) -> None:
        """Delete an instance, and wait until its disk is gone as well."""
        layout = self.layout(name)
        self.client().delete_instance(instanceName=name, forceDeleteAddOns=True)
        until(lambda: self.client().get_regions() is not None and not layout.directory.exists(), "its disk is left")


@contextlib.contextmanager
def host_lab(
    plan: Plan = raxx,
    *,
    make: MakeLab | None = None,
    cron_seconds: float = 60.0,
    real: Callable[[], float] = time.time,
    identities: dict[str, str] | None = None,
) -> Iterator[HostLab]:
    """A stand-in with bodies, seeded by ``plan``; its resources' time stands still, and nothing is pending for long.

    By default cron's first tick is a minute away: no test that does not want mail gets any.
    """
    directory = Path(tempfile.mkdtemp(prefix="raxx-hosts-"))
    worlds: list[World] = []
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        net = network.choose(directory)
        bodies = HostBodies(
            directory,
            net,
            Furnishings(IDENTITIES if identities is None else identities),
            now=lambda: worlds[0].clock.now() if worlds else parse_utc(NOW),
            real=real,
            quirk_on=lambda name: worlds[0].faults.on(name),
            settings=Settings(cron_first_seconds=cron_seconds, cron_every_seconds=cron_seconds),
        )
        stack.callback(bodies.close)
        maker = make or stack.enter_context(lightsail_server())
        lab = stack.enter_context(maker(plan, bodies=bodies, pending_seconds=0.0, prefix=net.prefix))
        assert lab.world is not None
        worlds.append(lab.world)
        made = HostLab(lab, bodies)
        yield made
        for shell in made.shells:
            shell.client.close()


def until(condition: Callable[[], bool], otherwise: str, seconds: float = BOOT_SECONDS) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
