"""The backups' bytes: real ``pg_dump`` files, the signed addresses that they are fetched from, and their deletion."""

from __future__ import annotations

import hashlib
import hmac
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from raxx_bcp_sandbox.heroku.administrator import HIDDEN
from raxx_bcp_sandbox.heroku.databases import Databases
from raxx_bcp_sandbox.heroku.records import Addon

URL_SECONDS: Final = 3600.0
"""How long a signed address is valid, by the real clock."""
PATH: Final = "/_backups"


def make_dump(databases: Databases, addon: Addon, path: Path) -> str:
    """Back a database up to ``path`` in one step, as its owner; return pg_dump's error output, "" for success."""
    unfinished = path.with_suffix(".part")
    arguments = ("--format=custom", f"--exclude-schema={HIDDEN}", f"--file={unfinished}", addon.database)
    done = databases.server.run("pg_dump", addon.user, addon.password, *arguments)
    if done.returncode != 0:
        unfinished.unlink(missing_ok=True)
        return done.stderr.strip() or f"pg_dump ended with {done.returncode}"
    unfinished.chmod(0o600)
    unfinished.rename(path)
    return ""


class BackupFiles:
    """The files of the backups, by the uuid of their transfer. ``key`` signs the addresses."""

    def __init__(self, directory: Path, key: str) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self.directory = directory
        self._key = key.encode()

    def path(self, uuid: str) -> Path:
        """Where the backup of this transfer is, or will be."""
        return self.directory / f"{uuid}.dump"

    def remove(self, uuid: str) -> None:
        """Delete a backup's bytes."""
        self.path(uuid).unlink(missing_ok=True)

    def copy(self, source: str, target: str) -> None:
        """Give another transfer the same bytes."""
        shutil.copyfile(self.path(source), self.path(target))

    def signed_url(self, base_url: str, uuid: str, expires: float) -> str:
        """An address that anybody may fetch the backup from until ``expires`` (real time, seconds)."""
        signed = {"Expires": str(int(expires)), "Signature": self._signature(uuid, int(expires))}
        return f"{base_url}{PATH}/{uuid}?{urlencode(signed)}"

    def admits(self, uuid: str, expires: str, signature: str, now: float) -> bool:
        """Is this an address that we signed, and is it still valid?"""
        if not (expires.isascii() and expires.isdigit()):
            return False
        expected = self._signature(uuid, int(expires))
        return hmac.compare_digest(expected, signature) and now < int(expires)

    def _signature(self, uuid: str, expires: int) -> str:
        return hmac.new(self._key, f"{uuid}\n{expires}".encode(), hashlib.sha256).hexdigest()
