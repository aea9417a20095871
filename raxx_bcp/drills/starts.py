"""How each drill is started: its doors are opened, its order is written, and it is conducted.

The same functions for Dagster and for the command line, without Dagster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from raxx_bcp.drills.connections import freescout_doors, vault_export_doors, vault_snapshot_doors
from raxx_bcp.drills.engine.drill import Drill, Order
from raxx_bcp.drills.engine.run import Conducted, conduct
from raxx_bcp.drills.freescout import dump_drill, snapshot_drill
from raxx_bcp.drills.heroku_postgres import restore_drill as heroku
from raxx_bcp.drills.terraform_state import recovery_drill
from raxx_bcp.drills.vault import export_drill
from raxx_bcp.drills.vault import snapshot_drill as vault_snapshot
from raxx_bcp.resources import Raxx
from raxx_bcp.waiting import Progress


@dataclass(frozen=True)
class Asked:
    """Who asks for a drill, and how it came about."""

    operator: str
    keep: bool = False
    """Leave what was made standing until its lease ends; such a drill closes no card."""
    trigger: str = "manual"
    run_id: str = ""
    run_url: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The keywords that every ``order`` takes, beside its operator."""
        return {"keep": self.keep, "trigger": self.trigger, "run_id": self.run_id, "run_url": self.run_url}


def start_heroku_postgres(raxx: Raxx, asked: Asked, wanted: heroku.Wanted, progress: Progress) -> Conducted:
    """Raises ``UsageError`` where Heroku's key is missing; nothing was begun then."""
    policy = raxx.policy.heroku_postgres
    order = heroku.order(policy, asked.operator, wanted=wanted, **asked.as_dict())
    facts = raxx.facts()
    with raxx.heroku() as door:
        body = heroku.heroku_postgres
        return _conducted(raxx, order, lambda drill: body(drill, door, policy, wanted, facts), progress)


def start_freescout_snapshot(raxx: Raxx, asked: Asked, wanted: snapshot_drill.Wanted, progress: Progress) -> Conducted:
    """Tier 1. Raises ``UsageError`` where the policy does not say who may reach the throwaway instance."""
    policy = raxx.policy
    order = snapshot_drill.order(policy, asked.operator, wanted=wanted, **asked.as_dict())
    doors = freescout_doors(policy, raxx.record().ledger)
    body = snapshot_drill.freescout_snapshot
    return _conducted(raxx, order, lambda drill: body(drill, doors, policy, wanted), progress)


def start_freescout_dump(
    raxx: Raxx, asked: Asked, wanted: dump_drill.Wanted, progress: Progress, private_key: bytes | None = None
) -> Conducted:
    """Tier 2. ``private_key`` opens a set that is encrypted; None: the caller's own GnuPG keyring does."""
    policy = raxx.policy
    order = dump_drill.order(policy, asked.operator, wanted=wanted, **asked.as_dict())
    doors, bucket = freescout_doors(policy, raxx.record().ledger, private_key), raxx.dump_bucket()
    body = dump_drill.freescout_dump
    return _conducted(raxx, order, lambda drill: body(drill, doors, bucket, policy, wanted), progress)


def start_vault_export(
    raxx: Raxx,
    asked: Asked,
    wanted: export_drill.Wanted,
    progress: Progress,
    key: export_drill.DecryptionKey | None = None,
) -> Conducted:
    """``key`` None: what can be checked without the private key is checked, and the rest is NOT_RUN."""
    policy = raxx.policy
    order = export_drill.order(policy, asked.operator, wanted=wanted, **asked.as_dict())
    doors = vault_export_doors(policy, key)
    return _conducted(raxx, order, lambda drill: export_drill.vault_export(drill, doors, policy, wanted), progress)


def start_vault_snapshot(raxx: Raxx, asked: Asked, wanted: vault_snapshot.Wanted, progress: Progress) -> Conducted:
    """Raises ``UsageError`` where the export's identity is missing: the restored vault is read with it."""
    policy = raxx.policy
    order = vault_snapshot.order(policy, asked.operator, wanted=wanted, **asked.as_dict())
    doors = vault_snapshot_doors(policy)
    return _conducted(raxx, order, lambda drill: vault_snapshot.vault_snapshot(drill, doors, policy, wanted), progress)


def start_state_recovery(raxx: Raxx, asked: Asked, wanted: recovery_drill.Wanted, progress: Progress) -> Conducted:
    """Writes and deletes below the scratch prefix of the state bucket only."""
    policy = raxx.policy
    order = recovery_drill.order(policy, asked.operator, wanted=wanted, **asked.as_dict())
    doors = recovery_drill.doors_of(policy)
    return _conducted(raxx, order, lambda drill: recovery_drill.state_recovery(drill, doors, policy, wanted), progress)


def _conducted(raxx: Raxx, order: Order, body: Callable[[Drill], None], progress: Progress) -> Conducted:
    recorder = raxx.record().recorder()
    return conduct(order, body, recorder, clock=raxx.clock, sleep=raxx.sleep, progress=progress)
