"""The client that removes one file of one of FreeScout's dump sets, and can do nothing else.

It takes a day and a name and builds the key itself. The boto3 client behind it refuses, before a byte is sent, every
operation but DeleteObject, every other bucket and key, and every version. In a bucket that keeps versions, a deleted
object is below a delete marker, and comes back when the marker is removed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from raxx_bcp.clients.s3 import make_client
from raxx_bcp.clients.s3_errors import s3_errors
from raxx_bcp.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

OURS: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)/"
    r"(manifest\.json|(?:database\.sql(?:\.(?:gz|xz|bz2|zst))?|env|attachments\.tar\.gz|modules\.tar\.gz)(?:\.gpg)?)"
)
"""What follows the prefix in the key of a file of a dump set: its day and its name. Anything else is not ours."""
_PREFIX: Final = re.compile(r"[\w.-]+(/[\w.-]+)*/")


class DumpRemoval:
    """Removes files of dump sets below ``prefix``, through a boto3 client that is made on first use."""

    def __init__(self, bucket: str, prefix: str, *, client: S3Client | None = None) -> None:
        if not _PREFIX.fullmatch(prefix) or ".." in prefix:
            raise UsageError(
                f"{prefix!r} is no prefix that anything is removed from.",
                "Set freescout.dump_prefix, such as freescout-dumps/.",
            )
        self.bucket = bucket
        self.prefix = prefix
        self._given = client
        self._made: S3Client | None = None

    @property
    def _client(self) -> S3Client:
        if self._made is None:
            self._made = self._given or make_client("", "")
            self._made.meta.events.register("provide-client-params.s3", self._refuse_what_is_not_ours)
        return self._made

    def delete(self, day: str, name: str) -> None:
        """Remove ``<prefix><day>/<name>``; a file that is not there is no error.

        Raises ``UsageError`` for a day or name that is not a dump set's, ``PermanentError`` (denied, refused) and
        ``TransientError`` (unreachable, busy).
        """
        if not OURS.fullmatch(f"{day}/{name}"):
            raise UsageError(f"{day!r}/{name!r} is not a file of a dump set.", "Nothing was removed; report it.")
        key = f"{self.prefix}{day}/{name}"
        with s3_errors(f"delete {key} from", self.bucket, denied=PermanentError):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def _refuse_what_is_not_ours(self, params: dict[str, Any], event_name: str, **_named: Any) -> None:
        """The last check before anything is sent: it also catches a mistake in this module."""
        key, operation = params.get("Key"), event_name.rpartition(".")[2]
        ours = isinstance(key, str) and key.startswith(self.prefix) and OURS.fullmatch(key.removeprefix(self.prefix))
        exact = params.keys() == {"Bucket", "Key"} and params["Bucket"] == self.bucket
        if operation != "DeleteObject" or not ours or not exact:
            raise PermanentError(
                f"{operation} was refused before it was sent: this client only removes files of dump sets below "
                f"{self.prefix}.",
                "Nothing was changed. The request is a bug in the program: report it.",
            )
