"""FreeScout's dump sets in S3, stored by ``freescout-backup`` itself: of this morning and of yesterday."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from raxx_bcp.errors import PermanentError, UsageError
from raxx_bcp.freescout import backup_tool as tool
from raxx_bcp_sandbox.freescout.install import MARIADB, SITE, install
from raxx_bcp_sandbox.freescout.seed import DATABASE
from raxx_bcp_sandbox.keys import KeyPair
from raxx_bcp_sandbox.mariadb import MariadbServer

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PREFIX: Final = "freescout-dumps/"
DUMPED_AT: Final = time(5, 10, tzinfo=UTC)
"""When the nightly dump is taken: within FreeScout's own hour of backups."""
_FETCHED_BEFORE: Final = timedelta(minutes=3)


@dataclass(frozen=True)
class Shelf:
    """Where the sets go, with which credentials, and which key they are encrypted to."""

    client: S3Client
    storage: tool.Storage
    credentials: tool.Credentials
    key: KeyPair


TONIGHT_VARIABLE: Final = "RAXX_SANDBOX_TONIGHTS_SET"
LEFT_TO_THE_HOST: Final = "left-to-the-host"
"""Something else then makes today's set where production makes it: on the help desk's own instance."""


def put_sets(shelf: Shelf, now: datetime, *, but_today: bool = False) -> list[str]:
    """Store the sets of the two newest nights, unless the newest is there; return the days that were stored.

    Where MariaDB is not available, nothing is stored: the drills then report what is missing.
    """
    newest = datetime.combine(now.astimezone(UTC).date(), DUMPED_AT)
    if newest > now:
        newest -= timedelta(days=1)
    nights = [newest - timedelta(days=1), newest]
    if but_today and newest.date() == now.astimezone(UTC).date():
        newest = nights[0]
        nights = nights[:1]
    manifest = f"{shelf.storage.prefix}{newest.date().isoformat()}/{tool.MANIFEST}"
    if shelf.client.list_objects_v2(Bucket=shelf.storage.bucket, Prefix=manifest, MaxKeys=1).get("Contents"):
        return []
    try:
        return _put(shelf, nights)
    except UsageError:
        return []


def _put(shelf: Shelf, nights: list[datetime]) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="raxx-sets-") as made:
        disk = Path(made) / "disk"
        install(disk, nights[0])
        with MariadbServer(disk / MARIADB) as server:
            return [_night(shelf, server, disk / SITE, Path(made), taken) for taken in nights]


def _night(shelf: Shelf, server: MariadbServer, site: Path, folder: Path, taken: datetime) -> str:
    """Do what the help desk's timer does at ``taken``. The log is dropped: nobody who starts the sandbox needs it."""
    fetched = int((taken - _FETCHED_BEFORE).timestamp())
    server.sql(f"UPDATE options SET value = '{fetched}' WHERE name = 'fetch_emails_last_run'", DATABASE)  # noqa: S608 - our own number
    day = taken.date().isoformat()
    config = tool.Config(
        site=site,
        login=tool.Login(
            name=DATABASE,
            user="root",
            socket=str(server.socket),
            client=str(server.binaries.client),
            dump=str(server.binaries.dump),
        ),
        storage=shelf.storage,
        credentials=shelf.credentials,
        public_key=shelf.key.public.encode(),
        fingerprint=shelf.key.fingerprint,
        state=folder / day,
        environment=server.binaries.environment(),
        say=lambda _text: None,
    )
    try:
        tool.run(config, lambda: taken)
    except tool.BackupError as error:
        raise PermanentError(f"The help desk's backup of {day} failed: {error.what}", error.remedy) from None
    return day
