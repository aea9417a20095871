"""Facts of production, taken when a backup was made and stored for the drill that restores it.

Production continues after a backup, and a drill that compares with production of today must excuse a day's changes.
Facts of the backup's own moment excuse next to nothing. They are still there when production itself is damaged. They
hold numbers, names and keyed hashes (``keyed_facts.py``), no value of a row; they are written once.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec
from pydantic import SecretStr

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.heroku_shapes import Transfer
from raxx_bcp.clients.postgres import Limits
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.clients.s3_errors import ConflictError
from raxx_bcp.clock import Clock
from raxx_bcp.drills.heroku_postgres import database
from raxx_bcp.drills.heroku_postgres.keyed_facts import FactsKey, keyed
from raxx_bcp.errors import BcpError, CouldNotVerifyError
from raxx_bcp.policy import HerokuPostgres

_FORMAT: Final = "raxx-bcp heroku_postgres facts"
_SEAL: Final = b"seal"


class TakenFacts(msgspec.Struct, frozen=True):
    """What is stored: the facts, veiled, and of which backup they are."""

    app: str
    backup_uuid: str
    backup_label: str
    backup_begun_utc: datetime
    taken_utc: datetime
    facts: database.Facts

    @property
    def delay(self) -> timedelta:
        """How long after the backup started production was looked at."""
        return self.taken_utc - self.backup_begun_utc


class _Envelope(msgspec.Struct, frozen=True):
    """The object as stored.

    ``compared`` names what this program compares: facts of another list would silently lack something. ``seal`` is an
    HMAC over the body as it is written: the right to write to the bucket is not enough to write facts.
    """

    format: Literal["raxx-bcp heroku_postgres facts"]
    compared: str
    key_name: str
    seal: str
    body: msgspec.Raw


class UnusableFactsError(CouldNotVerifyError):
    """There are facts of this backup, but nothing can be compared with them."""


@dataclass(frozen=True)
class FactsStore:
    """Where facts are stored: one object for each backup, by the backup's uuid."""

    bucket: Bucket
    prefix: str

    def put(self, taken: TakenFacts, key: FactsKey) -> int:
        """Store them, and return their size in bytes. Facts that are there already stay. Raises as ``Bucket.put``."""
        body = msgspec.json.encode(taken)
        seal = key.digest(_SEAL, body).hex()
        document = msgspec.json.encode(_Envelope(_FORMAT, compared(), key.name, seal, msgspec.Raw(body)))
        try:
            self.bucket.put(
                self._key(taken.backup_uuid),
                document,
                content_type="application/json",
                metadata={"app": taken.app, "backup": taken.backup_label},
                only_if_absent=True,
            )
        except ConflictError:
            return 0
        return len(document)

    def has(self, backup: Transfer) -> bool:
        """Are there facts of this backup? Raises as ``Bucket.head``."""
        return self.bucket.head(self._key(backup.uuid)) is not None

    def find(self, app: str, backup: Transfer, key: FactsKey) -> TakenFacts | None:
        """The facts of this backup, or None where there are none.

        Raises ``UnusableFactsError`` for facts that were made with another password of the database or by another
        version of this program, or are not as they were written. Otherwise raises as ``Bucket.get``.
        """
        if not self.has(backup):
            return None
        try:
            document = msgspec.json.decode(self.bucket.get(self._key(backup.uuid)), type=_Envelope)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _unusable(backup, "they cannot be read") from None
        if document.compared != compared():
            raise _unusable(backup, "another version of this program, which compared other things, made them")
        if document.key_name != key.name:
            raise _unusable(backup, "the database's password has changed since, and with it their key")
        if not hmac.compare_digest(document.seal, key.digest(_SEAL, bytes(document.body)).hex()):
            raise _unusable(backup, "they are not as they were written")
        taken = msgspec.json.decode(document.body, type=TakenFacts)
        if (taken.app, taken.backup_uuid) != (app, backup.uuid):
            raise _unusable(backup, "they are of another backup")
        return taken

    def _key(self, uuid: str) -> str:
        return f"{self.prefix}{uuid}.json"


def _unusable(backup: Transfer, why: str) -> UnusableFactsError:
    return UnusableFactsError(
        f"The facts of backup {backup.label} cannot be compared with: {why}.",
        "The drill compares with production as it is now; the next backup has facts of its own.",
    )


@functools.cache
def compared() -> str:
    """A name for the list of everything that facts hold."""
    schema = msgspec.json.encode(msgspec.json.schema(TakenFacts), order="deterministic")
    return hashlib.sha256(schema).hexdigest()[:16]


def begun(transfer: Transfer) -> datetime:
    """What was written after pg_dump started is not in the backup."""
    known = (transfer.started_utc, transfer.created_utc, transfer.finished_utc)
    return next((one for one in known if one is not None), datetime.min.replace(tzinfo=UTC))


def limits_of(policy: HerokuPostgres) -> Limits:
    """How long anything may take in either database."""
    return Limits(statement_seconds=policy.statement_timeout_seconds)


def look_at_production(address: SecretStr, policy: HerokuPostgres, backup: Transfer) -> database.Facts:
    """What the restored database must be like, as production is now. Raises as ``database.expected_from``."""
    expected = database.expected_from(
        address,
        backup_created=begun(backup),
        connections=policy.connections,
        limits=limits_of(policy),
        moment_columns=policy.newest_row_columns,
    )
    database.refuse_unknown_tables(policy.table_tolerance_ratios, expected)
    return expected


def take_facts(heroku: Heroku, policy: HerokuPostgres, backup: Transfer, clock: Clock) -> tuple[TakenFacts, FactsKey]:
    """Look at production now, for ``backup``. Raises as ``look_at_production``, and what Heroku's client raises."""
    address = heroku.database_url(policy.app)
    key, taken = FactsKey.of(address), clock()
    facts = keyed(look_at_production(address, policy, backup), key)
    return TakenFacts(policy.app, backup.uuid, backup.label, begun(backup), taken, facts), key


@dataclass(frozen=True)
class Measure:
    """What a restored database is compared with, and how far it may differ."""

    facts: database.Facts
    allowance: database.Allowance
    said: str
    """For the record."""
    key: FactsKey | None = field(default=None, repr=False)
    """The facts are veiled with it; None: they are of production as it is now."""

    def alike(self, actual: database.Facts) -> database.Facts:
        """``actual`` as it can be compared with ``facts``."""
        return keyed(actual, self.key) if self.key else actual


def measure(
    heroku: Heroku, policy: HerokuPostgres, backup: Transfer, store: FactsStore | None, clock: Clock
) -> Measure:
    """The facts of this backup where there are any, else production as it is now. Raises as ``take_facts``."""
    address = heroku.database_url(policy.app)
    key = FactsKey.of(address)
    try:
        taken = store.find(policy.app, backup, key) if store else None
        why = "there are no facts of this backup" if store else "facts are kept nowhere"
    except BcpError as error:  # without S3 the drill works as it did before there were facts
        taken, why = None, error.what
    if taken is not None:
        return from_facts(taken, policy, key)
    now = clock()
    facts = look_at_production(address, policy, backup)
    days = max(1.0, (now - begun(backup)) / timedelta(days=1))
    said = f"production at {now:%Y-%m-%dT%H:%M:%SZ}, {days:.1f} days after the backup: {why}"
    return Measure(facts, database.Allowance(policy.changes_per_day_ratio, days, policy.table_tolerance_ratios), said)


def from_facts(taken: TakenFacts, policy: HerokuPostgres, key: FactsKey) -> Measure:
    """Takes at least an hour for what changed between the backup and the look."""
    days = max(timedelta(hours=1), taken.delay) / timedelta(days=1)
    allowance = database.Allowance(policy.changes_per_day_ratio, days, policy.table_tolerance_ratios)
    minutes = taken.delay / timedelta(minutes=1)
    said = f"facts of {taken.taken_utc:%Y-%m-%dT%H:%M:%SZ}, {minutes:.0f} minutes after the backup began"
    return Measure(taken.facts, allowance, said, key)
