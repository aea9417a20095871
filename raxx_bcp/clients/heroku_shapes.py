"""The answers of Heroku's two APIs as frozen types. No field holds an address with credentials in clear text.

``from_url``, ``to_url`` and ``resource_url`` are never decoded: what is not there cannot leak.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from pydantic import SecretStr

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)*")
_KNOWN_REASONS: Final = (
    "aborting because of server version mismatch",
    "could not read from input file: end of file",
    "does not appear to be a valid archive",
    "found unexpected block ID",
    "input file is too short",
    "no space left on device",
    "out of memory",
    "permission denied",
    "server closed the connection unexpectedly",
    "terminating connection",
    "unexpected end of file",
    "unrecognized configuration parameter",
    "unsupported version",
    "already exists",
    "does not exist",
    "is not available",
    "violates foreign key constraint",
    "duplicate key value",
)

_HEROKUS_OWN: Final = frozenset(
    {
        "no space left on device",
        "out of memory",
        "server closed the connection unexpectedly",
        "terminating connection",
    }
)
"""Reasons that concern the server that a dump is restored into, and not the dump."""


class AppRef(msgspec.Struct, frozen=True):
    """An app as other things refer to it."""

    id: str
    name: str


class _Region(msgspec.Struct):
    name: str = ""


class _Team(msgspec.Struct):
    name: str = ""


class RawApp(msgspec.Struct):
    """An app as the Platform API returns it."""

    id: str
    name: str
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    region: _Region | None = None
    team: _Team | None = None

    def __post_init__(self) -> None:
        """Refuse a time without a UTC offset while decoding: it is reported as an answer that is not the API's."""
        self.created_at.astimezone(UTC)

    def told(self) -> App:
        return App(
            id=self.id,
            name=self.name,
            created_utc=self.created_at.astimezone(UTC),
            region=self.region.name if self.region else "",
            team=self.team.name if self.team else "",
        )


@dataclass(frozen=True)
class App:
    """One app. ``team`` is empty for a personal one."""

    id: str
    name: str
    created_utc: datetime
    region: str = ""
    team: str = ""


class _Plan(msgspec.Struct):
    name: str = ""


class RawAddon(msgspec.Struct):
    """An add-on, as itself or inside an attachment."""

    id: str
    name: str
    app: AppRef
    plan: _Plan | None = None
    state: str = ""

    def told(self) -> Database:
        return Database(self.id, self.name, self.app.id, self.app.name, self.plan.name if self.plan else "")


class RawAttachment(msgspec.Struct):
    """One add-on under one name in one app, which may differ from the add-on's own app."""

    name: str
    addon: RawAddon
    app: AppRef


@dataclass(frozen=True)
class Database:
    """One Heroku Postgres add-on and the app that **owns** it (an attachment may show it in another app)."""

    id: str
    name: str
    app_id: str
    app_name: str
    plan: str = ""


class WaitState(enum.StrEnum):
    """How far a new database has come."""

    WAITING = "waiting"
    READY = "ready"
    ERROR = "error"


@dataclass(frozen=True)
class WaitStatus:
    """``message`` is Heroku's own word, such as ``preparing`` or ``available``."""

    state: WaitState
    message: str


class RawWait(msgspec.Struct):
    """The Data API's answer to ``wait_status``. Its message is always there: without one it would read as ready."""

    message: str
    waiting: bool = msgspec.field(default=False, name="waiting?")
    error: bool = msgspec.field(default=False, name="error?")

    def told(self) -> WaitStatus:
        state = WaitState.ERROR if self.error else WaitState.WAITING if self.waiting else WaitState.READY
        return WaitStatus(state, self.message)


class _Info(msgspec.Struct):
    name: str
    values: list[Any] = []


class RawDatabaseInfo(msgspec.Struct):
    """What ``pg:info`` shows; ``resource_url`` is left out on purpose."""

    plan: str
    num_bytes: int
    info: list[_Info] = []
    num_tables: int | None = None
    postgres_version: str = ""

    def told(self) -> DatabaseInfo:
        said = {one.name: str(one.values[0]) for one in self.info if one.values}
        version = _NUMBER.search(said.get("PG Version", "") or self.postgres_version)
        return DatabaseInfo(
            plan=self.plan,
            num_bytes=self.num_bytes,
            postgres_version=version.group() if version else "",
            status=said.get("Status", ""),
            num_tables=self.num_tables,
        )


@dataclass(frozen=True)
class DatabaseInfo:
    """``plan`` has no service in front (``essential-0``); ``postgres_version`` reads ``17.4``, or is empty."""

    plan: str
    num_bytes: int
    postgres_version: str
    status: str = ""
    num_tables: int | None = None

    @property
    def postgres_major(self) -> str:
        """Such as ``17``, as ``create_database`` takes it; empty when not reported."""
        return self.postgres_version.partition(".")[0]


class TransferState(enum.StrEnum):
    """How far a transfer has come. A success with warnings is a success: see ``Transfer.warnings``."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class _Schedule(msgspec.Struct):
    uuid: str = ""


class _Log(msgspec.Struct):
    message: str = ""
    level: str = ""


class RawTransfer(msgspec.Struct):
    """A transfer as the Data API returns it. Times look like ``2020-12-13 16:22:59 +0000``."""

    uuid: str
    num: int
    from_type: str
    to_type: str
    from_name: str = ""
    to_name: str = ""
    source_bytes: int | None = None
    processed_bytes: int | None = None
    succeeded: bool | None = None
    warnings: int | None = None
    created_at: str | None = None
    started_at: str | None = None
    canceled_at: str | None = None
    finished_at: str | None = None
    deleted_at: str | None = None
    purged_at: str | None = None
    schedule: _Schedule | None = None
    logs: list[_Log] = []

    def __post_init__(self) -> None:
        """Refuse unreadable times while decoding, so that they are reported as an answer that is not the API's."""
        for moment in (self.created_at, self.started_at, self.canceled_at, self.finished_at):
            utc(moment)

    def told(self) -> Transfer:
        return Transfer(
            uuid=self.uuid,
            num=self.num,
            from_type=self.from_type,
            to_type=self.to_type,
            from_name=self.from_name,
            to_name=self.to_name,
            source_bytes=self.source_bytes,
            processed_bytes=self.processed_bytes or 0,
            succeeded=self.succeeded,
            warnings=self.warnings or 0,
            created_utc=utc(self.created_at),
            started_utc=utc(self.started_at),
            canceled_utc=utc(self.canceled_at),
            finished_utc=utc(self.finished_at),
            kept=self.deleted_at is None and self.purged_at is None,
            scheduled=self.schedule is not None,
            logs=tuple(log.message for log in self.logs),
        )


@dataclass(frozen=True)
class Transfer:
    """One backup, restore or copy. ``source_bytes`` is the database's size, ``processed_bytes`` the dump's."""

    uuid: str
    num: int
    from_type: str
    to_type: str
    from_name: str
    to_name: str
    source_bytes: int | None
    processed_bytes: int
    succeeded: bool | None
    warnings: int
    created_utc: datetime | None
    started_utc: datetime | None
    canceled_utc: datetime | None
    finished_utc: datetime | None
    kept: bool
    """Does Heroku still have it?"""
    scheduled: bool
    logs: tuple[str, ...] = field(default=(), repr=False)
    """``pg_restore``'s own lines, only where requested. They may hold restored rows: show ``reasons`` instead."""

    @property
    def is_backup(self) -> bool:
        return (self.from_type, self.to_type) == ("pg_dump", "gof3r")

    @property
    def is_restore(self) -> bool:
        return self.to_type == "pg_restore" and self.from_type != "pg_dump"

    @property
    def state(self) -> TransferState:
        """Uses ``finished_at``; only ``succeeded: true`` is a success."""
        if self.canceled_utc is not None:
            return TransferState.CANCELED
        if self.finished_utc is None:
            return TransferState.RUNNING
        return TransferState.SUCCEEDED if self.succeeded is True else TransferState.FAILED

    @property
    def restorable(self) -> bool:
        """Is it a backup that succeeded and that Heroku still keeps?"""
        return self.is_backup and self.state is TransferState.SUCCEEDED and self.kept

    @property
    def label(self) -> str:
        """The CLI's name for it: ``b003`` by hand, ``a003`` by schedule, ``r003`` a restore, ``c003`` a copy."""
        if self.to_type == "pg_restore":
            letter = "c" if self.from_type == "pg_dump" else "r"
        else:
            letter = "a" if self.scheduled else "b"
        return f"{letter}{self.num:03}"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Phrases of PostgreSQL's tools that its log holds, from a fixed list: never a line of the log itself."""
        text = "\n".join(self.logs)
        return tuple(reason for reason in _KNOWN_REASONS if reason in text)

    @property
    def lies_with_heroku(self) -> bool:
        """If it names any reasons, do all of them concern the server and none the dump?"""
        return bool(self.reasons) and _HEROKUS_OWN.issuperset(self.reasons)


@dataclass(frozen=True)
class SignedUrl:
    """An address from which anybody who knows it can fetch a backup, for an hour."""

    url: SecretStr
    expires_utc: datetime | None


class RawSignedUrl(msgspec.Struct):
    """The Data API's answer to ``public-url``."""

    url: str
    expires_at: str | None = None

    def __post_init__(self) -> None:
        utc(self.expires_at)

    def told(self) -> SignedUrl:
        return SignedUrl(SecretStr(self.url), utc(self.expires_at))


class ConfigVars(Mapping[str, str]):
    """An app's config vars. Its ``repr`` shows their names only."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"ConfigVars({', '.join(sorted(self._values))})"


def utc(text: str | None) -> datetime | None:
    """The Data API's ``2020-12-13 16:22:59 +0000``, or ISO 8601. Raises ``ValueError`` without an offset."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
    if moment.tzinfo is None:
        raise ValueError("a time without its offset")
    return moment.astimezone(UTC)
