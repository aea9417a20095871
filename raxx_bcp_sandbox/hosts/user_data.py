"""The launch script of a new instance, run as root at its first boot.

An instance has no root directory here, so the script's paths in /etc, /var and the like are mapped to the disk. The
script can write an nginx site and changes nothing on the machine that the sandbox runs on. Commands over SSH are mapped
in the same way.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from raxx_bcp_sandbox.hosts.machine import Machine
from raxx_bcp_sandbox.hosts.services import end, spawn

_LED: Final = ("etc", "home", "opt", "root", "run", "srv", "var")
_HOMES: Final = re.compile(r"(?<![\w.~/}-])/home/(?:ubuntu|admin)(?=/|\b)")
_ABSOLUTE: Final = re.compile(rf"(?<![\w.~/}}-])/({'|'.join(_LED)})(?=/|\b)")
_DISK: Final = "\0disk"
_GUARD_INSTALLER: Final = re.compile(r'"\$place/copy-guard"')
"""Without this, the copy guard's own script would be installed on the machine that the sandbox runs on."""
_SHELL: Final = re.compile(r"#!\s*(?:/usr)?/bin/(?:env )?(?:sh|bash|dash)\b")


def run(machine: Machine, script: str, running: Callable[[subprocess.Popen[bytes]], None]) -> int:
    """Run ``script`` to its end and return its exit status; 1 when it is not a shell script.

    ``running`` gets the process, which others may end.
    """
    log = machine.layout.user_data_log
    if not _SHELL.match(script):
        log.write_text("The launch script does not begin with #!/bin/sh: it was not run.\n")
        return 1
    for folder in _LED:
        (machine.layout.disk / folder).mkdir(exist_ok=True)
    file = machine.layout.run / "user-data"
    file.write_text(led(script, machine.layout.disk))
    process = spawn(["/bin/sh", str(file)], machine.environment(root=True), log, machine.layout.disk)
    running(process)
    try:
        return process.wait()
    finally:
        end(process)


def led(script: str, disk: Path) -> str:
    """The script, or a command, with its absolute paths below ``disk``; the login's home is the disk itself."""
    marked = _HOMES.sub(lambda _found: _DISK, _GUARD_INSTALLER.sub("copy-guard", script))
    return _ABSOLUTE.sub(lambda found: f"{_DISK}/{found[1]}", marked).replace(_DISK, str(disk))
