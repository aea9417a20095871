"""What a drill that makes an instance is given, made from the environment and the policy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from raxx_bcp.clients.instances import Instances
from raxx_bcp.drills.engine.sweeper import Place
from raxx_bcp.drills.hosts.leftovers import InstanceLeftovers
from raxx_bcp.drills.kind import Requirement
from raxx_bcp.errors import UsageError
from raxx_bcp.policy import Policy

WORKER_ADDRESS: Final = Requirement(
    "throwaway_instances.worker_cidr",
    lambda policy: policy.throwaway_instances.worker_cidr,
    "Write the worker's own address into bcp.toml, such as 203.0.113.9/32.",
)


def instances_door(policy: Policy) -> Instances:
    """The door of this policy: its two restored instances may be made and deleted, and nothing else."""
    return Instances(
        names=(policy.freescout.restored_instance, policy.vault_drill.restored_instance),
        protected=(policy.freescout.instance, policy.vault_snapshot.instance),
    )


def require_worker_address(policy: Policy) -> None:
    """Raises ``UsageError`` where the policy does not say who may reach the throwaway instance."""
    if not WORKER_ADDRESS.value(policy):
        raise UsageError(
            f"{WORKER_ADDRESS.setting} is not set: nobody could be let in to the restored instance.",
            WORKER_ADDRESS.remedy,
        )


@contextlib.contextmanager
def leftover_instances(policy: Policy) -> Iterator[Place]:
    """Throwaway instances in the drills' region."""
    yield InstanceLeftovers(instances_door(policy))
