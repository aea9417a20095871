"""The clients of a drill that makes an instance, made from the environment and the policy."""

from __future__ import annotations

from raxx_bcp.clients.instances import Instances
from raxx_bcp.drills.hosts.requirements import WORKER_ADDRESS
from raxx_bcp.errors import UsageError
from raxx_bcp.policy import Policy


def instances_client(policy: Policy) -> Instances:
    """The client of this policy: it may make and delete its two restored instances, and nothing else."""
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
