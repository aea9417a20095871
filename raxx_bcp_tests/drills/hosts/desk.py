"""A whole way from Lightsail to a login for a test: the Lightsail stand-in, and a small SSH server as every instance.

Time passes for the drill and for Lightsail together, and only when the drill sleeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from raxx_bcp.clients.instance_shapes import EXPIRES_TAG, Access, Making, drill_tags
from raxx_bcp.clients.instances import Instances
from raxx_bcp.drills.engine.drill import Drill, Order
from raxx_bcp.policy import FreeScout, ThrowawayInstances
from raxx_bcp_sandbox.lightsail.bodies import NoBodies
from raxx_bcp_sandbox.lightsail.records import Instance
from raxx_bcp_tests.clients.ssh_lab import Lab as Machine
from raxx_bcp_tests.drills.engine.doubles import StillClock
from raxx_bcp_tests.sandbox.lightsail.lab import Lab as Lightsail
from raxx_bcp_tests.sandbox.lightsail.lab import MakeLab

PRODUCTION: Final = ("raxx-tickets", "raxx-vault")
RESTORED: Final = "raxx-tickets-restored"
UNITS: Final = ("cron", "supervisor", "postfix")
FREESCOUT: Final = FreeScout(site_directory="site")


@dataclass
class LoginBodies(NoBodies):
    """Instances that are all one SSH server. ``up`` says whether they boot, ``details`` changes their logins."""

    machine: Machine
    up: bool = True
    details: Callable[[dict[str, Any]], dict[str, Any]] = field(default=lambda details: details)

    def is_up(self, instance: Instance) -> bool:  # noqa: ARG002 - the protocol's
        return self.up

    def access(self, instance: Instance) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        return self.details(details_of(self.machine.access()))


def details_of(access: Access) -> dict[str, Any]:
    """``accessDetails`` of Lightsail's model."""
    return {
        "certKey": access.certificate,
        "privateKey": access.private_key,
        "username": access.user,
        "ipAddress": access.address,
        "expiresAt": access.expires_utc.timestamp(),
        "hostKeys": [{"algorithm": algorithm, "publicKey": key} for algorithm, key in access.host_keys],
        "protocol": "ssh",
    }


@dataclass
class Desk:
    """A drill and its clients."""

    lightsail: Lightsail
    machine: Machine
    bodies: LoginBodies
    clock: StillClock
    policy: ThrowawayInstances
    naps: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.clock.sleep(seconds)
        self.lightsail.advance(seconds)

    def door(self) -> Instances:
        return Instances(names=(RESTORED, "raxx-vault-restored"), protected=PRODUCTION, client=self.lightsail.client())

    def drill(self, drill_id: str = "") -> Drill:
        return Drill(order(), self.clock, self.sleep, lambda _message: None, id=drill_id)

    def stand(self, drill_id: str, expires: timedelta | None) -> None:
        """Let an instance stand that another drill made; ``expires`` None: its expiry cannot be read."""
        tags = drill_tags(drill_id, self.clock.now + (expires or timedelta()))
        if expires is None:
            tags[EXPIRES_TAG] = "whenever"
        making = Making("us-east-1a", "small_3_0", "", tags)
        self.door().create_from_blueprint(RESTORED, "ubuntu_22_04", making)
        self.lightsail.advance(600)

    def standing(self) -> set[str]:
        """The instances of the account."""
        return {one["name"] for one in self.lightsail.client().get_instances()["instances"]}


@contextmanager
def desk(make_lab: MakeLab, machine: Machine) -> Iterator[Desk]:
    bodies = LoginBodies(machine)
    policy = ThrowawayInstances(worker_cidr="127.0.0.1/32", ssh_port=machine.port, egress_probes=("192.0.2.1:443",))
    with make_lab(bodies=bodies) as lightsail:
        yield Desk(lightsail, machine, bodies, StillClock(), policy)


def order() -> Order:
    return Order(
        kind="freescout_snapshot",
        system="freescout",
        operator="alice",
        scenario="a test",
        rto_target_seconds=7200,
        rpo_target_seconds=90000,
        lease=timedelta(hours=4),
        checks=("isolation",),
    )


def quiet(machine: Machine) -> None:
    """Make the host one that is isolated, by programs that say so. ``uptime`` is left to the machine."""
    machine.program(
        "systemctl",
        'case "$1" in is-active) echo inactive; exit 3 ;; is-enabled) echo masked; exit 1 ;; esac\n'
        'echo "$@" >>systemctl.log',
    )
    machine.program("pgrep", "echo 0; exit 1")
    machine.program("pkill", 'printf "%s\\n" "$@" >>pkill.log; exit 1')
    for tables in ("iptables", "ip6tables"):
        machine.program(
            tables,
            f'echo "$@" >>{tables}.log\n'
            f'case "$*" in "-S OUTPUT") cat {tables}.rules ;; "-S FORWARD") cat {tables}.forward ;; esac; exit 0',
        )
        (machine.home / f"{tables}.rules").write_text(RULES)
        (machine.home / f"{tables}.forward").write_text(FORWARD)
    machine.program("nc", 'echo "$4 $5" >>nc.log; [ "$4" = 127.0.0.1 ]')
    machine.program("uptime", 'echo "2031-03-14 09:01:00"')


RULES: Final = (
    "-P OUTPUT DROP\n-A OUTPUT -o lo -j ACCEPT\n-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
)
FORWARD: Final = (
    "-P FORWARD ACCEPT\n-A FORWARD -o docker0 -j ACCEPT\n-A FORWARD -o br-+ -j ACCEPT\n"
    "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -j DROP\n"
    "-A FORWARD -j DOCKER-USER\n-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n"
)
"""Docker's own rules stand behind ours and are never reached."""
