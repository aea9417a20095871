"""Facts of a database as they may be stored: hashes and definitions under a key that only its own users have.

Anybody can soon guess a plain hash of a row of a small table: for a list of e-mail addresses, every one. So the stored
value is an HMAC. Its key is made from the database's own address with its password: whoever has that can read the rows
anyway.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import SecretStr

from raxx_bcp.drills.heroku_postgres.content import Content
from raxx_bcp.drills.heroku_postgres.facts import Facts
from raxx_bcp.drills.heroku_postgres.partitions import Partition

_PURPOSE: Final = b"raxx-bcp facts of a database, 1"
_ROW_BYTES: Final = 12
_KEY_BYTES: Final = 8
_INVALID: Final = " INVALID"


@dataclass(frozen=True)
class FactsKey:
    """The key, and a name that tells it from another key."""

    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, address: SecretStr) -> FactsKey:
        """Made from the address of the database, password and all; another password makes another key."""
        return cls(hmac.digest(address.get_secret_value().encode(), _PURPOSE, hashlib.sha256))

    @property
    def name(self) -> str:
        return self.digest(b"name", b"").hex()[:16]

    def digest(self, purpose: bytes, value: bytes) -> bytes:
        """The HMAC of ``value`` for one purpose: equal values of two purposes do not show that they are equal."""
        return hmac.digest(self.secret, purpose + b"\0" + value, hashlib.sha256)


def keyed(facts: Facts, key: FactsKey) -> Facts:
    """The same facts with nothing in them that could be guessed. Two that are veiled alike compare as before."""
    objects = facts.large_objects
    sample = {oid: (size, _short(key, b"object", found)) for oid, (size, found) in objects.sample.items()}
    policies = {table: _definitions(key, each) for table, each in facts.protection.policies.items()}
    return replace(
        facts,
        columns=_definitions(key, facts.columns),
        indexes=_definitions(key, facts.indexes),
        constraints=_definitions(key, facts.constraints),
        routines=_definitions(key, facts.routines),
        operators=_definitions(key, facts.operators),
        contents={table: _content(key, table, one) for table, one in facts.contents.items()},
        partitions={name: _partition(key, one) for name, one in facts.partitions.items()},
        large_objects=replace(objects, sample=sample),
        protection=replace(facts.protection, policies=policies, comments=_definitions(key, facts.protection.comments)),
    )


def _content(key: FactsKey, table: str, content: Content) -> Content:
    of_keys, of_rows = f"key {table}".encode(), f"row {table}".encode()

    def rows(found: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        return {name(one): _short(key, of_rows, row) for one, row in found.items()}

    def name(one: bytes) -> bytes:
        return key.digest(of_keys, one)[:_KEY_BYTES]

    later = frozenset(name(one) for one in content.since)
    return replace(content, rows=rows(content.rows), ends=rows(content.ends), since=later)


def _short(key: FactsKey, purpose: bytes, value: bytes) -> bytes:
    return key.digest(purpose, value)[:_ROW_BYTES]


def _definitions(key: FactsKey, definitions: Mapping[str, str]) -> dict[str, str]:
    """They hold literals. It stays visible that an index is not valid: such an index is in no backup."""
    return {
        name: _short(key, b"definition", said.removesuffix(_INVALID).encode()).hex()
        + (_INVALID if said.endswith(_INVALID) else "")
        for name, said in definitions.items()
    }


def _partition(key: FactsKey, partition: Partition) -> Partition:
    """The bounds of a list are values of a column; those of a range tell whether it is of a later time."""
    if partition.bounds.startswith("FOR VALUES IN"):
        return replace(partition, bounds=_short(key, b"bounds", partition.bounds.encode()).hex())
    return partition
