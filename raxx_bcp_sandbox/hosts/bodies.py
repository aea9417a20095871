"""Instances with a body: does what the Lightsail stand-in asks of its ``Bodies``, with real disks and processes."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

from raxx_bcp.errors import BcpError, TransientError
from raxx_bcp_sandbox.freescout.sink import Sink
from raxx_bcp_sandbox.hosts import certificates, kinds, marks, quirks
from raxx_bcp_sandbox.hosts.certificates import Authority
from raxx_bcp_sandbox.hosts.host import Host, Memory, Surroundings, stop_database
from raxx_bcp_sandbox.hosts.kinds import Furnishings
from raxx_bcp_sandbox.hosts.layout import Layout
from raxx_bcp_sandbox.hosts.loop import LoopThread
from raxx_bcp_sandbox.hosts.machine import Settings
from raxx_bcp_sandbox.hosts.network import Network
from raxx_bcp_sandbox.hosts.shelf import Origin, Shelf
from raxx_bcp_sandbox.lightsail.catalogue import BLUEPRINTS
from raxx_bcp_sandbox.lightsail.errors import operation_failure
from raxx_bcp_sandbox.lightsail.records import Instance
from raxx_bcp_sandbox.lightsail.times import RealTime

MAIL: Final = "mail"
"""Where the mail sink stores its messages, below the hosts' directory."""
_HISTORY_SECONDS: Final = 60.0
"""A snapshot that is older than this when it is reported fell due while nothing ran."""
_CLOSE_SECONDS: Final = 6.0
_log = logging.getLogger(__name__)


class HostBodies:
    """The bodies of all instances below ``directory``. Call ``close``: processes must not outlive it.

    What an earlier stand-in has left running is stopped first. ``now`` gives the resources' time, ``real`` the time by
    which logins expire; ``quirk_on`` returns whether a host fault is switched on now. Raises ``TransientError`` when
    the mail sink's port is taken.
    """

    def __init__(
        self,
        directory: Path,
        network: Network,
        furnishings: Furnishings,
        *,
        now: Callable[[], float] = time.time,
        real: RealTime = time.time,
        quirk_on: Callable[[str], bool] = lambda _name: False,
        settings: Settings | None = None,
    ) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory.resolve()
        self.network = network
        self.mail = self.directory / MAIL
        self._real = real
        self._quirk_on = quirk_on
        self._settings = settings or Settings()
        self._instances = self.directory / "instances"
        self._instances.mkdir(mode=0o700, exist_ok=True)
        stop_leftovers(self.directory)
        self._sink = _sink(self.mail, network)
        shelf = Shelf(self.directory / "snapshots")
        authority = Authority(self.directory / "authority")
        self._around = Surroundings(network, LoopThread(), shelf, authority, furnishings, self._settings, now)
        self._hosts: dict[str, Host] = {}
        self._leaving: list[Host] = []
        self._lock = threading.Lock()
        shelf.recover()

    def close(self) -> None:
        """Stop every instance; disks and snapshots stay."""
        hosts = [*self._hosts.values(), *self._leaving]
        self._hosts.clear()
        for host in hosts:
            host.stop()
        until = time.monotonic() + _CLOSE_SECONDS
        for host in hosts:
            host.close(max(0.1, until - time.monotonic()))
        self._around.shelf.close(max(0.1, until - time.monotonic()))
        marks.kill_all(self._instances)
        self._sink.__exit__()
        self._around.loop.close()

    # -- what the stand-in asks for ----------------------------------------------------------------------

    def start(self, instance: Instance) -> None:
        """Boot, in the background."""
        host = self._host(instance)
        if host.memory is None:
            host.remember(Memory(self._quirks(instance)))
        host.start()

    def is_up(self, instance: Instance) -> bool:
        """Has the boot ended?"""
        return self._host(instance).up.is_set()

    def trouble(self, instance: Instance) -> str:
        """The reason why it does not boot."""
        return self._host(instance).trouble

    def stop(self, instance: Instance) -> None:
        """Stop its processes, in the background."""
        self._host(instance).stop()

    def delete(self, instance: Instance) -> None:
        """Stop its processes and delete its disk, in the background."""
        host = self._host(instance)
        host.delete()
        self._leaving = [*(each for each in self._leaving if not each.gone()), host]
        del self._hosts[instance.id]

    def firewall(self, instance: Instance) -> None:
        """New openings."""
        self._host(instance).firewall(instance.openings)

    def snapshot(self, instance: Instance, snapshot_id: str, taken_at: float) -> None:
        """Copy its disk, in the background.

        A production instance's snapshot that fell due in the past is not a copy of the present disk. Its disk is made
        when somebody restores it, as it was at that time.
        """
        past = taken_at < self._around.now() - _HISTORY_SECONDS
        if not (past and kinds.is_production(instance)):
            self._host(instance).snapshot(snapshot_id, taken_at)

    def is_copied(self, snapshot_id: str) -> bool:
        """Is the copy complete?"""
        return not self._around.shelf.is_promised(snapshot_id)

    def copy_snapshot(self, source_id: str, copy_id: str, instance: str, taken_at: float) -> None:
        """Copy a copy, in the background."""
        self._around.shelf.copy(source_id, copy_id, Origin(instance, taken_at))

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a copy, in the background."""
        self._around.shelf.delete(snapshot_id)

    def keep_only(self, instances: Collection[str], snapshots: Collection[str]) -> None:
        """Delete the disks and copies of everything that the account no longer knows, by id."""
        for place in self._instances.glob("*"):
            if place.name not in instances:
                stop_database(place)
                Layout(place).remove()
        self._around.shelf.keep_only(snapshots)

    def access(self, instance: Instance) -> dict[str, Any]:
        """A login that is valid for five minutes."""
        host = self._host(instance)
        if host.trouble:
            raise operation_failure(f"The instance {instance.name} has no body: {host.trouble}")
        login = self._around.authority.login(
            BLUEPRINTS[instance.blueprint].user, self._real(), self._settings.certificate_seconds
        )
        return {
            **login,
            "ipAddress": instance.address,
            "instanceName": instance.name,
            "protocol": "ssh",
            "hostKeys": certificates.shown(host.host_keys(), instance.created_at),
        }

    # -- inside ------------------------------------------------------------------------------------------

    def _host(self, instance: Instance) -> Host:
        with self._lock:
            host = self._hosts.get(instance.id)
            if host is None:
                layout = Layout(self._instances / instance.id)
                user = BLUEPRINTS[instance.blueprint].user
                host = self._hosts[instance.id] = Host(layout, instance, user, self._around)
        return host

    def _quirks(self, instance: Instance) -> list[str]:
        return [] if kinds.is_production(instance) else [name for name in quirks.KNOWN if self._quirk_on(name)]


def _sink(directory: Path, network: Network) -> Sink:
    try:
        return Sink(directory, network.smtp, network.sink).__enter__()
    except OSError as error:
        raise TransientError(
            f"The mail sink cannot listen at {network.sink}:{network.smtp} ({error.strerror}).",
            f"Stop what does (ss -ltnp shows it), or delete {directory.parent / 'network.json'} to choose anew.",
        ) from error


def stop_leftovers(directory: Path) -> int:
    """Kill the processes that a stand-in on this directory has left, without starting another; return how many."""
    instances = directory.resolve() / "instances"
    count = marks.kill_all(instances)
    for place in instances.glob("*"):
        with contextlib.suppress(BcpError, OSError):
            count += stop_database(place)
    return count
