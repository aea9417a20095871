"""What is on a restored FreeScout's disk beside its database: its key, its attachments, its code. Only counts leave.

The key is proved without decrypting anything: what FreeScout encrypts (Laravel's ``encrypt``) is base64 of a JSON with
``iv``, ``value`` and ``mac``, and the mac is HMAC-SHA256 of the first two with the key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from raxx_bcp.drills.freescout.host_side.login import read_env

ATTACHMENTS = "storage/app/attachment"
KEY_BYTES = (16, 32)
"""AES-128 and AES-256, the two ciphers of Laravel."""
_SEALED = (("mailboxes", "in_password"), ("mailboxes", "out_password"))
_VERSION = re.compile(r"'version'\s*=>\s*'([\d.]+)'")
_MIGRATIONS = ("database/migrations/*.php", "Modules/*/Database/Migrations/*.php")


class NoAnswerError(Exception):
    """The database did not answer a question."""


class Site:
    """A FreeScout in ``directory`` with its ``database`` on this machine."""

    def __init__(self, directory: str, database: str, client: Sequence[str]) -> None:
        self.root = Path(directory)
        self._client = (*client, database)
        self.env = read_env(self.root / ".env")

    def rows(self, script: str) -> list[list[str]]:
        """The rows that ``script`` selects. Raises ``NoAnswerError``."""
        try:
            done = subprocess.run(self._client, input=script.encode(), capture_output=True, check=False)
        except OSError:
            raise NoAnswerError from None
        if done.returncode != 0:
            raise NoAnswerError
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    def has(self, table: str, column: str) -> bool:
        """Is there such a column?"""
        asked = f"TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND COLUMN_NAME = '{column}'"
        return bool(self.rows(f"SELECT 1 FROM information_schema.COLUMNS WHERE {asked}"))  # noqa: S608

    @property
    def app_key(self) -> str:
        """As ``.env`` has it; empty where there is none."""
        return self.env.get("APP_KEY", "")

    def key_state(self) -> str:
        """``usable``, ``empty``, ``malformed``, or ``no .env``."""
        if not (self.root / ".env").is_file():
            return "no .env"
        if not self.app_key:
            return "empty"
        return "usable" if len(_key_bytes(self.app_key)) in KEY_BYTES else "malformed"


def survey(site: Site) -> dict[str, Any]:
    """Everything that the disk shows, as counts and names of the code's own files."""
    return {
        "app_key": site.key_state(),
        "version": version(site.root),
        "sealed": _sealed(site),
        "attachments": _attachments(site),
        "migrations": _migrations(site),
    }


def version(root: Path) -> str:
    """FreeScout's release; empty where the code is not there."""
    try:
        found = _VERSION.search((root / "config" / "app.php").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return found[1] if found else ""


def _sealed(site: Site) -> dict[str, int] | None:
    """How many encrypted values there are, and how many of them were made with the key. None: not known."""
    try:
        selects = [
            f"SELECT HEX({column}) FROM {table} WHERE {column} <> ''"  # noqa: S608
            for table, column in _SEALED
            if site.has(table, column)
        ]
        if site.has("options", "value"):
            selects.append("SELECT HEX(value) FROM options WHERE name = 'mail_password' AND value <> ''")
        found = [bytes.fromhex(value) for select in selects for (value,) in site.rows(select)]
    except NoAnswerError:
        return None
    key = _key_bytes(site.app_key)
    return {"found": len(found), "good": sum(is_sealed_with(key, value) for value in found)}


def is_sealed_with(key: bytes, sealed: bytes) -> bool:
    """Was this encrypted with ``key``?"""
    try:
        parts = json.loads(base64.b64decode(sealed, validate=True))
        told = hmac.new(key, (parts["iv"] + parts["value"]).encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(told.encode(), parts["mac"].encode())
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _key_bytes(app_key: str) -> bytes:
    if not app_key.startswith("base64:"):
        return app_key.encode()
    try:
        return base64.b64decode(app_key.removeprefix("base64:"), validate=True)
    except binascii.Error:
        return b""


def _attachments(site: Site) -> dict[str, int] | None:
    """How many rows there are, and how many of their files are missing or of another size. None: not known."""
    try:
        rows = site.rows("SELECT HEX(CONCAT(COALESCE(file_dir, ''), file_name)), COALESCE(size, 0) FROM attachments")
    except NoAnswerError:
        return None
    sizes = [(size_on_disk(site.root, bytes.fromhex(name)), int(size)) for name, size in rows]
    return {
        "rows": len(sizes),
        "missing": sum(found is None for found, _size in sizes),
        "other_size": sum(found is not None and found != size for found, size in sizes),
        "bytes": sum(found or 0 for found, _size in sizes),
    }


def size_on_disk(root: Path, name: bytes) -> int | None:
    """Of the attachment that a row calls ``name``; None where it is not there."""
    try:
        place = root / ATTACHMENTS / name.decode()
        return place.stat().st_size if place.is_file() else None
    except (OSError, ValueError):
        return None


def _migrations(site: Site) -> dict[str, Any] | None:
    """The code's migrations against those that ran in the database. None: not known."""
    try:
        applied = {name for (name,) in site.rows("SELECT migration FROM migrations")}
    except NoAnswerError:
        return None
    own, modules = ({path.stem for path in site.root.glob(pattern)} for pattern in _MIGRATIONS)
    return {
        "code": len(own),
        "applied": len(applied),
        "not_applied": _few(own - applied),
        "unknown": _few(applied - own - modules),
    }


def _few(names: Iterable[str]) -> list[str]:
    """Names that look like a migration's: nothing else of a table leaves the host."""
    return [name if re.fullmatch(r"[\w.-]{1,150}", name) else "one with an odd name" for name in sorted(names)][:20]


def report(directory: str, database: str, client: Sequence[str]) -> None:
    """Print what the disk shows as one line of JSON. ``client`` is the command that asks the database."""
    sys.stdout.write(json.dumps(survey(Site(directory, database, client))) + "\n")
