"""One instance from its creation to its deletion. One thread does all work on it, in order."""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncssh
import msgspec

from raxx_bcp.errors import BcpError
from raxx_bcp_sandbox import mariadb
from raxx_bcp_sandbox.freescout import DATABASE, MARIADB
from raxx_bcp_sandbox.hosts import certificates, commands, damage, firewall, kinds, marks, quirks, user_data
from raxx_bcp_sandbox.hosts.certificates import Authority
from raxx_bcp_sandbox.hosts.control import Control
from raxx_bcp_sandbox.hosts.copies import copy_tree
from raxx_bcp_sandbox.hosts.kinds import Furnishings
from raxx_bcp_sandbox.hosts.layout import Layout
from raxx_bcp_sandbox.hosts.loop import LoopThread, Worker
from raxx_bcp_sandbox.hosts.machine import Machine, Role, Settings
from raxx_bcp_sandbox.hosts.network import Network
from raxx_bcp_sandbox.hosts.services import end
from raxx_bcp_sandbox.hosts.shelf import Origin, Shelf
from raxx_bcp_sandbox.hosts.ssh import Inside, SshServer
from raxx_bcp_sandbox.lightsail.records import Instance, Opening
from raxx_bcp_sandbox.waiting import Clock

NEW: Final = "new"
"""Where a disk is made, until it is complete."""
_FETCHED_BEFORE_SECONDS: Final = 60
_REMOVE_SECONDS: Final = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What all instances of a sandbox share."""

    network: Network
    loop: LoopThread
    shelf: Shelf
    authority: Authority
    furnishings: Furnishings
    settings: Settings
    now: Callable[[], float]
    """The resources' time. Only the thread that keeps the account may call this."""


class Memory(msgspec.Struct):
    """What a machine stores beside its disk."""

    quirks: list[str] = []
    user_data_ran: bool = False


class Host:
    """The body of ``instance``. Every method but ``close`` returns soon."""

    def __init__(self, layout: Layout, instance: Instance, user: str, around: Surroundings) -> None:
        self.layout = layout
        self._instance = instance
        self._user = user
        self._around = around
        self._openings: tuple[Opening, ...] = instance.openings
        self._made_at = around.now()
        self._worker = Worker(f"host-{instance.name}")
        self._machine: Machine | None = None
        self._control: Control | None = None
        self._ssh: SshServer | None = None
        self._launching: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._doomed = False
        self._lock = threading.Lock()
        self.up = threading.Event()
        self.trouble = ""
        """Why it does not boot; empty when nothing is wrong."""

    @property
    def memory(self) -> Memory | None:
        """What the machine has stored; None before its first start."""
        try:
            return msgspec.json.decode(self.layout.record.read_bytes(), type=Memory)
        except (OSError, msgspec.DecodeError):
            return None

    def remember(self, memory: Memory) -> None:
        """Store what the machine must know at its next boot."""
        self.layout.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.layout.record.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(memory))
        part.replace(self.layout.record)

    def has(self, quirk: str) -> bool:
        """Was the instance made with this fault?"""
        memory = self.memory
        return memory is not None and quirk in memory.quirks

    # -- orders ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Boot, unless an order to stop comes first."""
        with self._lock:
            if self._wanted:
                return
            self._wanted = True
        release = self._around.shelf.hold(self._instance.from_snapshot)
        self._worker.do(lambda: self._boot(release))

    def stop(self) -> None:
        """Stop what runs, including a boot that has not ended."""
        with self._lock:
            self._wanted = False
            if self._launching is not None:
                end(self._launching)
        self.up.clear()
        self._worker.do(self._halt)

    def snapshot(self, snapshot_id: str, taken_at: float) -> None:
        """Copy the disk as it is after all earlier orders."""
        self._around.shelf.promise(snapshot_id, self.layout.disk)
        self._worker.do(lambda: self._copy(snapshot_id, taken_at))

    def delete(self) -> None:
        """Stop, and delete the disk: nothing needs a clean shutdown."""
        self._doomed = True
        self.stop()
        self._worker.do(self._remove)
        self._worker.finish()

    def firewall(self, openings: tuple[Opening, ...]) -> None:
        """From now on, accept the connections that these openings allow."""
        self._openings = openings

    def close(self, seconds: float) -> None:
        """Stop what runs and wait until it has, at most ``seconds``; the disk stays."""
        self.stop()
        if not self._worker.close(seconds):
            _log.warning("The instance %s did not stop within %.1f s.", self._instance.name, seconds)

    def host_keys(self) -> list[asyncssh.SSHKey]:
        """What GetInstanceAccessDetails reports as its host keys."""
        self.layout.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return certificates.host_keys(self.layout.directory)

    def gone(self) -> bool:
        """Has it been deleted, with all that it had?"""
        return self._doomed and not self.layout.directory.exists()

    # -- in its own thread -------------------------------------------------------------------------------

    def _boot(self, release: Callable[[], None]) -> None:
        """From a bare record to the end of the launch script. An error is kept as ``trouble`` and ends the boot."""
        if self.has(quirks.NEVER_BOOTS) or not self._wanted:
            release()
            return
        self.trouble = ""
        try:
            self.layout.make()
            self._make_disk(release)
            self._run_machine()
        except (BcpError, OSError, subprocess.SubprocessError) as error:
            self.trouble = str(error)
            _log.warning("The instance %s does not boot: %s", self._instance.name, error)
            self._halt()
            return

    def _make_disk(self, release: Callable[[], None]) -> None:
        """Complete or not at all: what stops before the rename starts again from the beginning."""
        if self.layout.disk.exists():
            release()
            return
        fresh = Layout(self.layout.directory / NEW)
        mariadb.stop_leftover(fresh.disk / MARIADB)
        shutil.rmtree(fresh.directory, ignore_errors=True)
        try:
            self._fill(fresh)
        finally:
            release()
        damage.apply(fresh, self.memory.quirks if self.memory else ())
        fresh.disk.rename(self.layout.disk)
        fresh.directory.rmdir()

    def _fill(self, fresh: Layout) -> None:
        shelf, source = self._around.shelf, self._instance.from_snapshot
        if source and shelf.has(source):
            with shelf.disk(source) as copy:
                copy_tree(copy, fresh.disk)
            return
        origin = shelf.origin(source) if source else None
        if source and origin is None:
            origin = Origin(self._instance.snapshot_of, self._instance.snapshot_at)
        of, at = (origin.instance, origin.taken_at) if origin else (self._instance.name, self._made_at)
        self._around.furnishings.furnish(fresh, kinds.kind_named(of), at)

    def _run_machine(self) -> None:
        around, memory = self._around, self.memory or Memory()
        role = Role(
            self._instance.name,
            self._instance.address,
            frozenset(memory.quirks),
            production=kinds.is_production(self._instance),
        )
        machine = self._machine = Machine(self.layout, role, around.network, around.furnishings, around.settings)
        control = self._control = Control(self.layout.socket, lambda request: commands.run(machine, request))
        around.loop.call(control.open())
        machine.boot()
        if self._wanted and not self.has(quirks.SSH_REFUSED):
            self._open_ssh(machine)
        if self._wanted:
            self.up.set()
            self._launch(machine, memory)

    def _launch(self, machine: Machine, memory: Memory) -> None:
        """The launch script, once in an instance's lifetime. As on a real host, people can log in meanwhile."""
        if self._instance.user_data and not memory.user_data_ran:
            machine.launched = user_data.run(machine, self._instance.user_data, self._launched)
            self._launched(None)
            if not self._wanted:
                return
            memory.user_data_ran = True
            self.remember(memory)
        machine.launch_ended.set()

    def _launched(self, process: subprocess.Popen[bytes] | None) -> None:
        with self._lock:
            self._launching = process
            wanted = self._wanted
        if process is not None and not wanted:
            end(process)

    def _open_ssh(self, machine: Machine) -> None:
        wrong_key, refused = self.has(quirks.WRONG_KEY), self.has(quirks.LOGIN_REFUSED)
        keys = [asyncssh.generate_private_key("ssh-ed25519")] if wrong_key else self.host_keys()
        stranger = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        server = SshServer(
            self._instance.address,
            self._around.network.ssh,
            user=self._user,
            authority=stranger if refused else self._around.authority.public,
            keys=keys,
            inside=Inside(self.layout.disk, machine.environment()),
            lets_in=lambda peer: firewall.lets_in(self._openings, peer, self._around.network.ssh),
        )
        self._ssh = server
        self._around.loop.call(server.open())

    def _halt(self) -> None:
        machine, self._machine = self._machine, None
        ssh, self._ssh = self._ssh, None
        control, self._control = self._control, None
        if ssh is not None:
            self._around.loop.call(ssh.close())
        if machine is not None:
            if self._doomed and machine.server is not None:
                machine.server.kill()
            machine.halt()
        if control is not None:
            self._around.loop.call(control.close())

    def _copy(self, snapshot_id: str, taken_at: float) -> None:
        server = self._machine.server if self._machine is not None else None
        if server is not None and kinds.is_production(self._instance):
            _note_fetched(server, taken_at)
        if not self._has_disk():
            self._around.shelf.renounce(snapshot_id)
            return
        with server.frozen() if server is not None else contextlib.nullcontext():
            self._around.shelf.keep(snapshot_id, self.layout.disk)

    def _has_disk(self) -> bool:
        """An instance whose body cannot be made has no disk, so nothing is copied."""
        try:
            self._make_disk(lambda: None)
        except (BcpError, OSError) as error:
            self.trouble = str(error)
            _log.warning("No disk of the instance %s can be copied: %s", self._instance.name, error)
        return self.layout.disk.exists()

    def _remove(self) -> None:
        hosts, name = self.layout.directory.parent, self.layout.directory.name
        marks.kill_all(hosts, name)
        stop_database(self.layout.directory)
        Clock().until(self._removed, _REMOVE_SECONDS)

    def _removed(self) -> bool:
        """Retry: a process that was killed a moment ago may still have written a file."""
        self.layout.remove()
        return self.gone()


def stop_database(directory: Path) -> int:
    """Stop what a killed stand-in has left of the MariaDB of the instance in ``directory``; return how many."""
    return sum(mariadb.stop_leftover(Layout(each).disk / MARIADB) for each in (directory, directory / NEW))


def _note_fetched(server: mariadb.MariadbServer, now: float) -> None:
    """Production fetches mail all the time.

    The sandbox's has no scheduler, so the time of the last fetch is written when a snapshot is taken.
    """
    fetched = int(now) - _FETCHED_BEFORE_SECONDS
    statement = f"UPDATE options SET value = '{fetched}' WHERE name = 'fetch_emails_last_run'"  # noqa: S608 - a number
    with contextlib.suppress(BcpError):
        server.sql(statement, DATABASE)
