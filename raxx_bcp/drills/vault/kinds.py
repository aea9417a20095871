"""The two drills of the vault, as the table of drills has them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from raxx_bcp.drills.engine.sweeper import Place
from raxx_bcp.drills.hosts.leftover_instances import leftover_instances
from raxx_bcp.drills.hosts.requirements import WORKER_ADDRESS
from raxx_bcp.drills.key_files import read_key
from raxx_bcp.drills.kind import Body, Kind, Promise, Requirement
from raxx_bcp.drills.vault.wanted import ExportWanted, SnapshotWanted
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx

if TYPE_CHECKING:
    from raxx_bcp.drills.vault.export_drill import DecryptionKey

THROWAWAY_VAULT = Requirement(
    "INFISICAL_DRILL_URL",
    lambda _policy: os.environ.get("INFISICAL_DRILL_URL", ""),
    "Set it to an empty Infisical that is never production, with INFISICAL_DRILL_CLIENT_ID and _SECRET.",
)


def _promise(policy: Policy) -> Promise:
    promised = policy.vault_drill
    return Promise(promised.rto_minutes, promised.rpo_hours, promised.lease_hours)


@contextlib.contextmanager
def _export(raxx: Raxx, wanted: ExportWanted) -> Iterator[Body]:
    from raxx_bcp.drills.vault import export_drill
    from raxx_bcp.drills.vault.connections import vault_export_connections

    connections = vault_export_connections(raxx.policy, _key(wanted))
    yield lambda drill: export_drill.vault_export(drill, connections, raxx.policy, wanted)


def _key(wanted: ExportWanted) -> DecryptionKey | None:
    """None: what can be checked without the private key is checked, and the rest is NOT_RUN."""
    from raxx_bcp.drills.vault.export_drill import DecryptionKey

    if not (wanted.decrypt or wanted.gpg_home or wanted.private_key_file):
        return None
    home = Path(wanted.gpg_home) if wanted.gpg_home else None
    return DecryptionKey(read_key(wanted.private_key_file), home)


@contextlib.contextmanager
def _leftover_projects(policy: Policy) -> Iterator[Place | None]:
    from raxx_bcp.drills.vault.connections import throwaway_vault
    from raxx_bcp.drills.vault.leftovers import VaultLeftovers

    open_vault = throwaway_vault(policy)
    yield VaultLeftovers(open_vault, policy.vault_drill) if open_vault else None


@contextlib.contextmanager
def _snapshot(raxx: Raxx, wanted: SnapshotWanted) -> Iterator[Body]:
    from raxx_bcp.drills.vault import snapshot_drill
    from raxx_bcp.drills.vault.connections import vault_snapshot_connections

    connections = vault_snapshot_connections(raxx.policy)
    yield lambda drill: snapshot_drill.vault_snapshot(drill, connections, raxx.policy, wanted)


EXPORT = Kind(
    name="vault_export",
    system="vault",
    summary=(
        "The vault's export restored into a throwaway vault and compared, item by item. Without a key: what can be."
    ),
    title=lambda _policy: (
        "the vault's newest export decrypted where the key is, restored into a throwaway vault, compared item by "
        "item, and deleted again"
    ),
    scenario=lambda _policy, wanted: f"restore of the {wanted.date} export of the vault into a throwaway vault",
    promise=_promise,
    checks=(
        "export age",
        "manifest",
        "checksum",
        "whole message",
        "recipients",
        "pinned key",
        "decrypts",
        "document",
        "counts of the manifest",
        "nothing waits for approval",
        "projects equal",
        "tags equal",
        "environments equal",
        "folders equal",
        "secrets equal",
        "imports equal",
        "restore time",
    ),
    wanted=ExportWanted,
    connect=_export,
    leftovers=_leftover_projects,
    restores=("vault_export",),
    icons=frozenset({"infisical", "s3"}),
    pool="vault_export_drill",
    requires=THROWAWAY_VAULT,
    needs_private_key=True,
)
SNAPSHOT = Kind(
    name="vault_snapshot",
    system="vault",
    summary="The vault host's snapshot as a throwaway instance: does Infisical answer, and with all of its secrets?",
    title=lambda policy: (
        f"the newest snapshot of `{policy.vault_snapshot.instance}` as `{policy.vault_drill.restored_instance}`; "
        "its Infisical must answer and hold what the export of that day holds"
    ),
    scenario=lambda policy, wanted: (
        f"restore of the {wanted.snapshot} snapshot of {policy.vault_snapshot.instance} into "
        f"{policy.vault_drill.restored_instance}"
    ),
    promise=_promise,
    checks=(
        "snapshot age",
        "silent before the network",
        "isolation",
        "isolation, with Infisical started",
        "infisical answers",
        "the export's identity logs in",
        "every value is readable",
        "projects",
        "environments",
        "folders",
        "secrets",
        "imports",
        "no environment is empty that was not",
        "restore time",
    ),
    wanted=SnapshotWanted,
    connect=_snapshot,
    leftovers=leftover_instances,
    restores=("vault_snapshot",),
    icons=frozenset({"infisical", "aws"}),
    pool="vault_snapshot_drill",
    requires=WORKER_ADDRESS,
)
