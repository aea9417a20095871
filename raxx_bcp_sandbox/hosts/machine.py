"""One running instance: its units, its firewall, its processes, and the environment of what runs on it."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raxx_bcp_sandbox import freescout, mariadb
from raxx_bcp_sandbox.hosts import guard, kinds, marks, nightly, programs, shim, units
from raxx_bcp_sandbox.hosts.answer import Answer
from raxx_bcp_sandbox.hosts.kinds import Furnishings, Kind
from raxx_bcp_sandbox.hosts.layout import Layout
from raxx_bcp_sandbox.hosts.network import Network
from raxx_bcp_sandbox.hosts.quirks import CRON_RUNNING, DATABASE_DOWN, DATABASE_LOCKED, EGRESS_OPEN, GUARD_LATE
from raxx_bcp_sandbox.hosts.services import CronService, MariadbService, NoProcess, ProcessService, Service
from raxx_bcp_sandbox.hosts.tables import REJECT, Tables
from raxx_bcp_sandbox.hosts.units import Units
from raxx_bcp_sandbox.mariadb_install import BIN_VARIABLE
from raxx_bcp_sandbox.processes import PART_VARIABLE

_INHERITED: Final = ("LANG", "LC_ALL", "LC_CTYPE", "PYTHONPATH", "PYTHONUNBUFFERED", PART_VARIABLE)
_FOR_SERVICES: Final = ("PATH", "HOME", "XDG_CACHE_HOME", BIN_VARIABLE)
_STUBBORN: Final = (kinds.CRON, kinds.SUPERVISOR)


@dataclass(frozen=True)
class Settings:
    """Delays that tests shorten, in seconds."""

    cron_first_seconds: float = 5.0
    """From the end of a boot to cron's first tick."""
    cron_every_seconds: float = 60.0
    certificate_seconds: float = 300.0


@dataclass(frozen=True)
class Role:
    """What an instance is beside its disk. ``quirks`` are the faults of its creation."""

    name: str
    address: str
    quirks: frozenset[str] = frozenset()
    production: bool = False
    """Is it one of Raxx's own two? The sandbox runs no FreeScout scheduler there, and no second vault."""


class Machine:
    """An instance from one boot to the next."""

    def __init__(
        self,
        layout: Layout,
        role: Role,
        network: Network,
        furnishings: Furnishings,
        settings: Settings,
    ) -> None:
        self.layout = layout
        self.role = role
        self.network = network
        self.booted = time.time()
        self.booted_monotonic = time.monotonic()
        self.kind = kinds.kind_of(layout)
        self.launch_ended = threading.Event()
        self.launched = 0
        """The launch script's exit status, once it has ended."""
        self.tables: Mapping[int, Tables] = {4: Tables(), 6: Tables()}
        self._furnishings = furnishings
        self._settings = settings
        self._lock = threading.Lock()
        stubborn = _STUBBORN if CRON_RUNNING in role.quirks else ()
        names = tuple(units.read(layout.etc / kinds.UNITS))
        self.guard = guard.wake(layout, role.name, names, late=GUARD_LATE in role.quirks)
        self.units = Units(
            layout.etc / kinds.UNITS,
            self._service,
            stubborn=stubborn,
            masked_now=self.guard.masked,
            unit_files=lambda: nightly.unit_files(layout.disk),
        )
        self.close_egress() if self.guard.awake else self._note_firewall()

    @property
    def address(self) -> str:
        """Its own loopback address."""
        return self.role.address

    @property
    def cache(self) -> Path | None:
        """Where MariaDB's programs are kept; None: their own place."""
        return self._furnishings.cache

    @property
    def hosts(self) -> Path:
        """The directory of all instances, which is in the mark of each process."""
        return self.layout.directory.parent

    @property
    def id(self) -> str:
        """The instance's id."""
        return self.layout.directory.name

    # -- from boot to halt -------------------------------------------------------------------------------

    def boot(self) -> None:
        """Start all that is enabled. On a real host, too, the launch script runs after that, which is too late.

        Raises ``UsageError`` where MariaDB is not available.
        """
        self.write_programs()
        self.units.boot(but=self._not_now())

    def halt(self) -> None:
        """Stop everything that runs on it."""
        self.launch_ended.set()
        self.units.halt()
        marks.kill_all(self.hosts, self.id)

    def _not_now(self) -> Iterable[str]:
        """The sandbox's part infisical is production's vault: its instance has a disk and no second server."""
        return (kinds.INFISICAL,) if self.role.production else ()

    # -- what runs on it ---------------------------------------------------------------------------------

    def environment(self, *, root: bool = False) -> dict[str, str]:
        """The whole environment of what people and scripts run on the instance. It holds none of our secrets."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            **inherited,
            "PATH": f"{self.layout.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.layout.disk),
            "USER": "root" if root else "ubuntu",
            "TMPDIR": str(self.layout.run),
            "TZ": "UTC",
            shim.SOCKET_VARIABLE: str(self.layout.socket),
            marks.VARIABLE: marks.mark(self.hosts, self.id),
            nightly.ROOT_VARIABLE: str(self.layout.disk),
            **({programs.ROOT_VARIABLE: "1"} if root else {}),
        }

    def service_environment(self) -> dict[str, str]:
        """The environment of our own programs that act as the instance's services: they find MariaDB where we do."""
        own = {name: os.environ[name] for name in _FOR_SERVICES if name in os.environ}
        return {**self.environment(root=True), **own}

    def write_programs(self) -> None:
        """Put the instance's own programs first on its PATH; repeated after a package has added some."""
        programs.write(self.layout.bin, self._clients() if kinds.MARIADB in self.units.files else {})

    def new_server(self) -> mariadb.MariadbServer:
        """The instance's MariaDB, not started. Raises ``UsageError`` where none is available."""
        return mariadb.MariadbServer(self.database, cache=self.cache)

    @property
    def server(self) -> mariadb.MariadbServer | None:
        """The MariaDB that runs."""
        service = self.units.service(kinds.MARIADB)
        return service.server if isinstance(service, MariadbService) else None

    @property
    def site(self) -> Path:
        """Where the web server looks for FreeScout."""
        return self.layout.disk / freescout.SITE

    @property
    def database(self) -> Path:
        """MariaDB's data directory."""
        return self.layout.disk / freescout.MARIADB

    def _clients(self) -> dict[str, programs.Client]:
        server = self.new_server()
        libraries = server.binaries.libraries
        found = ("env", f"LD_LIBRARY_PATH={libraries}") if libraries else ()
        return {
            name: programs.Client(shlex.join([*found, *argv[:1]]), shlex.join(argv[1:]), str(server.socket))
            for name, argv in ((each, server.client_argv(each)) for each in ("mariadb", "mariadb-dump"))
        }

    def _service(self, unit: str) -> Service:
        if unit == kinds.MARIADB:
            quirks = self.role.quirks
            return MariadbService(self.new_server, broken=DATABASE_DOWN in quirks, locked=DATABASE_LOCKED in quirks)
        if unit == kinds.NGINX:
            socket = mariadb.socket_path(self.database)
            return self._process(
                freescout.site_argv(self.address, self.network.site, self.site, socket), self.network.site
            )
        if unit == kinds.INFISICAL:
            return self._process(self._vault(), self.network.api, self._furnishings.variables)
        if unit == nightly.UNIT:
            return nightly.service(self.layout.disk, self.environment(root=True), self.layout.log)
        return self._cron() if unit == kinds.CRON else NoProcess()

    def _process(self, argv: list[str], port: int, added: Mapping[str, str] | None = None) -> ProcessService:
        environment = {**self.service_environment(), **(added or {})}
        return ProcessService(argv, environment, self.layout.log, address=self.address, port=port)

    def _vault(self) -> list[str]:
        where = ("--address", self.address, "--port", str(self.network.api))
        world = str(self.layout.disk / kinds.WORLD)
        return [sys.executable, "-m", "raxx_bcp_sandbox.infisical", *where, "--load", world]

    def _cron(self) -> CronService:
        """FreeScout's scheduler, where there is a FreeScout that may run it."""
        argv: list[str] | None = None
        if self.kind is Kind.FREESCOUT and not self.role.production:
            smtp = f"{self.network.sink}:{self.network.smtp}"
            socket = mariadb.socket_path(self.database)
            argv = freescout.worker_argv(self.site, socket, smtp, self.layout.firewall)
        first, every = self._settings.cron_first_seconds, self._settings.cron_every_seconds
        environment = self.service_environment()
        return CronService(argv, environment, self.layout.log, first_seconds=first, every_seconds=every)

    # -- its firewall ------------------------------------------------------------------------------------

    def lets_out(self, address: str, port: int) -> bool:
        """May the instance connect there?"""
        version = 6 if ":" in address else 4
        return self.tables[version].lets_out(address, port, loopback=address in (self.address, "::1"))

    def refuses(self, address: str, port: int) -> bool:
        """Is a connection there refused at once? One that is neither allowed nor refused times out."""
        version = 6 if ":" in address else 4
        return self.tables[version].verdict(address, port, loopback=address in (self.address, "::1")) == REJECT

    def close_egress(self) -> None:
        """As the copy guard does it."""
        for version in self.tables:
            for rule in guard.rules(version):
                self.iptables(version, rule.split())

    def iptables(self, version: int, arguments: list[str]) -> Answer:
        """``iptables`` (4) or ``ip6tables`` (6)."""
        with self._lock:
            answer = self.tables[version].command(arguments, applies=EGRESS_OPEN not in self.role.quirks)
            self._note_firewall()
        return answer

    def _note_firewall(self) -> None:
        """Write the rules to the file that the worker reads."""
        part = self.layout.firewall.with_suffix(".part")
        part.write_text(self.tables[4].shown("OUTPUT"))
        part.replace(self.layout.firewall)
