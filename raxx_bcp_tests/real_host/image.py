"""A Debian 12 as production's hosts are, made once by debootstrap and kept. Copies of it are overlay mounts."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

CACHE_VARIABLE: Final = "RAXX_BCP_TEST_HOST_CACHE"
SUITE: Final = "bookworm"
FIRST: Final = ("systemd", "systemd-sysv", "dbus", "ca-certificates")
PACKAGES: Final = (
    *("kmod", "procps", "iproute2", "iptables", "netcat-openbsd", "curl", "gpg"),
    *("openssh-server", "sudo", "libpam-systemd", "cloud-init", "python3", "python3-pymysql"),
    *("cron", "anacron", "at", "supervisor", "exim4-daemon-light"),
    *("mariadb-server", "nginx-light", "php-fpm", "php-mysql"),
)
_PLAIN_MIRROR: Final = "http://deb.debian.org/debian"
_MIRROR: Final = re.compile(r"^(?:URIs:\s*|deb\s+(?:\[[^]]*\]\s*)?)(https?://\S+/debian)/?(?=\s|$)", re.MULTILINE)


def cache_directory() -> Path:
    """Where the image is kept: ``$RAXX_BCP_TEST_HOST_CACHE``, else below /var/cache."""
    return Path(os.environ.get(CACHE_VARIABLE) or "/var/cache/raxx-bcp-test-host")


def base_image() -> Path:
    """The root directory of the image, which nobody may write to; made when there is none yet (some 3 minutes)."""
    directory = cache_directory()
    directory.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(" ".join((SUITE, *FIRST, *PACKAGES)).encode()).hexdigest()[:12]
    image = directory / f"debian-{name}"
    if image.exists():  # whole, by its name: whoever has it need not wait for another one that is being made
        return image
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            part = directory / f"debian-{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            _build(part)
            part.rename(image)
    return image


def mirror() -> str:
    """The mirror that this machine itself has its packages from."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        found = _MIRROR.search(file.read_text()) if file.is_file() else None
        if found:
            return found.group(1)
    return _PLAIN_MIRROR


def _build(root: Path) -> None:
    """In memory first: dpkg waits for the disk after each of 300 packages."""
    with (root.parent / "build.log").open("wb") as log, in_memory(root.with_suffix(".memory")) as place:
        early = f"--include={','.join(FIRST)}"
        _run(["debootstrap", "--variant=minbase", early, SUITE, str(place), mirror()], log)
        # debootstrap would set some of these up before what they depend on; apt does not.
        policy = place / "usr/sbin/policy-rc.d"  # and nothing is started: the daemons would be this machine's
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        install = ["apt-get", *_proxy(), "-q", "-y", "--no-install-recommends", "install", *PACKAGES]
        _run(["chroot", str(place), "env", "DEBIAN_FRONTEND=noninteractive", *install], log)
        _run(["chroot", str(place), "apt-get", "clean"], log)
        policy.unlink()
        _run(["cp", "-a", str(place), str(root)], log)


@contextlib.contextmanager
def in_memory(place: Path) -> Iterator[Path]:
    """``place`` is in memory while the block runs."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4g,mode=755", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def _proxy() -> list[str]:
    """As this machine's own apt has it."""
    asked = ["apt-config", "dump", "--format", "%v", "Acquire::http::Proxy"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return ["-o", f"Acquire::http::Proxy={found}"] if found else []


def _run(argv: list[str], log: IO[bytes]) -> None:
    """Without this machine's temporary folder, which the image does not have: packages make files there."""
    environ = {name: value for name, value in os.environ.items() if name not in ("TMPDIR", "TEMP", "TMP")}
    done = subprocess.run(argv, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} ended with exit code {done.returncode}: read {cache_directory()}/build.log")
