"""Where an instance's files are: its disk, and what belongs to the machine and not to the disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from raxx_bcp.errors import UsageError

_SHORT = "/tmp"  # noqa: S108 - a Unix socket's path has room for about 100 characters, which a sandbox's may exceed


@dataclass(frozen=True)
class Layout:
    """The paths of one instance below ``directory``, which is named after the instance's id.

    ``disk`` is the login's home directory, and all that a snapshot holds. ``etc`` is a part of it: what a real host
    keeps in /etc and /var. ``bin`` has the instance's own programs, ``run`` what a reboot clears.
    """

    directory: Path

    @property
    def disk(self) -> Path:
        """The disk."""
        return self.directory / "disk"

    @property
    def etc(self) -> Path:
        """The host's configuration: which units are enabled, which packages are installed."""
        return self.disk / "etc"

    @property
    def bin(self) -> Path:
        """The instance's own programs, first on PATH."""
        return self.directory / "bin"

    @property
    def run(self) -> Path:
        """What a reboot clears."""
        return self.directory / "run"

    @property
    def firewall(self) -> Path:
        """What ``iptables -S OUTPUT`` prints now; the worker reads it."""
        return self.run / "iptables-output"

    @property
    def log(self) -> Path:
        """The output of the instance's services."""
        return self.run / "services.log"

    @property
    def record(self) -> Path:
        """What the machine remembers beside its disk."""
        return self.directory / "machine.json"

    @property
    def user_data_log(self) -> Path:
        """The output of the launch script."""
        return self.disk / "cloud-init-output.log"

    @property
    def socket(self) -> Path:
        """Where the machine listens to its own programs: a short path, in a directory that only its user may enter."""
        name = hashlib.sha256(str(self.directory).encode()).hexdigest()[:16]
        return Path(_SHORT) / f"raxx-host-{os.getuid()}-{name}" / "s"

    def make(self) -> None:
        """Make all directories except the disk; empty ``run``.

        Raises ``UsageError`` when another user owns the socket's directory.
        """
        shutil.rmtree(self.run, ignore_errors=True)
        for each in (self.directory, self.bin, self.run, self.socket.parent):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.socket.parent.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise UsageError(
                f"{self.socket.parent} is not a private directory of this user.",
                f"Remove {self.socket.parent}, then try again.",
            )

    def remove(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.socket.parent, ignore_errors=True)
