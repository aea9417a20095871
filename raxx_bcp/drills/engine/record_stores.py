"""Where drills are put on record, made from the environment: the journal, the spool on this disk, the ledger."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from raxx_bcp import environment
from raxx_bcp.clock import Clock, utc_now
from raxx_bcp.drills.engine.journal import Journal
from raxx_bcp.drills.engine.record import LedgerRecorder
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.spool import Spool
from raxx_bcp.policy import Policy

STATE_VARIABLE: Final = "RAXX_BCP_STATE_DIR"


@dataclass(frozen=True)
class Record:
    """The places of a drill's record: the journal (its start), the spool (its row waits), the ledger (its row)."""

    journal: Journal
    spool: Spool
    ledger: Ledger

    def recorder(self) -> LedgerRecorder:
        """For ``run_drill``."""
        return LedgerRecorder(self.journal, self.ledger, self.spool)


def record_of(policy: Policy, clock: Clock = utc_now, sleep: Callable[[float], None] = time.sleep) -> Record:
    """The record in the state bucket. Rows that wait are on this machine's disk."""
    bucket, evidence = environment.state_bucket(policy), policy.evidence
    return Record(
        journal=Journal(bucket, f"{evidence.prefix.rstrip('/')}-started/"),
        spool=Spool(state_directory() / "evidence"),
        ledger=Ledger(bucket, evidence.prefix, evidence.retention_days, clock=clock, sleep=sleep),
    )


def state_directory(environ: Mapping[str, str] | None = None) -> Path:
    """Where this machine stores what has not reached S3 yet.

    ``$RAXX_BCP_STATE_DIR``, else beside Dagster's storage, else the user's own state directory (XDG Base Directory
    Specification).
    """
    environ = os.environ if environ is None else environ
    if environ.get(STATE_VARIABLE):
        return Path(environ[STATE_VARIABLE])
    if environ.get("DAGSTER_HOME"):
        return Path(environ["DAGSTER_HOME"]) / "raxx-bcp"
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "raxx-bcp"
