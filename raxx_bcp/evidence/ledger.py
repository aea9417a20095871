"""The ledger: append-only, one S3 object a row, each row holding the hash of the one before it.

A row is stored only where nothing is yet. So of two drills that end in the same second, one gets N and the other
N+1. Nothing in here can change or delete a row.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from raxx_bcp.clients.s3 import Bucket, ConflictError, ObjectAbsentError, ObjectVersion
from raxx_bcp.clock import Clock, utc_now
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, TransientError, UsageError
from raxx_bcp.evidence import row_hash
from raxx_bcp.evidence.chain import ChainReport, Walk, with_note
from raxx_bcp.evidence.head import Head, LastRow, move_head, read_head
from raxx_bcp.evidence.names import LAST_SEQUENCE, row_name, sequence_of
from raxx_bcp.evidence.reading import READERS, in_order
from raxx_bcp.evidence.row import GENESIS_SHA256, Entry, EvidenceRow
from raxx_bcp.evidence.row_hash import NewerRowError

_TRIES: Final = 40
_LONGEST_PAUSE_SECONDS: Final = 0.5


class Ledger:
    """The evidence under ``prefix`` of ``bucket``.

    ``retention_days`` locks each row in COMPLIANCE mode for this long, where the bucket has Object Lock; 0: never.
    Every method raises ``TransientError`` (away, busy) or ``CouldNotVerifyError`` (denied): never "no rows".
    """

    def __init__(
        self,
        bucket: Bucket,
        prefix: str = "evidence/",
        retention_days: int = 0,
        *,
        clock: Clock = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        readers: int = READERS,
    ) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self._retention = timedelta(days=retention_days)
        self._clock = clock
        self._sleep = sleep
        self._readers = readers
        self._lockable: bool | None = None

    def append(self, entry: Entry) -> EvidenceRow:
        """Write ``entry`` as the next row and return it.

        Raises ``ValueError`` (nothing was written) when it holds what looks like a secret. After a ``TransientError``
        it is unknown whether it was stored; ``Spool`` and ``flush`` settle that.
        """
        for attempt in range(_TRIES):
            now = self._clock()
            head, last = self._end()
            sequence = last.sequence + 1
            row, body = row_hash.seal(entry, sequence=sequence, previous_sha256=last.sha256, written=now)
            if self._put(row, body, now):
                move_head(self.bucket, self.prefix, LastRow(row.sequence, row.sha256), now, head)
                return row
            self._sleep(random.uniform(0, min(0.01 * 2**attempt, _LONGEST_PAUSE_SECONDS)))  # noqa: S311 - no secret
        raise TransientError(
            f"The evidence row found no place in {_TRIES} tries: too many writers in {self._place}.",
            "Write it again: nothing is lost.",
        )

    def tail(self) -> EvidenceRow | None:
        """The newest row, or None for an empty ledger.

        Raises ``PermanentError`` where the newest object is not a readable row; ``verify`` says more.
        """
        head = read_head(self.bucket, self.prefix)
        newest = max(self._sequences(head.sequence), default=0)
        if newest < head.sequence:
            raise self._broken(f"row {head.sequence} is missing")
        if not newest:
            return None
        return self._read(newest, self.bucket.get(self._key(newest)))

    def row(self, sequence: int) -> EvidenceRow:
        """One row by its number.

        Raises ``UsageError`` where there is none, ``PermanentError`` where it is not a readable row.
        """
        try:
            body = self.bucket.get(self._key(sequence))
        except ObjectAbsentError:
            raise UsageError(
                f"There is no row {sequence} in {self._place}.", "See raxx-bcp evidence list for what there is."
            ) from None
        return self._read(sequence, body)

    def rows(self) -> Iterator[EvidenceRow]:
        """Every readable row in order, a bounded number of them in memory. ``verify`` says whether they are all."""
        stored = self._stored()
        for key, body in in_order(self.bucket, [key for key in stored if stored[key]], readers=self._readers):
            try:
                link = row_hash.link_of(body or b"")
                row = row_hash.row_of(link)
            except ValueError:
                continue
            if self._key(row.sequence) == key:
                yield row

    def verify(
        self, *, held: LastRow | None = None, visit: Callable[[EvidenceRow], None] = lambda _row: None
    ) -> ChainReport:
        """Read every row once, hand each sound one to ``visit``, and say whether the ledger is unchanged.

        ``held`` is a row's number and hash that was kept outside S3, such as in the BCP document.
        """
        head = read_head(self.bucket, self.prefix)  # before the list: rows that are added meanwhile are not a problem
        walk = Walk(self.prefix, visit)
        stored = self._stored()
        bodies = in_order(self.bucket, [key for key in stored if stored[key]], readers=self._readers)
        for key, may_be_row in stored.items():
            walk.step(key, next(bodies)[1] if may_be_row else b"")
        versions, note = self._versions()
        report = walk.report(head, held, versions)
        return with_note(report, *note, *self._lock_note())

    def _read(self, sequence: int, body: bytes) -> EvidenceRow:
        try:
            link = row_hash.link_of(body)
            row = row_hash.row_of(link)
        except NewerRowError as error:
            raise CouldNotVerifyError(
                f"Row {sequence} of {self._place} cannot be read: {error}.",
                "Use the program that wrote it, or a newer one.",
            ) from None
        except ValueError as error:
            raise self._broken(f"row {sequence}: {error}") from None
        if row.sequence != sequence:
            raise self._broken(f"{row_name(sequence)} holds row {row.sequence}")
        return row

    def _end(self) -> tuple[Head, LastRow]:
        """The witness, and the row that the next one follows.

        Where ``HEAD.json`` names a newer or another last row than the list shows, it wins: the new row goes
        behind the gap and not into it, and the hash of the earlier row stays in the chain.
        """
        head = read_head(self.bucket, self.prefix)
        newest = max(self._sequences(head.sequence), default=0)
        if newest >= LAST_SEQUENCE:
            raise self._broken(f"there is an object of the name {row_name(newest)}, behind which no row fits")
        if head.witness and newest <= head.sequence:
            return head, head.witness
        return head, LastRow(newest, self._hash_at(newest) if newest else GENESIS_SHA256)

    def _hash_at(self, sequence: int) -> str:
        """The hash of a stored row; of its bytes where it is not a row, so that nobody can block the ledger so."""
        body = self.bucket.get(self._key(sequence))
        try:
            return row_hash.link_of(body).sha256
        except ValueError:
            return row_hash.sha256_of(body)

    def _put(self, row: EvidenceRow, body: bytes, now: datetime) -> bool:
        """Store the row where no object exists. False: another writer was first."""
        key = self._key(row.sequence)
        try:
            self.bucket.put(
                key,
                body,
                content_type="application/json",
                metadata={"kind": "evidence-row"},
                only_if_absent=True,
                compliance_until=now + self._retention if self._locks() else None,
            )
        except ConflictError:
            return self._is_stored(key, body)
        return True

    def _is_stored(self, key: str, body: bytes) -> bool:
        """Was it our own write? boto3 repeats a PUT whose answer was lost, and then meets its own row."""
        try:
            return self.bucket.get(key) == body
        except ObjectAbsentError:
            return False

    def _locks(self) -> bool:
        """Does each row get a retention? Where that cannot be read, the PUT itself will show it."""
        if not self._retention:
            return False
        if self._lockable is None:
            try:
                self._lockable = self.bucket.object_lock()
            except CouldNotVerifyError:
                self._lockable = True
        return self._lockable

    def _lock_note(self) -> tuple[str, ...]:
        if self._retention and not self._locks():
            return (f"rows are not locked: bucket {self.bucket.name} has no Object Lock",)
        return ()

    def _versions(self) -> tuple[list[ObjectVersion] | None, tuple[str, ...]]:
        try:
            return self.bucket.versions(self.prefix), ()
        except CouldNotVerifyError as error:
            return None, (f"whether rows were written again is judged without the bucket's versions: {error.what}",)

    def _sequences(self, first: int) -> Iterator[int]:
        """The numbers of the existing rows, from ``first`` on."""
        start_after = self._key(first - 1) if first > 1 else ""
        for key in self.bucket.keys(self.prefix, start_after=start_after):
            sequence = sequence_of(self._name(key))
            if sequence is not None:
                yield sequence

    def _stored(self) -> dict[str, bool]:
        """Every key under the prefix in order, and whether it can be a row by its name and size."""
        return {
            item.key: item.size_bytes <= row_hash.SIZE_LIMIT_BYTES and bool(sequence_of(self._name(item.key)))
            for item in self.bucket.objects(self.prefix)
        }

    def _name(self, key: str) -> str:
        return key.removeprefix(self.prefix)

    def _key(self, sequence: int) -> str:
        return self.prefix + row_name(sequence)

    @property
    def _place(self) -> str:
        return f"s3://{self.bucket.name}/{self.prefix}"

    def _broken(self, why: str) -> PermanentError:
        return PermanentError(
            f"The evidence ledger {self._place} is not what was written: {why}.",
            "Run raxx-bcp evidence verify, which names the first such row.",
        )
