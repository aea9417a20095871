"""A real file system that is full, for one process: a small tmpfs in a mount namespace that vanishes with it."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

_NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]


@functools.cache
def can_mount() -> bool:
    """May this user have a mount namespace of their own?"""
    try:
        return subprocess.run([*_NAMESPACE, "true"], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def in_a_full_folder(folder: Path, program: str, *arguments: str, size_kib: int = 64, free_kib: int = 4) -> str:
    """What ``program`` (Python) prints, run while ``folder`` is a tmpfs on which only ``free_kib`` are left.

    ``prepare(folder)`` of the program runs before it is filled, ``tried(folder, *arguments)`` after.
    """
    folder.mkdir(exist_ok=True)
    script = f"""
import os, sys, tempfile
from pathlib import Path
{program}
folder = Path(sys.argv[1])
os.environ["TMPDIR"] = str(folder)
tempfile.tempdir = None
assert tempfile.gettempdir() == str(folder)
prepare(folder)
with open(folder / "everything-else", "wb") as file:
    left = os.statvfs(folder)
    file.write(b"x" * (left.f_bavail * left.f_frsize - {free_kib} * 1024))
try:
    print(tried(folder, *sys.argv[2:]))
except Exception as error:
    print(type(error).__name__, getattr(error, "exit_code", getattr(error, "code", "")), error, sep="|")
"""
    mount = f'mount -t tmpfs -o size={size_kib}k,mode=700 tmpfs "$1" && exec "$2" -c "$3" "$1" "${{@:4}}"'
    command = [*_NAMESPACE, "bash", "-c", mount, "bash", str(folder), sys.executable, script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
