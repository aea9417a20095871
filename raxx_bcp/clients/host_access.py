"""A login to production's own hosts, for the copy guard: GetInstanceAccessDetails of named instances, nothing else.

A drill's client refuses production by name (``instances.py``); this one refuses everything else. It can make, change
and delete nothing at Lightsail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from raxx_bcp.clients.instance_shapes import Access, access_of
from raxx_bcp.clients.instances import make_client
from raxx_bcp.clients.lightsail_errors import lightsail_errors
from raxx_bcp.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

OPERATION: Final = "GetInstanceAccessDetails"


class HostAccess:
    """Logins to ``names``, through a boto3 client that is made on first use.

    Raises ``UsageError`` (another name, no credentials or region), ``TransientError``, ``CouldNotVerifyError``
    (denied), ``AbsentError``.
    """

    def __init__(self, names: Iterable[str], *, region: str = "", client: LightsailClient | None = None) -> None:
        self.names: Final = tuple(names)
        self._region = region
        self._given = client
        self._made: LightsailClient | None = None

    def access(self, name: str) -> Access:
        """A login that is good for a few minutes."""
        if name not in self.names:
            raise UsageError(f"{name} is no host with a copy guard.", f"Choose one of: {', '.join(self.names)}.")
        with lightsail_errors(f"get a login to instance {name}"):
            answer: Any = self._client.get_instance_access_details(instanceName=name, protocol="ssh")
        return access_of(answer["accessDetails"])

    @property
    def _client(self) -> LightsailClient:
        if self._made is None:
            self._made = self._given or make_client(self._region)
            self._made.meta.events.register("provide-client-params.lightsail", self._refuse)
        return self._made

    def _refuse(self, event_name: str, params: Mapping[str, Any], **_named: Any) -> None:
        """Check every call of the boto3 client itself, right before it is sent."""
        operation = event_name.rpartition(".")[2]
        if operation != OPERATION or params.get("instanceName") not in self.names:
            raise PermanentError(
                f"{operation} was refused before it was sent: this client only logs in to hosts with a copy guard.",
                "Nothing was changed. The request is a bug in the program.",
            )
