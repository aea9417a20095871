"""The drill of the Terraform state, as the table of drills has it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from raxx_bcp.drills.engine.sweeper import Place
from raxx_bcp.drills.kind import Body, Kind, Promise
from raxx_bcp.drills.terraform_state.wanted import Wanted
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx


def _promise(policy: Policy) -> Promise:
    promised = policy.state_recovery
    return Promise(promised.rto_minutes, promised.rpo_hours, promised.lease_hours)


@contextlib.contextmanager
def _connect(raxx: Raxx, wanted: Wanted) -> Iterator[Body]:
    """Writes and deletes below the scratch prefix of the state bucket only."""
    from raxx_bcp.drills.terraform_state import recovery_drill

    connections = recovery_drill.connections_of(raxx.policy)
    yield lambda drill: recovery_drill.state_recovery(drill, connections, raxx.policy, wanted)


@contextlib.contextmanager
def _leftovers(policy: Policy) -> Iterator[Place]:
    from raxx_bcp.drills.terraform_state import recovery_drill
    from raxx_bcp.drills.terraform_state.leftovers import ScratchLeftovers

    yield ScratchLeftovers(recovery_drill.connections_of(policy), policy)


RECOVERY = Kind(
    name="state_recovery",
    system="terraform-state",
    summary="A state object overwritten and deleted in a scratch prefix, and recovered from its versions.",
    title=lambda policy: (
        f"a state object below `{policy.state_recovery.scratch_prefix}` overwritten, deleted, and recovered from "
        "its versions, byte by byte; real states are only listed"
    ),
    scenario=lambda policy, _wanted: f"a state file in {policy.state_bucket.name} overwritten, deleted and recovered",
    promise=_promise,
    checks=(
        "versioning",
        "real state is versioned",
        "damage",
        "version found",
        "content",
        "serial and lineage",
        "delete marker superseded",
        "real objects untouched",
        "restore time",
    ),
    wanted=Wanted,
    connect=_connect,
    leftovers=_leftovers,
    restores=("terraform_state_bucket",),
    icons=frozenset({"s3", "terraform"}),
    pool="state_recovery_drill",
)
