"""apt-get as far as an instance needs it: installing a package records it and adds its units."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from raxx_bcp_sandbox import mariadb_install
from raxx_bcp_sandbox.hosts import kinds
from raxx_bcp_sandbox.hosts.answer import Answer, failed, said
from raxx_bcp_sandbox.hosts.machine import Machine

_ARCHIVE: Final = ("archive.ubuntu.com", 80)
_UNITS: Final = {
    "mariadb-server": kinds.MARIADB,
    "nginx": kinds.NGINX,
    "php-fpm": kinds.PHP,
    "php8.1-fpm": kinds.PHP,
    "cron": kinds.CRON,
    "supervisor": kinds.SUPERVISOR,
    "postfix": kinds.POSTFIX,
}
_UNREACHABLE, _USAGE = 100, 100


def apt_get(machine: Machine, arguments: list[str]) -> Answer:
    """``apt-get update`` and ``apt-get install``."""
    verb, *names = [each for each in arguments if not each.startswith("-")] or [""]
    if verb not in ("update", "install"):
        return failed(f"E: Invalid operation {verb}", _USAGE)
    if not machine.lets_out(*_ARCHIVE):
        return failed(f"E: Failed to fetch http://{_ARCHIVE[0]}/ubuntu  Temporary failure resolving", _UNREACHABLE)
    if verb == "update":
        return said("Reading package lists...")
    known = installed(machine)
    new = [name for name in names if name not in known]
    for name in new:
        _install(machine, name)
    _list(machine).write_text("".join(f"{name}\n" for name in [*known, *new]))
    return said("\n".join(f"Setting up {name} ..." for name in new) or "0 upgraded, 0 newly installed.")


def installed(machine: Machine) -> list[str]:
    """What apt-get has installed on this disk."""
    file = _list(machine)
    return file.read_text().split() if file.is_file() else []


def _install(machine: Machine, name: str) -> None:
    unit = _UNITS.get(name)
    if unit is None:
        return
    if unit == kinds.MARIADB:
        mariadb_install.prepare(machine.database, binaries=machine.new_server().binaries, cache=machine.cache)
    elif unit == kinds.NGINX:
        machine.site.mkdir(parents=True, exist_ok=True)
        for folder in ("sites-available", "sites-enabled"):
            (machine.layout.etc / "nginx" / folder).mkdir(parents=True, exist_ok=True)
    machine.units.add(unit)
    machine.write_programs()


def _list(machine: Machine) -> Path:
    return machine.layout.etc / "packages"
