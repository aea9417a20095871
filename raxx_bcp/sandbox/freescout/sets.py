"""FreeScout's dump sets in S3, as Raxx's own nightly job would have left them: of this morning and of yesterday."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from raxx_bcp.errors import UsageError
from raxx_bcp.sandbox.freescout.dumps import dump_set, upload
from raxx_bcp.sandbox.freescout.install import MARIADB, SITE, install
from raxx_bcp.sandbox.freescout.seed import DATABASE
from raxx_bcp.sandbox.mariadb import MariadbServer

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PREFIX: Final = "freescout-dumps/"
DUMPED_AT: Final = time(5, 10, tzinfo=UTC)
"""When the nightly dump is taken: within FreeScout's own hour of backups."""
_FETCHED_BEFORE: Final = timedelta(minutes=3)


def put_sets(client: S3Client, bucket: str, now: datetime) -> list[str]:
    """Store the two newest sets, unless the newest is there; return the keys that were stored.

    Where MariaDB cannot be had, nothing is stored: the drills then say what is missing.
    """
    newest = datetime.combine(now.astimezone(UTC).date(), DUMPED_AT)
    if newest > now:
        newest -= timedelta(days=1)
    listed = client.list_objects_v2(Bucket=bucket, Prefix=f"{PREFIX}{newest.date().isoformat()}/", MaxKeys=1)
    if listed.get("Contents"):
        return []
    try:
        return _put(client, bucket, newest)
    except UsageError:
        return []


def _put(client: S3Client, bucket: str, newest: datetime) -> list[str]:
    keys = []
    with tempfile.TemporaryDirectory(prefix="raxx-sets-") as made:
        disk = Path(made) / "disk"
        before = newest - timedelta(days=1)
        install(disk, before)
        with MariadbServer(disk / MARIADB) as server:
            for taken in (before, newest):
                fetched = int((taken - _FETCHED_BEFORE).timestamp())
                server.sql(f"UPDATE options SET value = '{fetched}' WHERE name = 'fetch_emails_last_run'", DATABASE)  # noqa: S608 - our own number
                directory = Path(made) / taken.date().isoformat()
                directory.mkdir()
                dumped = dump_set(server, disk / SITE, taken, directory)
                keys += upload(client, bucket, PREFIX, taken.date(), dumped)
    return keys
