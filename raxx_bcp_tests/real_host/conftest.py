"""Production, once: booted, filled, guarded, and cut off while it runs, as a snapshot finds it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from raxx_bcp.clock import utc_now
from raxx_bcp_sandbox.freescout import help_desk
from raxx_bcp_sandbox.freescout.rows import HelpDesk
from raxx_bcp_sandbox.hosts.certificates import Authority
from raxx_bcp_tests.real_host import image, production
from raxx_bcp_tests.real_host.machine import Disk, Machine
from raxx_bcp_tests.real_host.outside import Outside


@dataclass
class Rack:
    """Makes machines, and forgets them all at the end."""

    directory: Path

    def __post_init__(self) -> None:
        self.machines: list[Machine] = []
        self._numbers = itertools.count(1)

    def place(self) -> Path:
        return self.directory / f"m{next(self._numbers)}"

    def machine(self, disk: Disk, identity: str = production.COPY, *, user_data: str = "") -> Machine:
        """A machine around ``disk``, which does not run yet."""
        if not disk.root.is_mount():
            disk.mount()
        made = Machine(disk, Outside())
        made.be(identity, user_data=user_data)
        self.machines.append(made)
        return made

    def boot(self, disk: Disk, identity: str = production.COPY, *, user_data: str = "", change: str = "") -> Machine:
        """A copy of ``disk`` that is up. ``change``: a script that changes the copy before it boots."""
        machine = self.machine(disk.copy(self.place()), identity, user_data=user_data)
        if change:
            machine.on_disk(change)
        machine.boot()
        machine.wait_up()
        return machine

    def scrap(self, machine: Machine) -> None:
        """Forget one."""
        self.machines.remove(machine)
        machine.kill()
        machine.disk.remove()
        machine.outside.close()

    def close(self) -> None:
        for machine in list(self.machines):
            self.scrap(machine)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """What signs logins, as Lightsail's does."""
    return Authority(tmp_path_factory.mktemp("authority") / "key")


@pytest.fixture(scope="session")
def make_rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Rack]]:
    """Makes a rack in memory: what the machines write is gone soon, and a database that starts waits for the disk."""
    place, numbers = tmp_path_factory.mktemp("racks"), itertools.count(1)
    with image.in_memory(place):
        yield lambda: Rack(place / f"r{next(numbers)}")


@pytest.fixture(scope="session")
def session_rack(make_rack: Callable[[], Rack]) -> Iterator[Rack]:
    with contextlib.closing(make_rack()) as rack:
        yield rack


@pytest.fixture(scope="module")
def module_rack(make_rack: Callable[[], Rack]) -> Iterator[Rack]:
    """Machines that the tests of a module share: those that only look, or put back what they change."""
    with contextlib.closing(make_rack()) as rack:
        yield rack


@pytest.fixture
def rack(make_rack: Callable[[], Rack]) -> Iterator[Rack]:
    """Machines of one test."""
    with contextlib.closing(make_rack()) as rack:
        yield rack


@pytest.fixture(scope="session")
def desk() -> HelpDesk:
    """What the help desk holds, of this minute; nothing waits to be sent."""
    found = help_desk(utc_now())
    found.rows["jobs"] = []
    return found


@pytest.fixture(scope="session")
def unguarded(session_rack: Rack, authority: Authority, desk: HelpDesk) -> Disk:
    """Production's disk before anybody installed a guard."""
    disk = Disk(session_rack.place(), (image.base_image(),))
    production.furnish(disk.mount(), authority.public, desk)
    machine = session_rack.machine(disk, production.ORIGINAL)
    machine.boot()
    machine.wait_up()
    production.fill(machine, desk)
    _snapshot(machine)
    return disk


@pytest.fixture(scope="session")
def guarded(session_rack: Rack, unguarded: Disk) -> Disk:
    """Production's disk with the guard, installed while it ran, as its page says."""
    disk = unguarded.copy(session_rack.place())
    machine = session_rack.machine(disk, production.ORIGINAL)
    production.bring_guard(disk.root)
    machine.boot()
    machine.wait_up()
    machine.run("/root/copy-guard/copy-guard", "install", "freescout")
    _snapshot(machine)
    return disk


def _snapshot(machine: Machine) -> None:
    """Replies wait, and the plug is pulled: what a snapshot of a running instance holds. MariaDB must recover."""
    machine.run("systemctl", "stop", "supervisor", "cron", "exim4")  # or they would be sent before
    production.queue(machine)
    machine.kill()
    machine.disk.unmount()


@pytest.fixture
def booted(rack: Rack) -> Callable[..., Machine]:
    """Boot a copy of a disk, and wait until it is up."""
    return rack.boot
