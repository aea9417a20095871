"""The two drills of FreeScout, as the table of drills has them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from raxx_bcp.drills.freescout.wanted import DumpWanted, SnapshotWanted
from raxx_bcp.drills.hosts.leftover_instances import leftover_instances
from raxx_bcp.drills.hosts.requirements import WORKER_ADDRESS
from raxx_bcp.drills.key_files import read_key
from raxx_bcp.drills.kind import Body, Kind, Promise
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx

EXAMINED = (
    "database",
    "jobs not run",
    "schema",
    "rows",
    "data age",
    "orphans",
    "active admin",
    "password hashes",
    "emoji",
    "content",
    "app key",
    "migrations",
    "attachments on disk",
    "attachment link",
    "login page with its database",
)
"""What both tiers look at once the help desk is restored (``examine.py``)."""


def _promise(policy: Policy) -> Promise:
    promised = policy.freescout
    return Promise(promised.rto_minutes, promised.rpo_hours, policy.throwaway_instances.lease_hours)


@contextlib.contextmanager
def _snapshot(raxx: Raxx, wanted: SnapshotWanted) -> Iterator[Body]:
    from raxx_bcp.drills.freescout import snapshot_drill
    from raxx_bcp.drills.freescout.connections import freescout_connections

    connections = freescout_connections(raxx.policy, raxx.record().ledger)
    yield lambda drill: snapshot_drill.freescout_snapshot(drill, connections, raxx.policy, wanted)


@contextlib.contextmanager
def _dump(raxx: Raxx, wanted: DumpWanted) -> Iterator[Body]:
    from raxx_bcp.drills.freescout import dump_drill
    from raxx_bcp.drills.freescout.connections import freescout_connections

    connections = freescout_connections(raxx.policy, raxx.record().ledger, read_key(wanted.private_key_file))
    bucket = raxx.dump_bucket()
    yield lambda drill: dump_drill.freescout_dump(drill, connections, bucket, raxx.policy, wanted)


SNAPSHOT = Kind(
    name="freescout_snapshot",
    system="freescout",
    tier="Tier 1",
    summary="Tier 1: FreeScout's snapshot as a throwaway instance, isolated first, then examined over SSH.",
    title=lambda policy: (
        f"Tier 1: the newest snapshot of `{policy.freescout.instance}` as `{policy.freescout.restored_instance}`, "
        "isolated before anything else, examined, and deleted again"
    ),
    scenario=lambda policy, wanted: (
        f"restore of the {wanted.snapshot} snapshot of {policy.freescout.instance} as "
        f"{policy.freescout.restored_instance}"
    ),
    promise=_promise,
    checks=(
        "backup age",
        "silent before the network",
        "isolation",
        *EXAMINED,
        "restore time",
    ),
    wanted=SnapshotWanted,
    connect=_snapshot,
    leftovers=leftover_instances,
    restores=("freescout_instance",),
    icons=frozenset({"mariadb", "aws"}),
    pool="freescout_drill",
    requires=WORKER_ADDRESS,
)
DUMP = Kind(
    name="freescout_dump",
    system="freescout",
    tier="Tier 2",
    summary="Tier 2: a dump set restored into a fresh FreeScout on a throwaway instance, then the same examination.",
    title=lambda policy: (
        f"Tier 2: the newest dump set under `{policy.freescout.dump_prefix}` restored into a fresh FreeScout on "
        f"`{policy.freescout.restored_instance}`, examined, and deleted again"
    ),
    scenario=lambda policy, wanted: (
        f"restore of the {wanted.dump} dump set onto an empty instance {policy.freescout.restored_instance}"
    ),
    promise=_promise,
    checks=(
        "backup age",
        "isolation",
        "set complete",
        "checksums",
        "compression",
        "dump trailer",
        "dump dialect",
        "restore",
        "rows of the dump",
        *EXAMINED,
        "restore time",
    ),
    wanted=DumpWanted,
    connect=_dump,
    leftovers=leftover_instances,
    restores=("freescout_dumps",),
    icons=frozenset({"mariadb", "s3"}),
    pool="freescout_drill",
    requires=WORKER_ADDRESS,
)
