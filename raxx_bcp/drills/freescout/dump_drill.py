"""D4, Tier 2: a dump set of FreeScout, restored onto an empty instance and examined like Tier 1 (ADR-0103).

For the day when Lightsail's snapshots are lost too. The instance is made from a blueprint and gets FreeScout's code
from its publisher. Then the network is closed and everything else comes from the set: database, ``.env``, attachments,
modules.
"""

from __future__ import annotations

import re

from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.drills.engine.drill import Drill, Source
from raxx_bcp.drills.freescout import (
    adopted,
    artefact,
    causes,
    database_client,
    dump_set,
    examine,
    expected,
    restoring,
    supported,
)
from raxx_bcp.drills.freescout.connections import Connections
from raxx_bcp.drills.freescout.dump_set import DumpSet
from raxx_bcp.drills.freescout.examine import Restored
from raxx_bcp.drills.freescout.snapshot_drill import backup_age
from raxx_bcp.drills.freescout.wanted import DumpWanted
from raxx_bcp.drills.hosts.host import FromBlueprint, Host, make_host
from raxx_bcp.drills.hosts.isolation import isolate_and_assert, quieten_freescout
from raxx_bcp.drills.hosts.launch_script import Install, launch_script
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.policy import FreeScout, Policy


def freescout_dump(drill: Drill, connections: Connections, bucket: Bucket, policy: Policy, wanted: DumpWanted) -> None:
    """Restore one dump set and examine it. Raises what the clients raise; the drill records it."""
    promised, throwaway = policy.freescout, policy.throwaway_instances
    with drill.phase("select"):
        chosen = _select(drill, bucket, wanted.dump, promised, connections.private_key)
        version = _version(chosen, promised)
        supported.require_blueprint(promised)
    with drill.phase("provision"):
        install = Install.of(promised, version)
        host = make_host(
            drill,
            connections.instances,
            throwaway,
            promised.restored_instance,
            FromBlueprint(promised.blueprint),
            user_data=launch_script(drill.id, promised.quiet_units, install=install),
            bundle=wanted.bundle or promised.bundle,
        )
        host.sql_client = database_client.of_new_host(promised)
    with drill.phase("isolate"):
        isolate_and_assert(drill, host, throwaway, promised.quiet_units)
    try:
        _restore_and_examine(drill, connections, bucket, host, promised, chosen)
    finally:
        drill.results[:] = causes.folded(drill.results)
    drill.check_restore_time()


def _restore_and_examine(
    drill: Drill, connections: Connections, bucket: Bucket, host: Host, promised: FreeScout, chosen: DumpSet
) -> None:
    timeout = promised.rto_minutes * 60.0
    with drill.phase("restore"):
        report = restoring.restore(
            drill, restoring.Target(host, promised, timeout), bucket, chosen, connections.private_key
        )
    with drill.phase("verify"):
        known = (
            chosen.manifest.expectation
            if chosen.manifest
            else expected.of_last_drill(connections.last, backup_id(chosen, promised), chosen.taken_utc)
        )
        restored = Restored(
            host,
            promised,
            known,
            chosen.taken_utc,
            quieten=lambda: quieten_freescout(drill, host, promised),
            client=host.sql_client,
            timeout_seconds=timeout,
            known_to=chosen.known_to,
            unproved=chosen.unproved,
        )
        found = examine.examine(drill, restored)
        if found is not None:
            drill.add(artefact.dump_rows(report["rows"], found.rows))


def backup_id(chosen: DumpSet, policy: FreeScout) -> str:
    """The set's name in evidence."""
    return chosen.label or f"{policy.dump_prefix}{chosen.day}"


def _select(drill: Drill, bucket: Bucket, wanted: str, policy: FreeScout, private_key: bytes | None) -> DumpSet:
    listed = adopted.stored_sets(bucket, policy)
    chosen, because = dump_set.choose(listed.sets, wanted)
    chosen = listed.with_manifest(bucket, chosen)
    newest = chosen if chosen.day == listed.sets[0].day else listed.with_manifest(bucket, listed.sets[0])
    where = policy.adopted.main or policy.dump_prefix
    backup_age(drill, newest.taken_utc, policy, f"look at what writes {where} in bucket {bucket.name}")
    database = chosen.members.get(dump_set.DATABASE)
    fact = chosen.manifest.files.get(database.name) if chosen.manifest and database else None
    drill.source(
        Source(
            backup_id=backup_id(chosen, policy),
            created_utc=chosen.taken_utc,
            selected_because=because if chosen.manifest else f"{because}; it has no manifest",
            size_bytes=chosen.size_bytes,
            sha256=fact.sha256 if fact else "",
        )
    )
    return adopted.looked_into(bucket, chosen, policy.dump_parts, private_key)


def _version(chosen: DumpSet, policy: FreeScout) -> str:
    version = policy.version or (chosen.manifest.freescout_version if chosen.manifest else "")
    if not re.fullmatch(r"\d+(\.\d+)+", version):
        raise CouldNotVerifyError(
            f"Which release of FreeScout the dump set of {chosen.day} is of is not known.",
            "Set freescout.version in bcp.toml, then start the drill again.",
        )
    return version
