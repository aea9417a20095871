"""The two drills of FreeScout, as the table of drills has them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from raxx_bcp.drills.freescout import dump_drill, snapshot_drill
from raxx_bcp.drills.freescout.connections import freescout_doors
from raxx_bcp.drills.hosts.connections import WORKER_ADDRESS, leftover_instances
from raxx_bcp.drills.key_files import read_key
from raxx_bcp.drills.kind import Body, Kind, Promise
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx


def _promise(policy: Policy) -> Promise:
    promised = policy.freescout
    return Promise(promised.rto_minutes, promised.rpo_hours, policy.throwaway_instances.lease_hours)


@contextlib.contextmanager
def _snapshot(raxx: Raxx, wanted: snapshot_drill.Wanted) -> Iterator[Body]:
    doors = freescout_doors(raxx.policy, raxx.record().ledger)
    yield lambda drill: snapshot_drill.freescout_snapshot(drill, doors, raxx.policy, wanted)


@contextlib.contextmanager
def _dump(raxx: Raxx, wanted: dump_drill.Wanted) -> Iterator[Body]:
    doors = freescout_doors(raxx.policy, raxx.record().ledger, read_key(wanted.private_key_file))
    bucket = raxx.dump_bucket()
    yield lambda drill: dump_drill.freescout_dump(drill, doors, bucket, raxx.policy, wanted)


SNAPSHOT = Kind(
    name=snapshot_drill.KIND,
    system=snapshot_drill.SYSTEM,
    tier=snapshot_drill.TIER,
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
    checks=snapshot_drill.CHECKS,
    wanted=snapshot_drill.Wanted,
    connect=_snapshot,
    leftovers=leftover_instances,
    restores=("freescout_instance",),
    icons=frozenset({"mariadb", "aws"}),
    pool="freescout_drill",
    requires=WORKER_ADDRESS,
)
DUMP = Kind(
    name=dump_drill.KIND,
    system=dump_drill.SYSTEM,
    tier=dump_drill.TIER,
    summary="Tier 2: a dump set restored into a fresh FreeScout on a throwaway instance, then the same examination.",
    title=lambda policy: (
        f"Tier 2: the newest dump set under `{policy.freescout.dump_prefix}` restored into a fresh FreeScout on "
        f"`{policy.freescout.restored_instance}`, examined, and deleted again"
    ),
    scenario=lambda policy, wanted: (
        f"restore of the {wanted.dump} dump set onto an empty instance {policy.freescout.restored_instance}"
    ),
    promise=_promise,
    checks=dump_drill.CHECKS,
    wanted=dump_drill.Wanted,
    connect=_dump,
    leftovers=leftover_instances,
    restores=("freescout_dumps",),
    icons=frozenset({"mariadb", "s3"}),
    pool="freescout_drill",
    requires=WORKER_ADDRESS,
)
