"""What drills are given, made from the environment: the doors, and where they are put on record."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raxx_bcp import environment
from raxx_bcp.clients.heroku import DEFAULT_API_URL, DEFAULT_DATA_URL, Heroku
from raxx_bcp.clients.infisical_writer import InfisicalWriter
from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.clock import Clock, utc_now
from raxx_bcp.drills.engine.journal import Journal
from raxx_bcp.drills.engine.record import LedgerRecorder
from raxx_bcp.drills.engine.sweeper import Place
from raxx_bcp.drills.freescout import dump_drill, snapshot_drill
from raxx_bcp.drills.freescout.connections import Doors as FreeScoutDoors
from raxx_bcp.drills.freescout.expected import LastDrill
from raxx_bcp.drills.heroku_postgres.leftovers import HerokuLeftovers
from raxx_bcp.drills.heroku_postgres.stored_facts import FactsStore
from raxx_bcp.drills.hosts.host import instances_door
from raxx_bcp.drills.hosts.leftovers import InstanceLeftovers
from raxx_bcp.drills.terraform_state import recovery_drill
from raxx_bcp.drills.terraform_state.leftovers import ScratchLeftovers
from raxx_bcp.drills.vault.export_drill import DecryptionKey
from raxx_bcp.drills.vault.export_drill import Doors as VaultExportDoors
from raxx_bcp.drills.vault.leftovers import VaultLeftovers
from raxx_bcp.drills.vault.snapshot_drill import Doors as VaultSnapshotDoors
from raxx_bcp.drills.vault.throwaway_projects import OpenVault
from raxx_bcp.errors import UsageError
from raxx_bcp.evidence.gate import history_of
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.row import Verdict, drill_of
from raxx_bcp.evidence.spool import Spool
from raxx_bcp.guard.connections import sightings_of
from raxx_bcp.policy import Policy
from raxx_bcp.vault.keys import operator_key

STATE_VARIABLE: Final = "RAXX_BCP_STATE_DIR"


@dataclass(frozen=True)
class Record:
    """The three places of a drill's record: that it began, its row on the way, and its row for good."""

    journal: Journal
    spool: Spool
    ledger: Ledger

    def recorder(self) -> LedgerRecorder:
        """For ``conduct``."""
        return LedgerRecorder(self.journal, self.ledger, self.spool)


def record_of(policy: Policy, clock: Clock = utc_now, sleep: Callable[[float], None] = time.sleep) -> Record:
    """The record in the state bucket; what is on the way lies on this machine's disk."""
    bucket, evidence = environment.state_bucket(policy), policy.evidence
    return Record(
        journal=Journal(bucket, f"{evidence.prefix.rstrip('/')}-started/"),
        spool=Spool(state_directory() / "evidence"),
        ledger=Ledger(bucket, evidence.prefix, evidence.retention_days, clock=clock, sleep=sleep),
    )


def state_directory(environ: Mapping[str, str] | None = None) -> Path:
    """Where this machine keeps what has not reached S3 yet: ``$RAXX_BCP_STATE_DIR``, else beside Dagster's storage,
    else the user's own state directory (XDG Base Directory Specification)."""
    environ = os.environ if environ is None else environ
    if environ.get(STATE_VARIABLE):
        return Path(environ[STATE_VARIABLE])
    if environ.get("DAGSTER_HOME"):
        return Path(environ["DAGSTER_HOME"]) / "raxx-bcp"
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "raxx-bcp"


@contextlib.contextmanager
def places(policy: Policy) -> Iterator[list[Place]]:
    """Where drills of this machine can have left something; where it has no key to Heroku, none of its drills ran."""
    found: list[Place] = [
        ScratchLeftovers(recovery_drill.doors_of(policy), policy),
        InstanceLeftovers(instances_door(policy)),
    ]
    with contextlib.ExitStack() as stack:
        if os.environ.get("HEROKU_API_KEY"):
            found.append(HerokuLeftovers(stack.enter_context(heroku_door(policy))))
        open_vault = throwaway_vault(policy)
        if open_vault is not None:
            found.append(VaultLeftovers(open_vault, policy.vault_drill))
        yield found


def heroku_door(policy: Policy) -> Heroku:
    """Raises ``UsageError`` naming the variable that is missing."""
    return Heroku(
        environment.required("HEROKU_API_KEY", "the key with which drills make throwaway apps"),
        os.environ.get("HEROKU_API_URL") or DEFAULT_API_URL,
        os.environ.get("HEROKU_DATA_URL") or DEFAULT_DATA_URL,
        throwaway_prefix=policy.heroku_postgres.throwaway_prefix,
        protected=(policy.heroku_postgres.app,),
    )


def facts_store(policy: Policy) -> FactsStore:
    """Where facts of the customer database are kept: in the state bucket."""
    return FactsStore(environment.state_bucket(policy), policy.heroku_postgres.facts_prefix)


def freescout_doors(policy: Policy, ledger: Ledger, private_key: bytes | None = None) -> FreeScoutDoors:
    """Lightsail, the last drill that passed, and where it was given a private key for encrypted sets."""
    _require_worker_address(policy)
    return FreeScoutDoors(instances_door(policy), Snapshots(), sightings_of(policy), last_pass(ledger), private_key)


def last_pass(ledger: Ledger) -> LastDrill | None:
    """The newest drill of FreeScout that passed, of either tier: something to compare with."""
    history = history_of(ledger.rows())
    rows = [history.newest.get((kind, Verdict.PASS)) for kind in (snapshot_drill.KIND, dump_drill.KIND)]
    entries = [drill_of(row) for row in rows if row is not None]
    passed = [(entry, entry.source) for entry in entries if entry.source is not None]
    if not passed:
        return None
    entry, source = max(passed, key=lambda each: each[0].timing.ended_utc)
    checks = tuple((check.name, check.actual) for check in entry.checks)
    return LastDrill(entry.identity.drill_id, source.backup_id, source.created_utc, checks)


def vault_export_doors(policy: Policy, key: DecryptionKey | None) -> VaultExportDoors:
    """The exports, and the throwaway vault where one is configured."""
    fingerprint = operator_key(policy.vault_export.gpg_fingerprint).fingerprint
    return VaultExportDoors(environment.state_bucket(policy), fingerprint, throwaway_vault(policy), key)


def throwaway_vault(policy: Policy) -> OpenVault | None:
    """Makes sessions with the empty vault that drills restore into; None where INFISICAL_DRILL_URL is not set."""
    url = os.environ.get("INFISICAL_DRILL_URL")
    if not url:
        return None
    purpose = "the identity that drills write with into the throwaway vault"
    client_id = environment.required("INFISICAL_DRILL_CLIENT_ID", purpose)
    client_secret = environment.required("INFISICAL_DRILL_CLIENT_SECRET", purpose)

    def open_vault() -> InfisicalWriter:
        return InfisicalWriter(
            url,
            client_id,
            client_secret,
            deletable_prefix=policy.vault_drill.throwaway_prefix,
            login_variables="INFISICAL_DRILL_CLIENT_",
            address_from="INFISICAL_DRILL_URL",
            timeout_seconds=policy.vault_export.timeout_seconds,
        )

    return open_vault


def vault_snapshot_doors(policy: Policy) -> VaultSnapshotDoors:
    """Lightsail, the manifests, and the export's own identity, which the restored database knows."""
    _require_worker_address(policy)
    login = environment.vault_login()
    return VaultSnapshotDoors(
        instances_door(policy),
        Snapshots(),
        environment.state_bucket(policy),
        sightings_of(policy),
        login.client_id,
        login.client_secret,
    )


def _require_worker_address(policy: Policy) -> None:
    if not policy.throwaway_instances.worker_cidr:
        raise UsageError(
            "throwaway_instances.worker_cidr is not set: nobody could be let in to the restored instance.",
            "Write the worker's own address into bcp.toml, such as 203.0.113.9/32.",
        )
