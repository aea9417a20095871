"""The resources of an asset: the policy, a clock, and clients made when they are used.

Endpoints and credentials are read from the environment inside the step, never through Dagster's config:
so no secret can be shown in the UI, printed by ``repr`` or stored with a run (docs/decisions/0004). The rooms are
imported there too: code that loads the definitions does not need them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raxx_bcp import environment
from raxx_bcp.clock import Clock, utc_now
from raxx_bcp.policy import Policy

if TYPE_CHECKING:
    from raxx_bcp.clients.heroku import Heroku
    from raxx_bcp.clients.s3 import Bucket
    from raxx_bcp.clients.s3_dump_removal import DumpRemoval
    from raxx_bcp.clients.slack import Slack
    from raxx_bcp.drills.engine.record_stores import Record
    from raxx_bcp.drills.heroku_postgres.stored_facts import FactsStore
    from raxx_bcp.snapshots.run import SnapshotConnections
    from raxx_bcp.vault.export import ExportConnections
    from raxx_bcp.vault.keys import OperatorKey


@dataclass(frozen=True)
class Raxx:
    """The company as its assets see it. Each method raises ``UsageError`` for a missing variable."""

    policy: Policy
    clock: Clock = utc_now
    sleep: Callable[[float], None] = time.sleep

    def export_connections(self) -> ExportConnections:
        """The vault, the bucket, and the optional second identity and second bucket."""
        from raxx_bcp.vault.connections import export_connections

        return export_connections(self.policy)

    def operator_key(self) -> OperatorKey:
        """The operator's public key and its pinned fingerprint."""
        from raxx_bcp.vault.keys import operator_key

        return operator_key(self.policy.vault_export.gpg_fingerprint)

    def state_bucket(self) -> Bucket:
        """The bucket of Terraform's state and of the exports."""
        return environment.state_bucket(self.policy)

    def dump_bucket(self) -> Bucket:
        """The bucket of FreeScout's dump sets."""
        return environment.dump_bucket(self.policy)

    def dump_removal(self) -> DumpRemoval:
        """The client that removes dump sets that the policy no longer keeps."""
        return environment.dump_removal(self.policy)

    def snapshot_connections(self) -> SnapshotConnections:
        """The snapshots of the instances' region, and those of the copies' region where the policy names one."""
        from raxx_bcp.snapshots.connections import snapshot_connections

        return snapshot_connections(self.policy)

    def heroku(self) -> Heroku:
        """The client for Heroku, with the key of the drills."""
        from raxx_bcp.drills.heroku_postgres.connections import heroku_client

        return heroku_client(self.policy)

    def facts(self) -> FactsStore:
        """The store for facts of the customer database."""
        from raxx_bcp.drills.heroku_postgres.connections import facts_store

        return facts_store(self.policy)

    def record(self) -> Record:
        """The store for the record of drills."""
        from raxx_bcp.drills.engine.record_stores import record_of

        return record_of(self.policy, self.clock, self.sleep)

    def slack(self) -> Slack:
        """The client for alerts."""
        from raxx_bcp.clients.slack import DEFAULT_API_URL, Slack

        token = environment.required("SLACK_BOT_TOKEN", "the bot that sends alerts")
        return Slack(token, os.environ.get("SLACK_API_URL") or DEFAULT_API_URL)
