"""``freescout-backup`` on an instance: its service runs once when it is started, as systemd's oneshot services do."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from raxx_bcp.errors import PermanentError
from raxx_bcp_sandbox.hosts.services import spawn

UNIT: Final = "freescout-backup"
ROOT_VARIABLE: Final = "FREESCOUT_BACKUP_ROOT"
"""Sets the host's root directory for its installer: it is not /."""
_TOOL, _CONF, _UNITS = Path("usr/local/sbin", UNIT), Path("etc", f"{UNIT}.conf"), Path("etc/systemd/system")
_CREDENTIALS, _STATE = Path("etc", f"{UNIT}.credentials"), Path("var/lib", UNIT)
_SECONDS: Final = 300.0


class OneShot:
    """Runs ``argv`` to its end at each start. ``systemctl start`` waits for it, and fails when it fails."""

    def __init__(self, argv: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._argv = argv
        self._environment = environment
        self._log = log

    def start(self) -> None:
        """Run it. Raises ``PermanentError`` when it fails."""
        process = spawn(self._argv, self._environment, self._log)
        try:
            code = process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code != 0:
            raise PermanentError(f"{self._argv[0]} ended with {code}.", f"Read {self._log}.")

    def stop(self) -> None:
        """It is over."""

    def alive(self) -> bool:
        """A oneshot service is inactive again after its start has returned."""
        return False


def service(disk: Path, environment: Mapping[str, str], log: Path) -> OneShot:
    """What the unit's ExecStart= does on this disk, with the credentials and state directory from systemd."""
    state = disk / _STATE
    given = {
        **environment,
        "CREDENTIALS_DIRECTORY": str(disk / _CREDENTIALS),
        "STATE_DIRECTORY": str(state),
    }
    argv = ["python3", "-I", str(disk / _TOOL), "--config", str(disk / _CONF), "run"]
    return OneShot(["env", *argv], given, log)


def unit_files(disk: Path) -> list[str]:
    """The unit files on the disk: what ``systemctl daemon-reload`` finds."""
    folder = disk / _UNITS
    return sorted(file.name for kind in ("service", "timer") for file in folder.glob(f"*.{kind}"))
