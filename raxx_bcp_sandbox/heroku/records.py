"""What the stand-in remembers: apps, their databases, and transfers (Heroku's word for backups and restores).

Times are seconds since the epoch on the recorded clock. Names of databases and roles look like Heroku's.
"""

from __future__ import annotations

import random
import secrets
import string
import uuid
from typing import Final

import msgspec

PROVISIONING: Final = "provisioning"
PROVISIONED: Final = "provisioned"
DEPROVISIONED: Final = "deprovisioned"
"""The Platform API also uses this word for an add-on whose provisioning has failed."""
SERVICE: Final = "heroku-postgresql"
LOG_LINES_KEPT: Final = 2_000


class App(msgspec.Struct):
    """One app; ``team`` is empty for a personal one. ``config`` holds the config vars that somebody set by hand."""

    id: str
    name: str
    created_at: float
    region: str = "us"
    team: str = ""
    config: dict[str, str] = {}


class Addon(msgspec.Struct):
    """One Heroku Postgres database; its connection string has the server's current port."""

    id: str
    name: str
    app_id: str
    plan: str
    created_at: float
    ready_at: float
    database: str
    user: str
    password: str
    attachment: str
    attachment_id: str
    state: str = PROVISIONING

    def __repr__(self) -> str:
        return f"Addon({self.name!r}, {self.state!r})"


class Log(msgspec.Struct):
    """One line of a transfer's log."""

    created_at: float
    level: str
    message: str


class Transfer(msgspec.Struct):
    """One backup (``pg_dump`` to ``gof3r``) or restore (``htcat`` to ``pg_restore``)."""

    uuid: str
    num: int
    app_id: str
    addon_id: str
    backup: bool
    created_at: float
    from_url: str = ""
    to_url: str = ""
    source_bytes: int = 0
    processed_bytes: int = 0
    succeeded: bool | None = None
    warnings: int = 0
    started_at: float | None = None
    updated_at: float | None = None
    finished_at: float | None = None
    canceled_at: float | None = None
    deleted_at: float | None = None
    schedule: str | None = None
    logs: list[Log] = []

    def __repr__(self) -> str:
        return f"Transfer({self.num}, backup={self.backup}, succeeded={self.succeeded})"

    @property
    def good(self) -> bool:
        """Is it a backup that succeeded and is still kept?"""
        return self.backup and self.succeeded is True and self.deleted_at is None

    def say(self, moment: float, level: str, message: str) -> None:
        """Add a line to its log; the oldest lines are dropped."""
        self.logs = [*self.logs[-LOG_LINES_KEPT + 1 :], Log(moment, level, message)]


def new_id() -> str:
    """A random id."""
    return str(uuid.uuid4())


def new_app_name() -> str:
    """Such as ``quiet-harbour-48213``."""
    pick = random.choice
    adjectives, nouns = ("quiet", "pacific", "frozen", "glacial"), ("harbour", "meadow", "ridge", "tundra")
    return f"{pick(adjectives)}-{pick(nouns)}-{random.randrange(10_000, 100_000)}"  # noqa: S311


def new_addon_name() -> str:
    """Such as ``postgresql-cubic-48213``."""
    shape = random.choice(("cubic", "tetrahedral", "rigid", "spherical"))  # noqa: S311
    return f"postgresql-{shape}-{random.randrange(10_000, 100_000)}"  # noqa: S311


def new_database_name() -> str:
    """A database or role name as Heroku generates it, without its first letter."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(13))
