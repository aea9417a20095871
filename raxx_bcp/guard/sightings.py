"""Since when each host has been guarded: one small object on S3 for each look at a host, never changed or deleted.

A snapshot holds the guard only when it was taken while the guard was on the host. The snapshot does not say so before
it boots, and then it is too late. So what is known of the host at that time decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from raxx_bcp.clients.s3 import Bucket, ConflictError
from raxx_bcp.errors import CouldNotVerifyError

AGAIN_AFTER: Final = timedelta(hours=20)
"""A look with the same result as the last one is stored once a day, not every time."""


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a host. ``guarded``: the guard was complete, and took the machine for the original."""

    instance: str
    seen_utc: datetime
    guarded: bool
    by: str
    kind: str = ""
    guard_version: str = ""
    identity_sha256: str = ""
    """Of the machine's identity: 16 hexadecimal digits, enough to see that it changed."""
    list_sha256: str = ""
    why: str = ""
    """Why it was not guarded."""
    schema_version: int = 1

    def same_as(self, other: Sighting) -> bool:
        """Did both looks have the same result?"""
        return (self.guarded, self.kind, self.identity_sha256, self.list_sha256, self.guard_version) == (
            *(other.guarded, other.kind, other.identity_sha256),
            *(other.list_sha256, other.guard_version),
        )


@dataclass(frozen=True)
class Period:
    """A period in which a host was guarded. ``until_utc``: the last look before the first one that found no guard."""

    since_utc: datetime
    last_seen_utc: datetime
    until_utc: datetime | None = None

    def covers(self, moment: datetime) -> bool:
        """Was the guard there when something was taken at ``moment``? The time before the first look does not count."""
        return self.since_utc < moment and (self.until_utc is None or moment <= self.until_utc)


class Sightings:
    """The looks at the hosts, under ``prefix`` in ``bucket``. Raises what ``Bucket`` raises."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    def add(self, sighting: Sighting) -> bool:
        """Store this look, unless one of the last day says the same. Returns whether it was stored."""
        known = self.of(sighting.instance)
        if known and known[-1].same_as(sighting) and sighting.seen_utc - known[-1].seen_utc < AGAIN_AFTER:
            return False
        key = f"{self._place(sighting.instance)}{sighting.seen_utc:%Y%m%dT%H%M%S.%fZ}.json"
        body = msgspec.json.encode(sighting)
        try:
            self._bucket.put(
                key, body, content_type="application/json", metadata={"kind": "guard-sighting"}, only_if_absent=True
            )
        except ConflictError:
            if self._bucket.get(key) != body:
                raise
        return True

    def of(self, instance: str) -> list[Sighting]:
        """Every look at this host, oldest first. Raises ``CouldNotVerifyError`` for one that cannot be read."""
        found = [self._read(key) for key in self._bucket.keys(self._place(instance))]
        return sorted(found, key=lambda one: one.seen_utc)

    def periods(self, instance: str) -> list[Period]:
        """The periods in which this host was guarded, oldest first."""
        return list(periods_of(self.of(instance)))

    def _place(self, instance: str) -> str:
        return f"{self._prefix}{instance}/"

    def _read(self, key: str) -> Sighting:
        try:
            return msgspec.json.decode(self._bucket.get(key), type=Sighting)
        except msgspec.MsgspecError:
            raise CouldNotVerifyError(
                f"s3://{self._bucket.name}/{key} cannot be read as what was seen of a host's copy guard.",
                "See who wrote it. Until then nobody knows which snapshots are guarded.",
            ) from None


def periods_of(sightings: Iterable[Sighting]) -> Iterator[Period]:
    """From looks in order of time. Another machine identity may mean another disk, so it starts a new period."""
    began: Sighting | None = None
    last: Sighting | None = None
    for one in sightings:
        if began is not None and last is not None and not (one.guarded and _same_machine(one, last)):
            yield Period(began.seen_utc, last.seen_utc, last.seen_utc)
            began = None
        if one.guarded:
            began, last = began or one, one
    if began is not None and last is not None:
        yield Period(began.seen_utc, last.seen_utc)


def _same_machine(one: Sighting, other: Sighting) -> bool:
    return one.identity_sha256 == other.identity_sha256
