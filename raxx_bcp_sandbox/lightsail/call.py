"""One request as the handlers see it, and what nearly all handlers share."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from raxx_bcp_sandbox.lightsail.errors import invalid_input
from raxx_bcp_sandbox.lightsail.records import Instance, Snapshot
from raxx_bcp_sandbox.lightsail.world import World

PAGE: Final = 50
"""The page size: Lightsail accepts no size, and its own is not documented."""

Answer = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A request that was signed for ``region`` and whose ``parameters`` are valid by the model."""

    world: World
    region: str
    parameters: dict[str, Any]

    @property
    def now(self) -> float:
        """The resources' time."""
        return self.world.clock.now()

    def instance(self, parameter: str = "instanceName") -> Instance:
        """The instance that ``parameter`` names."""
        return self.world.instance(self.region, self.parameters[parameter])

    def snapshot(self) -> Snapshot:
        """The snapshot that ``instanceSnapshotName`` names."""
        return self.world.snapshot(self.region, self.parameters["instanceSnapshotName"])

    def page_start(self, kind: str, first: int) -> int:
        """The position that ``pageToken`` holds; ``first`` without one."""
        token = self.parameters.get("pageToken")
        return first if token is None else read_token(kind, token)


Handler = Callable[[Call], Answer]


def page_token(kind: str, position: int) -> str:
    """A token for the position after ``position`` in the list ``kind``; clients can only send it back."""
    return base64.urlsafe_b64encode(f"{kind}:{position}".encode()).decode()


def read_token(kind: str, token: str) -> int:
    """The position in a token. Raises InvalidInputException for a token of another list."""
    try:
        name, _, position = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(":")
        if name == kind:
            return int(position)
    except (ValueError, binascii.Error):
        pass
    raise invalid_input("The pageToken is not valid.", "Give back the nextPageToken of the page before, unchanged.")
