"""Puts a dump set's ``.env`` into place on the host it is restored to, and lets the site into the local database.

The file comes on standard input and none of it leaves the host: not a name, not a password. It only changes where the
database is (DB_HOST, DB_PORT, DB_DATABASE). APP_KEY and everything else stays as it was backed up.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from raxx_bcp.drills.freescout.host_side.login import read_env

OWN_USER = "freescout_drill"
_NEEDED = ("storage/app/attachment", "storage/framework/sessions", "storage/framework/views", "Modules")


def arrange(env: bytes, directory: str, database: str, client: Sequence[str]) -> bool:
    """Write ``.env`` and create its database user. Returns whether the user was created."""
    site = Path(directory)
    path = site / ".env"
    _write_private(path, env)
    settings = read_env(path)
    changes = {"DB_HOST": "localhost", "DB_PORT": "3306", "DB_DATABASE": database}
    if settings.get("DB_USERNAME", "") in ("", "root") or not settings.get("DB_PASSWORD"):
        changes |= {"DB_USERNAME": OWN_USER, "DB_PASSWORD": secrets.token_hex(24)}
    _write_private(path, changed(env, changes))
    for name in _NEEDED:
        (site / name).mkdir(parents=True, exist_ok=True)
    (site / "storage" / ".installed").touch()  # without it, FreeScout answers with its installer
    settings |= changes
    user = f"{_literal(settings['DB_USERNAME'])}@'localhost'"
    password = _literal(settings["DB_PASSWORD"])
    script = (  # MySQL has no CREATE OR REPLACE
        f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY {password};\n"
        f"ALTER USER {user} IDENTIFIED BY {password};\n"
        f"GRANT ALL PRIVILEGES ON `{database}`.* TO {user};\n"
    )
    done = subprocess.run((*client, database), input=script.encode(), capture_output=True, check=False)
    return done.returncode == 0


def changed(env: bytes, changes: Mapping[str, str]) -> bytes:
    """``env`` with other values for some names; every other line as it was."""
    lines = []
    for line in env.decode(errors="surrogateescape").splitlines():
        named = re.match(r"\s*(?:export\s+)?([A-Z_]+)\s*=", line)
        if not named or named[1] not in changes:
            lines.append(line)
    lines += [f"{name}={value}" for name, value in changes.items()]
    return ("\n".join(lines) + "\n").encode(errors="surrogateescape")


def _write_private(path: Path, content: bytes) -> None:
    """In one step, readable by its owner only; the site's owner gets it afterwards."""
    part = path.with_name(".env.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    part.replace(path)


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def report(directory: str, database: str, client: Sequence[str]) -> None:
    """Arrange what comes on standard input, and print as JSON whether the database's user was created."""
    sys.stdout.write(json.dumps({"user": arrange(sys.stdin.buffer.read(), directory, database, client)}) + "\n")
