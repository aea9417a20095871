"""The settings of a restored FreeScout (its ``.env``), and a database client that is logged in with them.

Two programs in one. ``report``, sent to the host like every module here, says where the site and its database should
be. Run as ``python3 -I -c SOURCE .env CLIENT OPTION…``, the module becomes that client, as the site's own user: the
password goes from the file through a pipe into the client's option file. It is on no command line, in no environment
and in no file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

LOCAL = ("", "localhost", "127.0.0.1", "::1")
ELSEWHERE = 2005
"""The client's own error number for a server's host that it does not know."""


def read_env(path: Path) -> dict[str, str]:
    """The settings of a ``.env`` file; none where it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            found[name.strip().removeprefix("export ").strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1].replace('\\"', '"').replace("\\\\", "\\") if value[0] == '"' else value[1:-1]
    return value.partition(" #")[0].rstrip()


def options(settings: dict[str, str]) -> str:
    """An option file for the site's own user. A host name that means this machine stands for its socket, as in PHP."""
    given = {"user": settings.get("DB_USERNAME", ""), "password": settings.get("DB_PASSWORD", "")}
    host = settings.get("DB_HOST", "")
    if host in LOCAL[2:]:
        given |= {"host": host, "port": settings.get("DB_PORT") or "3306", "protocol": "tcp"}
    elif settings.get("DB_SOCKET"):
        given["socket"] = settings["DB_SOCKET"]
    lines = [f"{name} = {_option(value)}" for name, value in given.items()]
    return "\n".join(["[client]", *lines]) + "\n"


def _option(value: str) -> str:
    """As the clients of MariaDB and MySQL read it (their manuals, "Option Files")."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def become(path: str, client: list[str]) -> None:
    """Replace this process by ``client``, logged in by the settings in ``path``."""
    settings = read_env(Path(path))
    if settings.get("DB_HOST", "") not in LOCAL:
        sys.stderr.write(f"ERROR {ELSEWHERE} (HY000): its database is on another host\n")
        raise SystemExit(1)
    outlet, inlet = os.pipe()
    os.write(inlet, options(settings).encode())
    os.close(inlet)
    os.set_inheritable(outlet, True)
    try:
        os.execvp(client[0], [client[0], f"--defaults-extra-file=/dev/fd/{outlet}", *client[1:]])  # noqa: S606
    except OSError:
        raise SystemExit(127) from None


def report(directory: str) -> None:
    """Print as JSON what the ``.env`` in ``directory`` says of the site and its database: names, and no secret."""
    settings = read_env(Path(directory) / ".env")
    name = settings.get("DB_DATABASE", "")
    try:
        address = urlsplit(settings.get("APP_URL", ""))
        url = f"{address.scheme}://{address.hostname or ''}"
    except ValueError:
        url = ""
    told = {
        "there": bool(settings),
        "connection": re.sub(r"\W", "", settings.get("DB_CONNECTION", ""))[:20],
        "database": name if re.fullmatch(r"[\w$-]{0,64}", name) else "one with an odd name",
        "local": settings.get("DB_HOST", "") in LOCAL,
        "clients": [client for client in ("mariadb", "mysql") if shutil.which(client)],
        "url": url if re.fullmatch(r"https?://[\w.-]{1,253}", url) else "",
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    become(sys.argv[1], sys.argv[2:])
