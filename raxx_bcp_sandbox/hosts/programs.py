"""An instance's own programs: they replace everything that would otherwise act on the whole machine.

They are first on the instance's PATH. Most of them send a request to the machine (see ``shim``); the rest are small
shell scripts.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raxx_bcp_sandbox.hosts import shim

ASKING: Final = (
    *("systemctl", "pgrep", "pkill", "iptables", "ip6tables", "nc", "curl"),
    *("apt-get", "cloud-init", "uptime", "hostname", "php", "copy-guard"),
)
ROOT_VARIABLE: Final = "RAXX_BCP_SANDBOX_ROOT"
"""Set for what runs as the instance's root: the real user never changes here."""

_SUDO: Final = f"""\
#!/bin/sh
while [ $# -gt 0 ]; do
    case "$1" in
        -n|-E|-H) shift ;;
        -u|-g) shift 2 ;;
        --) shift; break ;;
        [A-Za-z_]*=*) export "$1"; shift ;;
        -*) echo "sudo: this host has no option $1" >&2; exit 1 ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || {{ echo "usage: sudo -n command" >&2; exit 1; }}
command -v "$1" >/dev/null 2>&1 || {{ echo "sudo: $1: command not found" >&2; exit 1; }}
{ROOT_VARIABLE}=1 USER=root exec "$@"
"""
_ID: Final = f"""\
#!/bin/sh
if [ -n "${ROOT_VARIABLE}" ]; then number=0 name=root; else number=1000 name=ubuntu; fi
case "$*" in
    "") echo "uid=$number($name) gid=$number($name) groups=$number($name)" ;;
    -u|-g|-G) echo "$number" ;;
    -un|-gn|-u\\ -n|-g\\ -n) echo "$name" ;;
    *) echo "id: this host has no option $*" >&2; exit 1 ;;
esac
"""
_CHOWN: Final = """\
#!/bin/sh
# Users are not changed here; what does not exist is still an error.
status=0 owner=
for each in "$@"; do
    case "$each" in -*) continue ;; esac
    if [ -z "$owner" ]; then owner=$each; continue; fi
    [ -e "$each" ] || { echo "chown: cannot access '$each': No such file or directory" >&2; status=1; }
done
exit $status
"""


@dataclass(frozen=True)
class Client:
    """One of the installed MariaDB's client programs."""

    program: str
    defaults: str
    """The options that find the instance's server, as its configuration files would."""
    socket: str
    """Replaces /run/mysqld/mysqld.sock wherever a file of defaults names it."""

    @property
    def text(self) -> str:
        """A script; a file of defaults must be the first option, and replaces the host's own.

        A file that would only be added replaces them too: the others are those of the machine that the sandbox is on.
        """
        return (
            '#!/bin/sh\ncase "$1" in --defaults-file=*|--defaults-extra-file=*) first=--defaults-file=${1#*=}; shift; '
            f'exec {self.program} "$first" --socket={shlex.quote(self.socket)} "$@";; esac\n'
            f'exec {self.program} {self.defaults} "$@"\n'
        )


def texts(database: Mapping[str, Client]) -> dict[str, str]:
    """Every program by name. ``database`` holds the installed MariaDB's clients."""
    asking = {name: _run(f"{shlex.join([_python(), '-I', '-S', shim.__file__, name])}") for name in ASKING}
    clients = {
        name: database[name].text if name in database else _missing(name) for name in ("mariadb", "mariadb-dump")
    }
    return {
        **asking,
        **clients,
        "sudo": _SUDO,
        "id": _ID,
        "chown": _CHOWN,
        "python3": _run(f"{shlex.quote(_python())} -S"),
    }


def write(directory: Path, database: Mapping[str, Client]) -> None:
    """Put them into ``directory``, each in one step: one may be running."""
    for name, text in texts(database).items():
        part = directory / f".{name}"
        part.write_text(text)
        part.chmod(0o755)
        part.replace(directory / name)


def _python() -> str:
    """The Python that the virtual environment is based on: a host has the standard library and none of our packages."""
    return str(Path(sys.executable).resolve())


def _run(command: str) -> str:
    return f'#!/bin/sh\nexec {command} "$@"\n'


def _missing(name: str) -> str:
    """Not installed on the instance; the machine's own must not be found instead."""
    return f'#!/bin/sh\necho "{name}: command not found" >&2\nexit 127\n'
