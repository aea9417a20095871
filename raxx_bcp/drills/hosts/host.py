"""Makes the throwaway instance of a drill, and returns a host to ask.

The instance is leased before it is made. It is tagged with its drill and the end of its lease, and closed to everybody
but this machine. A login accepts only the host key that Lightsail knows.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from raxx_bcp.clients.instance_shapes import (
    AVAILABLE,
    ERROR,
    GONE_STATES,
    RUNNING,
    Access,
    Bundle,
    Making,
    Opening,
    SnapshotSource,
    ThrowawayInstance,
    drill_tags,
)
from raxx_bcp.clients.instances import Instances
from raxx_bcp.clients.lightsail_errors import NameTakenError
from raxx_bcp.clients.ssh import HostUnknownError, LoginRefusedError, Shell, WrongHostError, connect
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.engine.leases import Lease
from raxx_bcp.drills.engine.record import REGION, RESOURCE
from raxx_bcp.drills.hosts.admission import Admission
from raxx_bcp.drills.hosts.isolation import IsolationUnknownError
from raxx_bcp.drills.hosts.shell import DatabaseError, Host
from raxx_bcp.errors import NOT_THE_END, BackupWrongError, CouldNotVerifyError, PermanentError, UsageError
from raxx_bcp.policy import ThrowawayInstances
from raxx_bcp.waiting import Deadline, Waiting

__all__ = [
    "DatabaseError",
    "FromAutomatic",
    "FromBlueprint",
    "FromSnapshot",
    "Host",
    "Origin",
    "instance_lease",
    "make_host",
]

KIND: Final = "lightsail instance"
LOGIN_GRACE: Final = timedelta(minutes=2)
"""A host accepts Lightsail's certificates only from some point of its first boot on. Later refusals are real."""

Login = Callable[[Access, int], Shell]


@dataclass(frozen=True)
class FromSnapshot:
    """A manual snapshot."""

    name: str


@dataclass(frozen=True)
class FromAutomatic:
    """The automatic snapshot of ``instance`` of ``day`` (``YYYY-MM-DD``)."""

    instance: str
    day: str


@dataclass(frozen=True)
class FromBlueprint:
    """An image of Lightsail's, on an instance of at least this size: enough for FreeScout with its database."""

    blueprint: str
    cpus: int = 2
    ram_gb: float = 2.0
    disk_gb: int = 40


Origin = FromSnapshot | FromAutomatic | FromBlueprint


def make_host(
    drill: Drill,
    instances: Instances,
    policy: ThrowawayInstances,
    name: str,
    origin: Origin,
    *,
    user_data: str,
    bundle: str = "",
    admission: Admission | None = None,
    login: Login = connect,
) -> Host:
    """Make instance ``name`` from ``origin``, and log in. Its lease closes the login as well.

    A snapshot needs an ``admission``: one without the copy guard is refused before anything is made.

    ``bundle`` names its size; empty: the cheapest that fits. Raises ``BackupWrongError`` (a snapshot in error),
    ``WrongHostError``, ``IsolationUnknownError`` (Lightsail's firewall does not close), ``CouldNotVerifyError`` (the
    name is taken, the snapshot is not finished, it was not up in time), ``UsageError``, and what ``Instances`` raises.
    """
    if not policy.worker_cidr:
        raise UsageError(
            "It is not known from which address this machine reaches a throwaway instance.",
            "Set throwaway_instances.worker_cidr to its public address, such as 203.0.113.9/32.",
        )
    source = _source(instances, origin)
    guarded = source is not None and _admitted(drill, source, admission)
    size = _size(instances.bundles(), origin, source, bundle)
    _require_free(drill, instances.get(name), name)
    making = Making(policy.zone, size.id, user_data, drill_tags(drill.id, drill.expires_utc))
    drill.target |= {RESOURCE: name, REGION: instances.region, "bundle": size.id}
    throwaway = _Throwaway(instances, name, drill.id)
    drill.lease(throwaway.lease(size.usd_per_hour), lambda: throwaway.make(origin, source, making))
    patience = Deadline.of(policy.provision_deadline_minutes, policy.poll_seconds, drill.clock, drill.sleep)
    _await_running(drill, instances, policy, name, patience)
    shell = _await_login(instances, policy, name, patience, login)
    throwaway.host = Host(name, shell, policy.command_timeout_seconds, guarded=guarded)
    return throwaway.host


def instance_lease(instances: Instances, name: str, drill_id: str, usd_per_hour: float) -> Lease:
    """The lease of a throwaway instance that exists already. It is gone when Lightsail no longer knows it."""
    return _Throwaway(instances, name, drill_id).lease(usd_per_hour)


@dataclass
class _Throwaway:
    """One instance on its way. ``somebodys``: the name turned out to be another's, so there is nothing to delete."""

    instances: Instances
    name: str
    drill_id: str
    host: Host | None = None
    somebodys: bool = False

    def lease(self, usd_per_hour: float) -> Lease:
        return Lease(KIND, self.name, self.release, self.gone, usd_per_hour)

    def make(self, origin: Origin, source: SnapshotSource | None, making: Making) -> None:
        try:
            if isinstance(origin, FromBlueprint):
                self.instances.create_from_blueprint(self.name, origin.blueprint, making)
            elif source is not None:
                self.instances.create_from_snapshot(self.name, source, making)
        except NameTakenError as error:
            # Either somebody was quicker, or an answer was lost and the call was sent twice: then it is ours.
            found = self.instances.get(self.name)
            if found is None or found.drill_id != self.drill_id:
                self.somebodys = True
                raise CouldNotVerifyError(error.what, error.remedy) from None

    def release(self) -> None:
        if self.host is not None:
            self.host.close()
        if not self.somebodys:
            self.instances.delete_throwaway(self.name, self.drill_id)

    def gone(self) -> bool:
        return self.somebodys or self.instances.get(self.name) is None


# -- from what, and how large ----------------------------------------------------------------------------


def _source(instances: Instances, origin: Origin) -> SnapshotSource | None:
    """The snapshot, looked at right before it is used."""
    if isinstance(origin, FromBlueprint):
        return None
    if isinstance(origin, FromSnapshot):
        source = instances.source_of_snapshot(origin.name)
    else:
        source = instances.source_of_automatic(origin.instance, origin.day)
    if source.state == ERROR:
        raise BackupWrongError(
            f"{source.label} cannot be restored: Lightsail says that it is in error.",
            "It is no backup. Take another one now, and see why this one failed in the Lightsail console.",
        )
    if source.state != AVAILABLE:
        raise CouldNotVerifyError(
            f"{source.label} cannot be restored yet: it is {source.state}.",
            "Wait until it is available, or choose another one.",
        )
    return source


def _admitted(drill: Drill, source: SnapshotSource, admission: Admission | None) -> bool:
    """Judged by the time that Lightsail says it was taken."""
    if admission is None:
        raise PermanentError(
            f"{source.label} was not restored: nobody asked whether it holds the copy guard.",
            "Nothing was made. Whatever asked for it is a mistake in the program.",
        )
    return admission.admit(drill, source.label, source.created_utc)


def _size(bundles: Sequence[Bundle], origin: Origin, source: SnapshotSource | None, named: str) -> Bundle:
    """The cheapest bundle on sale that holds what the snapshot's instance had. Its own may no longer be on sale."""
    known = {one.id: one for one in bundles}
    if named:
        if named not in known or not known[named].active:
            raise UsageError(f"There is no bundle {named}.", f"Choose one of: {_sold(bundles)}.")
        return known[named]
    need = _need(known, origin, source)
    fitting = [one for one in bundles if one.active and one.holds(need)]
    if not fitting:
        raise UsageError(
            f"No bundle has {need.cpus} CPUs, {need.ram_gb:g} GB of RAM and {need.disk_gb} GB of disk.",
            f"Name one for the drill; there are: {_sold(bundles)}.",
        )
    return min(fitting, key=lambda one: (one.usd_per_month, one.id))


def _need(known: dict[str, Bundle], origin: Origin, source: SnapshotSource | None) -> Bundle:
    if source is None:
        wanted = origin if isinstance(origin, FromBlueprint) else FromBlueprint("")
        return Bundle("", wanted.cpus, wanted.ram_gb, wanted.disk_gb, 0.0)
    before = known.get(source.bundle_id)
    if before is None:
        raise UsageError(
            f"Lightsail does not say how large bundle {source.bundle_id}, of {source.label}, was.",
            "Name a bundle for the drill.",
        )
    return Bundle("", before.cpus, before.ram_gb, max(before.disk_gb, source.disk_gb), 0.0)


def _sold(bundles: Sequence[Bundle]) -> str:
    return ", ".join(sorted(one.id for one in bundles if one.active))


# -- the name --------------------------------------------------------------------------------------------


def _require_free(drill: Drill, found: ThrowawayInstance | None, name: str) -> None:
    """A name that is taken is explained. Nothing is deleted to make room."""
    if found is None:
        return
    if not found.drill_id:
        raise CouldNotVerifyError(
            f"There is an instance {name} already, and no drill made it: it is left alone.",
            "See whose it is in the Lightsail console, or give the restored instance another name in bcp.toml.",
        )
    expires = found.expires_utc
    if expires is None:
        raise CouldNotVerifyError(
            f"There is an instance {name} already, of drill {found.drill_id}, that does not say until when.",
            "See in the Lightsail console whether anybody needs it, and delete it by hand.",
        )
    when = f"{expires:%Y-%m-%d %H:%M} UTC"
    if drill.clock() < expires:
        raise CouldNotVerifyError(
            f"There is an instance {name} already, of drill {found.drill_id}, which has it until {when}.",
            "Wait for that drill, or until then: after that the sweeper deletes it.",
        )
    raise CouldNotVerifyError(
        f"There is an instance {name} still, of drill {found.drill_id}, whose lease ended {when}.",
        "Run raxx-bcp drill sweep, then start the drill again.",
    )


# -- until it can be asked -------------------------------------------------------------------------------


def _await_running(
    drill: Drill, instances: Instances, policy: ThrowawayInstances, name: str, patience: Deadline
) -> None:
    """Close its firewall at once, and wait until it runs. A new instance has the default rules: open to the world."""
    closed = False

    def look() -> str | Waiting:
        nonlocal closed
        state = _state(instances, name)
        closed = closed or _close(drill, instances, policy, name, running=state == RUNNING)
        if state in GONE_STATES:
            raise CouldNotVerifyError(
                f"The instance {name} was deleted while the drill waited for it.", "Find out by whom, and start again."
            )
        return state if closed and state == RUNNING else Waiting(state)

    def late(seen: str) -> CouldNotVerifyError:
        return CouldNotVerifyError(
            f"The instance {name} is {seen} after {policy.provision_deadline_minutes} minutes, and does not run.",
            "Look at health.aws.amazon.com, then start the drill again: the backup was not judged.",
        )

    patience.ask(look, late)


def _state(instances: Instances, name: str) -> str:
    """One failed look does not end the wait, and the firewall is closed in any case. Only the deadline ends it."""
    try:
        found = instances.get(name)
    except NOT_THE_END as error:
        return f"not seen ({error.what})"
    return found.state if found else "not listed yet"


def _close(drill: Drill, instances: Instances, policy: ThrowawayInstances, name: str, *, running: bool) -> bool:
    """Is the firewall closed? Lightsail may refuse to while the instance boots."""
    try:
        instances.open_only(name, policy.ssh_port, policy.worker_cidr)
        openings = instances.openings(name)
    except NOT_THE_END:
        return False
    except PermanentError:
        if running:
            raise
        return False
    if not _closed(openings, policy):
        raise IsolationUnknownError(
            f"The firewall of {name} does not hold: it lets in more than {policy.worker_cidr}, or other ports.",
            "The drill was ended at once. Look at the instance's networking in the Lightsail console.",
        )
    drill.isolation.append(f"Lightsail's firewall lets in {policy.worker_cidr} to TCP {policy.ssh_port} only")
    return True


def _closed(openings: Sequence[Opening], policy: ThrowawayInstances) -> bool:
    if len(openings) != 1:
        return False
    (one,) = openings
    port = policy.ssh_port
    if (one.protocol, one.first, one.last) != ("tcp", port, port) or len(one.sources) != 1:
        return False
    (source,) = one.sources
    try:
        return ipaddress.ip_network(source, strict=False) == ipaddress.ip_network(policy.worker_cidr, strict=False)
    except ValueError:
        return False


def _await_login(
    instances: Instances, policy: ThrowawayInstances, name: str, patience: Deadline, login: Login
) -> Shell:
    """Log in as soon as it lets us.

    A copy makes new host keys when it first boots, so a wrong key counts only when Lightsail, asked again, still knows
    the same ones. A refused login counts only when it has been refused for some time.
    """
    mistaken: tuple[tuple[str, str], ...] = ()
    refused_until: datetime | None = None
    while True:
        try:
            access = instances.access(name)
            return login(access, policy.ssh_port)
        except WrongHostError as error:
            if access.host_keys == mistaken:
                raise
            mistaken, why = access.host_keys, error.what
        except LoginRefusedError as error:
            refused_until = refused_until or patience.clock() + LOGIN_GRACE
            if patience.clock() >= refused_until:
                raise
            why = error.what
        except (HostUnknownError, *NOT_THE_END) as error:
            why = error.what
        if not patience.left:
            raise CouldNotVerifyError(
                f"{name} could not be logged in to within {policy.provision_deadline_minutes} minutes: {why}",
                "Look at the instance in the Lightsail console, then start the drill again: the backup was not judged.",
            )
        patience.pause()
