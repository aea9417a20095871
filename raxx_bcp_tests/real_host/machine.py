"""One test host: a disk of overlay layers, booted by systemd-nspawn in a network of its own, and asked from inside."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from raxx_bcp_tests.real_host.outside import Outside

IDENTITY: Final = "var/lib/test-host/product_uuid"
"""Stands for /sys/class/dmi/id/product_uuid, which in a container is the outer machine's."""
_SEED: Final = "var/lib/cloud/seed/nocloud"
BOOT_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.25
"""Each look is a process in the machine: ten a second, on four machines at once, took half a core."""


class Disk:
    """A writable layer above read-only ones, mounted at ``root`` while it is open."""

    def __init__(self, directory: Path, below: Sequence[Path]) -> None:
        """``below``: the uppermost layer first."""
        self.directory = directory
        self.below = tuple(below)
        self.root = directory / "root"
        self.layer = directory / "layer"

    def mount(self) -> Path:
        """Mount it; the root directory."""
        for each in (self.root, self.layer, self.directory / "work"):
            each.mkdir(parents=True, exist_ok=True)
        lower = ":".join(map(str, self.below))
        options = f"lowerdir={lower},upperdir={self.layer},workdir={self.directory / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(self.root)], check=True)
        return self.root

    def unmount(self) -> None:
        """Unmount it; the layer stays."""
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", str(self.root)], check=True, capture_output=True)

    def copy(self, directory: Path) -> Disk:
        """As a snapshot is: another disk with the same content, which is not written to any more."""
        return Disk(directory, (self.layer, *self.below))

    def remove(self) -> None:
        """Forget it."""
        self.unmount()
        shutil.rmtree(self.directory, ignore_errors=True)


@dataclass
class Machine:
    """A machine around a disk. What it is told by "the hardware" and the cloud is written before it boots."""

    disk: Disk
    outside: Outside
    leader: int = 0
    console: Path = field(init=False)
    _nspawn: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.console = self.disk.directory / "console"

    def be(self, identity: str, *, user_data: str = "") -> None:
        """Which machine it is from now on, and what the cloud wants it to run at its first boot as that machine."""
        write(self.disk.root / IDENTITY, f"{identity}\n")
        seed = self.disk.root / _SEED
        write(seed / "meta-data", f"instance-id: i-{identity}\nlocal-hostname: ip-10-77-0-2\n")
        write(seed / "user-data", user_data or "#!/bin/sh\ntrue\n")

    def on_disk(self, script: str) -> None:
        """Change the disk from outside, while nothing runs: ``{root}`` is its root."""
        subprocess.run(["sh", "-c", script.format(root=self.disk.root)], check=True)

    def boot(self) -> None:
        """Begin to boot; ``wait_up`` waits."""
        name = f"raxxth{uuid.uuid4().hex[:8]}"
        argv = ["nsenter", f"--net={self.outside.path}", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit"]
        argv += ["-D", str(self.disk.root), "-b", "--network-bridge=br0", "--console=pipe", f"--machine={name}"]
        argv += ["--resolv-conf=off", "--timezone=off", "--link-journal=no"]
        environment = {"PATH": os.environ["PATH"], "SYSTEMD_NSPAWN_LOCK": "0"}
        with self.console.open("ab") as log:
            self._nspawn = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        wait(lambda: self._find_leader(), 20, "systemd-nspawn has no child")

    def wait_up(self, unit: str = "multi-user.target", seconds: float = BOOT_SECONDS) -> None:
        """Wait until ``unit`` is active."""
        wait(lambda: self.succeeds("systemctl", "is-active", "--quiet", unit), seconds, f"{unit} is not active")

    def run(self, *argv: str, check: bool = True, stdin: str = "") -> str:
        """What a command inside prints; ``check`` False: whatever it ends with."""
        done = self._inside(argv, stdin)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def succeeds(self, *argv: str) -> bool:
        """Does a command inside end with 0?"""
        return self._inside(argv, "").returncode == 0

    def ends_with(self, *argv: str, stdin: str = "") -> tuple[int, str]:
        """How a command inside ended, and all that it said."""
        done = self._inside(argv, stdin)
        return done.returncode, done.stdout + done.stderr

    def kill(self) -> None:
        """Pull the plug: what was not on the disk is lost."""
        nspawn, self._nspawn = self._nspawn, None
        if nspawn is None:
            return
        if self.leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            nspawn.wait(5)
        nspawn.kill()
        nspawn.wait()
        self.leader = 0

    def power_off(self) -> None:
        """Shut it down as systemd does."""
        self.run("systemctl", "poweroff", "--no-block", check=False)
        if self._nspawn is not None:
            self._nspawn.wait(60)
        self.kill()

    def reboot(self) -> None:
        """Off and on again."""
        self.power_off()
        self.boot()

    def _inside(self, argv: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
        entered = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-r"]
        entered += ["sh", "-c", 'cd /root && exec "$@"', "sh"]
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        return subprocess.run(
            [*entered, *argv], input=stdin, capture_output=True, text=True, env=environment, timeout=120, check=False
        )

    def _find_leader(self) -> bool:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended: {self.console.read_text()[-2000:]}")
        file = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        children = file.read_text().split()
        self.leader = int(children[-1]) if children else 0
        # The leader is systemd once it has left nspawn's own program behind.
        return bool(children) and Path(f"/proc/{self.leader}/comm").read_text().strip() == "systemd"


def wait(true: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Wait for something real. Raises ``AssertionError``."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise AssertionError(f"{otherwise} after {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def write(file: Path, text: str, mode: int = 0o644) -> None:
    """Put a file on a disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
