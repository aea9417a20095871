"""The throwaway instance of the vault's snapshot: made, isolated, and entered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from raxx_bcp.clients.instances import Instances
from raxx_bcp.drills.drill import Drill
from raxx_bcp.drills.host import FromSnapshot, Host, make_host
from raxx_bcp.drills.isolation import isolate_and_assert
from raxx_bcp.drills.user_data import launch_script
from raxx_bcp.policy import Policy


class VaultHost(Protocol):
    """What the drill asks of an isolated instance."""

    def forward(self, port: int) -> AbstractContextManager[int]:
        """A local port that leads to the instance's own ``port``."""

    def require_reachable(self) -> None:
        """Raises ``BcpError`` where the instance itself can no longer be reached."""


class _Entered:
    def __init__(self, host: Host) -> None:
        self._host = host

    def forward(self, port: int) -> AbstractContextManager[int]:
        return self._host.forward(port)

    def require_reachable(self) -> None:
        self._host.script("answer", "true\n")


@contextlib.contextmanager
def entered(drill: Drill, instances: Instances, policy: Policy, snapshot: str, bundle: str) -> Iterator[VaultHost]:
    """Make the instance from ``snapshot``, and assert that it cannot act on the world.

    The lease is the drill's. Raises what ``make_host`` and ``isolate_and_assert`` raise.
    """
    promised, throwaway = policy.vault_drill, policy.throwaway_instances
    with contextlib.ExitStack() as stack:
        with drill.phase("provision"):
            host = stack.enter_context(
                make_host(
                    drill,
                    instances,
                    throwaway,
                    promised.restored_instance,
                    FromSnapshot(snapshot),
                    user_data=launch_script(drill.id, promised.quiet_units),
                    bundle=bundle,
                )
            )
        with drill.phase("isolate"):
            isolate_and_assert(drill, host, throwaway, promised.quiet_units)
        yield _Entered(host)
