"""The start of a drill, written to S3 before it makes anything, so that a killed drill does not vanish.

One small object for each drill, written once and never changed or deleted. A drill with a start, no evidence row and an
expired lease has crashed: the sweeper writes its row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from raxx_bcp.clients.decoding import decoded
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.drills.engine.drill import Drill, Order
from raxx_bcp.errors import CouldNotVerifyError


class Started(msgspec.Struct, frozen=True):
    """What is known of a drill at its start; times are UTC, in ISO 8601."""

    drill_id: str
    kind: str
    system: str
    tier: str
    operator: str
    trigger: str
    scenario: str
    run_id: str
    run_url: str
    started_utc: datetime
    expires_utc: datetime
    rto_target_seconds: int
    rpo_target_seconds: int
    checks: tuple[str, ...] = ()
    schema_version: int = 1

    def order(self) -> Order:
        """The order that it was started with."""
        return Order(
            kind=self.kind,
            system=self.system,
            tier=self.tier,
            operator=self.operator,
            trigger=self.trigger,
            scenario=self.scenario,
            run_id=self.run_id,
            run_url=self.run_url,
            rto_target_seconds=self.rto_target_seconds,
            rpo_target_seconds=self.rpo_target_seconds,
            lease=self.expires_utc - self.started_utc,
            checks=self.checks,
        )


class Journal:
    """The starts of all drills, under ``prefix`` in ``bucket``."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    def begin(self, drill: Drill) -> None:
        """Write it to S3. Raises what ``Bucket.put`` raises; the drill must not start then."""
        order = drill.order
        started = Started(
            drill_id=drill.id,
            kind=order.kind,
            system=order.system,
            tier=order.tier,
            operator=order.operator,
            trigger=order.trigger,
            scenario=order.scenario,
            run_id=order.run_id,
            run_url=order.run_url,
            started_utc=drill.started_utc,
            expires_utc=drill.expires_utc,
            rto_target_seconds=order.rto_target_seconds,
            rpo_target_seconds=order.rpo_target_seconds,
            checks=order.checks,
        )
        self._bucket.put(
            f"{self._prefix}{drill.id}.json",
            msgspec.json.encode(started),
            content_type="application/json",
            metadata={"kind": "drill-started"},
            only_if_absent=True,
        )

    def without_row(self, recorded: Collection[str], now: datetime, *, back: timedelta) -> Iterator[Started]:
        """Drills started within ``back`` whose leases are over and that have no row among ``recorded``.

        Raises ``CouldNotVerifyError`` for an object that is not readable as a start.
        """
        for item in self._bucket.objects(self._prefix):
            name = item.key.removeprefix(self._prefix).removesuffix(".json")
            begun = _begun(name)
            if name in recorded or (begun is not None and now - begun > back):
                continue
            started = self._read(item.key)
            if started.drill_id not in recorded and started.expires_utc <= now:
                yield started

    def _read(self, key: str) -> Started:
        started = decoded(self._bucket.get(key), Started)
        if started is None:
            raise CouldNotVerifyError(
                f"s3://{self._bucket.name}/{key} is not the start of a drill.",
                "See who wrote it; the sweeper goes on without it once it is gone.",
            )
        return started


def _begun(drill_id: str) -> datetime | None:
    """The time in a drill's id, so that old ones need not be read; None where it has none."""
    found = re.search(r"-(\d{8}T\d{6})Z-", drill_id)
    return datetime.strptime(found.group(1), "%Y%m%dT%H%M%S").replace(tzinfo=UTC) if found else None
