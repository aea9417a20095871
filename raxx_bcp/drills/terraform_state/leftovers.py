"""Scratch objects that a killed drill left in the state bucket, found by the drill's id in their keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from raxx_bcp.clients.s3_settings import MfaDelete
from raxx_bcp.drills.engine.sweeper import Leftover
from raxx_bcp.drills.terraform_state.recovery_drill import Connections, begun_utc, scratch_lease
from raxx_bcp.policy import Policy


@dataclass
class ScratchLeftovers:
    """Everything below the scratch prefix whose key holds the id of such a drill. Leaves all else alone."""

    connections: Connections
    policy: Policy
    name: str = "state bucket"

    def leftovers(self) -> Iterator[Leftover]:
        """Raises what the client raises."""
        for_good = self.connections.settings.versioning().mfa_delete is MfaDelete.ENABLED
        lease_time = timedelta(hours=self.policy.state_recovery.lease_hours)
        for drill_id in self.connections.surroundings.scratch_drill_ids(current_only=for_good):
            if not drill_id.startswith("state_recovery-"):
                continue
            try:
                begun = begun_utc(drill_id)
            except ValueError:
                continue  # digits that are not a time: not a drill of ours
            lease = scratch_lease(self.connections.scratch(drill_id), for_good=for_good)
            yield Leftover(lease, begun, begun + lease_time, drill_id=drill_id)
