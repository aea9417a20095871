"""The throwaway instance of the vault's snapshot: make it, isolate it, log in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from raxx_bcp.clients.instances import Instances
from raxx_bcp.clients.ssh import CommandFailedError
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.hosts.admission import Admission
from raxx_bcp.drills.hosts.host import FromSnapshot, Host, make_host
from raxx_bcp.drills.hosts.isolation import isolate_and_assert
from raxx_bcp.drills.hosts.launch_script import launch_script
from raxx_bcp.drills.hosts.silence import assert_silent
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.policy import Policy

STILL_ISOLATED: Final = "isolation, with Infisical started"
"""Docker puts its own firewall rules before all others."""


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
def entered(
    drill: Drill, instances: Instances, policy: Policy, snapshot: str, bundle: str, admission: Admission
) -> Iterator[VaultHost]:
    """Make the instance from ``snapshot``, and assert that it cannot act on the world.

    The lease is the drill's. Raises what ``make_host``, ``assert_silent`` and ``isolate_and_assert`` raise.
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
                    admission=admission,
                )
            )
        with drill.phase("isolate"):
            assert_silent(drill, host, guarded=host.guarded)
            isolate_and_assert(drill, host, throwaway, promised.quiet_units)
            if host.guarded:
                _start_behind_closed_egress(drill, host, promised.start_units)
                isolate_and_assert(drill, host, throwaway, promised.quiet_units, name=STILL_ISOLATED)
        yield _Entered(host)


def _start_behind_closed_egress(drill: Drill, host: Host, units: Sequence[str]) -> None:
    """The guard has kept Infisical from starting: its secret rotations and syncs would run against real systems."""
    try:
        host.run("start Infisical behind closed egress", ("copy-guard", "start", *units))
    except CommandFailedError as error:
        raise CouldNotVerifyError(
            f"{host.name} did not start {', '.join(units)} behind closed egress (exit code {error.exit_code}).",
            "Name in vault_drill.start_units what starts Infisical there, and what the guard's list calls on-demand "
            "(deploy/copy-guard/lists/vault); then start the drill again.",
        ) from None
    drill.isolation.append(f"started by the drill behind closed egress: {', '.join(units)}")
