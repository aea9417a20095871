"""systemd as far as an instance needs it: units that are enabled, masked and active, and systemctl's answers.

The disk stores whether a unit is enabled or masked, so a snapshot has it. The words and exit codes are systemctl's; for
a unit that does not exist ``is-enabled`` prints ``not-found``, as newer versions do.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from raxx_bcp.errors import BcpError
from raxx_bcp_sandbox.hosts.answer import Answer, failed
from raxx_bcp_sandbox.hosts.services import Service

_PHP: Final = re.compile(r"php[0-9.]*-fpm")
_NO_SUCH_UNIT, _NOT_LOADED, _INACTIVE, _UNKNOWN = 1, 5, 3, 4


class UnitFile(msgspec.Struct):
    """What a disk stores about a unit."""

    enabled: bool = True
    masked: bool = False
    exists: bool = True


class Units:
    """The units of one machine. ``services`` makes the service behind a unit; ``stubborn`` units ignore a stop."""

    def __init__(
        self,
        file: Path,
        service: Callable[[str], Service],
        *,
        stubborn: Iterable[str] = (),
        masked_now: Iterable[str] = (),
        unit_files: Callable[[], list[str]] = list,
    ) -> None:
        """``unit_files``: the names of those in /etc/systemd/system."""
        self._file = file
        self._unit_files = unit_files
        self._make = service
        self._stubborn = frozenset(stubborn)
        self.masked_now = set(masked_now) - self._stubborn
        """Masked until the next boot."""
        self._services: dict[str, Service] = {}
        self._failed: set[str] = set()
        self._lock = threading.RLock()
        self.files: dict[str, UnitFile] = read(file)
        self._own = {self.named(each) for each in unit_files()}

    def boot(self, *, only: Iterable[str] | None = None, but: Iterable[str] = ()) -> None:
        """Start what is enabled and not masked, in the order of the file: all, ``only`` these, or all ``but`` these."""
        for name, unit in self.files.items():
            wanted = name not in but and (only is None or name in only)
            if wanted and unit.exists and unit.enabled and not self._masked(name):
                self.start(name)

    def service(self, name: str) -> Service | None:
        """The service behind a unit that was started once."""
        return self._services.get(name)

    def halt(self) -> None:
        """Stop everything, the last one first, including stubborn units."""
        with self._lock:
            for service in reversed(self._services.values()):
                service.stop()

    def add(self, name: str, *, start: bool = True) -> None:
        """Add a package's unit; Debian starts it at once."""
        with self._lock:
            known = self.files.setdefault(name, UnitFile())
            known.exists = True
            self._save()
        if start and not self._masked(name):
            self.start(name)

    def active(self, name: str) -> bool:
        """Does it run?"""
        service = self._services.get(name)
        return service is not None and service.alive()

    def start(self, name: str) -> bool:
        """Start it, and return whether it runs; a service that does not start is ``failed``."""
        with self._lock:
            service = self._services.setdefault(name, self._make(name))
            self._failed.discard(name)
            if not service.alive():
                try:
                    service.start()
                except BcpError:
                    self._failed.add(name)
            return name not in self._failed

    def stop(self, name: str) -> None:
        """Stop it, unless it is stubborn."""
        with self._lock:
            service = self._services.get(name)
            if service is not None and name not in self._stubborn:
                service.stop()
                self._failed.discard(name)

    # -- systemctl ---------------------------------------------------------------------------------------

    def command(self, arguments: list[str]) -> Answer:
        """What ``systemctl`` does and prints."""
        flags = [each for each in arguments if each.startswith("-")]
        verb, *names = [each for each in arguments if not each.startswith("-")] or [""]
        if verb == "daemon-reload":
            self._reload()
            return Answer()
        carry_out = _VERBS.get(verb)
        if carry_out is None or not names:
            return failed(f"Unknown command verb {verb}." if carry_out is None else "Too few arguments.")
        quiet, now = bool({"-q", "--quiet"} & set(flags)), "--now" in flags
        with self._lock:
            answers = [carry_out(self, self.named(each), now) for each in names]
        out = b"" if quiet else b"".join(each.out for each in answers)
        return Answer(out, b"".join(each.err for each in answers), self._status(verb, answers))

    @staticmethod
    def _status(verb: str, answers: list[Answer]) -> int:
        """is-active and is-enabled succeed when any unit is; every other verb fails when any unit fails."""
        statuses = [each.status for each in answers]
        return min(statuses) if verb.startswith("is-") else max(statuses)

    def named(self, name: str) -> str:
        """The unit's own name: ``php8.1-fpm.service`` matches any installed version of it."""
        name = name.removesuffix(".service")
        if _PHP.fullmatch(name):
            return next((each for each in self.files if _PHP.fullmatch(each)), name)
        return name

    def _reload(self) -> None:
        """A unit exists as long as its file does; a new one is not enabled."""
        found = {self.named(each) for each in self._unit_files()}
        with self._lock:
            for name in found:
                self.files.setdefault(name, UnitFile(enabled=False)).exists = True
            for name in self._own - found:
                self.stop(name)
                self.files.pop(name, None)
            self._own = found
            self._save()

    def result(self, name: str) -> str:
        """``systemctl show -p Result``."""
        return "exit-code" if self.named(name) in self._failed else "success"

    def is_active(self, name: str, _now: bool) -> Answer:  # noqa: FBT001 - all verbs have the same signature
        """``systemctl is-active``."""
        if self.active(name):
            return Answer(b"active\n")
        if name in self._failed:
            return Answer(b"failed\n", status=_INACTIVE)
        return Answer(b"inactive\n", status=_INACTIVE if self._exists(name) else _UNKNOWN)

    def is_enabled(self, name: str, _now: bool) -> Answer:  # noqa: FBT001
        """``systemctl is-enabled``."""
        unit = self.files.get(name)
        if unit is not None and unit.masked:
            return Answer(b"masked\n", status=1)
        if name in self.masked_now:
            return Answer(b"masked-runtime\n", status=1)
        if unit is None or not unit.exists:
            return Answer(b"not-found\n", status=_UNKNOWN)
        return Answer(b"enabled\n") if unit.enabled else Answer(b"disabled\n", status=1)

    def verb_start(self, name: str, _now: bool) -> Answer:  # noqa: FBT001
        """``systemctl start``."""
        if self._masked(name):
            return failed(f"Failed to start {name}.service: Unit {name}.service is masked.")
        if not self._exists(name):
            return failed(f"Failed to start {name}.service: Unit {name}.service not found.", _NOT_LOADED)
        if self.start(name):
            return Answer()
        return failed(
            f"Job for {name}.service failed because the control process exited with error code.\n"
            f'See "systemctl status {name}.service" and "journalctl -xeu {name}.service" for details.'
        )

    def verb_stop(self, name: str, _now: bool) -> Answer:  # noqa: FBT001
        """``systemctl stop``."""
        if not self._exists(name) and name not in self._services:
            return failed(f"Failed to stop {name}.service: Unit {name}.service not loaded.", _NOT_LOADED)
        self.stop(name)
        return Answer()

    def verb_restart(self, name: str, now: bool) -> Answer:  # noqa: FBT001
        """``systemctl restart``, and ``reload``, which has the same effect here."""
        if self._exists(name):
            self.stop(name)
        return self.verb_start(name, now)

    def verb_enable(self, name: str, now: bool) -> Answer:  # noqa: FBT001
        """``systemctl enable``."""
        unit = self.files.get(name)
        if unit is not None and unit.masked:
            return failed(f"Failed to enable unit: Unit file /etc/systemd/system/{name}.service is masked.")
        return self._change(name, "enable", enabled=True) if not now else self._then(name, "enable", self.verb_start)

    def verb_disable(self, name: str, now: bool) -> Answer:  # noqa: FBT001
        """``systemctl disable``."""
        if not now:
            return self._change(name, "disable", enabled=False)
        return self._then(name, "disable", self.verb_stop)

    def verb_mask(self, name: str, now: bool) -> Answer:  # noqa: FBT001
        """``systemctl mask``, which also masks what does not exist."""
        self._set(name, masked=True)
        link = f"Created symlink /etc/systemd/system/{name}.service → /dev/null."
        before = "" if self._exists(name) else f"Unit {name}.service does not exist, proceeding anyway.\n"
        if now and self._exists(name):
            self.stop(name)
        return Answer(err=f"{before}{link}\n".encode())

    def verb_unmask(self, name: str, _now: bool) -> Answer:  # noqa: FBT001
        """``systemctl unmask``."""
        self._set(name, masked=False)
        return Answer(err=f'Removed "/etc/systemd/system/{name}.service".\n'.encode())

    def _then(self, name: str, verb: str, also: Callable[[str, bool], Answer]) -> Answer:
        changed = self._change(name, verb, enabled=verb == "enable")
        return also(name, False) if changed.status == 0 else changed

    def _change(self, name: str, verb: str, *, enabled: bool) -> Answer:
        if not self._exists(name):
            return failed(f"Failed to {verb} unit: Unit file {name}.service does not exist.", _NO_SUCH_UNIT)
        self._set(name, enabled=enabled)
        return Answer()

    def _masked(self, name: str) -> bool:
        unit = self.files.get(name)
        return name in self.masked_now or (unit is not None and unit.masked)

    def _exists(self, name: str) -> bool:
        unit = self.files.get(name)
        return unit is not None and unit.exists

    def _set(self, name: str, *, enabled: bool | None = None, masked: bool | None = None) -> None:
        if name in self._stubborn:
            return
        unit = self.files.setdefault(name, UnitFile(enabled=False, exists=False))
        if enabled is not None:
            unit.enabled = enabled
        if masked is not None:
            unit.masked = masked
        self._save()

    def _save(self) -> None:
        write(self._file, self.files)


_VERBS: Final[dict[str, Callable[[Units, str, bool], Answer]]] = {
    "is-active": Units.is_active,
    "is-enabled": Units.is_enabled,
    "start": Units.verb_start,
    "stop": Units.verb_stop,
    "restart": Units.verb_restart,
    "reload": Units.verb_restart,
    "enable": Units.verb_enable,
    "disable": Units.verb_disable,
    "mask": Units.verb_mask,
    "unmask": Units.verb_unmask,
}


def read(file: Path) -> dict[str, UnitFile]:
    """The units of a disk; none when it has no such file."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, UnitFile])
    except FileNotFoundError:
        return {}


def write(file: Path, files: dict[str, UnitFile]) -> None:
    """Put units on a disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(msgspec.json.encode(files))
    part.replace(file)
