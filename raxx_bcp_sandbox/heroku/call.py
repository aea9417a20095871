"""One request as the handlers see it, and what they may answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raxx_bcp_sandbox.heroku.errors import invalid
from raxx_bcp_sandbox.heroku.records import Addon, App
from raxx_bcp_sandbox.heroku.world import World


@dataclass(frozen=True)
class Reply:
    """JSON with a status."""

    body: Any
    status: int = 200


@dataclass(frozen=True)
class Listing:
    """A list of the Platform API; ``Range`` may request a part of it."""

    items: list[dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """A request: its account and its fields. ``base_url`` is the address that the client used."""

    world: World
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any] = field(repr=False)
    base_url: str

    @property
    def app(self) -> App:
        """The app that the path names. Raises 404."""
        return self.world.app(self.path["app"])

    @property
    def database(self) -> Addon:
        """The database that the path names. Raises 404."""
        return self.world.addon(self.path["database"])

    def text(self, name: str, default: str = "") -> str:
        """A text field of the body. Raises 422."""
        return _text(self.body, name, default)

    def text_in(self, parent: str, name: str, default: str = "") -> str:
        """A field of an object in the body, such as ``plan.name``. Raises 422."""
        inner = self.body.get(parent)
        if inner is None:
            return default
        if isinstance(inner, str):  # {"plan": "heroku-postgresql:essential-0"} is the short form of plan.name
            return inner
        if not isinstance(inner, dict):
            raise invalid(f"Invalid value for {parent}")
        return _text(inner, name, default)


def _text(fields: Mapping[str, Any], name: str, default: str) -> str:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise invalid(f"Invalid value for {name}")
    return value


Handler = Callable[[Call], Reply | Listing]
