"""The client for PostgreSQL, read-only: every connection is one read-only transaction with bounded waits.

An error gives its SQLSTATE and what was tried. PostgreSQL's own texts are never shown: they can hold
rows ("Key (email)=(…) already exists"), the user and the address.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from raxx_bcp.clients.decoding import UNPARSABLE, emptied
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, UnreadableAnswerError

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.abc import QueryNoTemplate

APPLICATION_NAME: Final = "raxx-bcp-drill"
_SETTINGS: Final = {
    "default_transaction_read_only": "on",
    "max_parallel_workers_per_gather": "0",  # one process for each connection, and the caller limits those
    "row_security": "off",  # an error instead of silently missing rows
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",  # rows of two servers are compared as text
    "extra_float_digits": "1",
    "search_path": "pg_catalog",  # every other name is written with its schema, here and in PostgreSQL's answers
}
_DAMAGE: Final = ("XX", "58", "22")
"""SQLSTATE classes (PostgreSQL, appendix A) in which stored data cannot be read: internal error and corruption,
system error, data exception."""
_ENCRYPTED: Final = frozenset({"require", "verify-ca", "verify-full"})
_CONNECT_REASONS: Final = (
    ("password authentication failed", "the password or the user is wrong"),
    ("no password supplied", "no password was given"),
    ("no pg_hba.conf entry", "it does not admit this user from here"),
    ("does not support SSL", "it does not speak TLS"),
    ("certificate", "its certificate is not trusted here"),
    ("timeout expired", "it did not answer in time"),
    ("timed out", "it did not answer in time"),
    ("Connection refused", "nothing listens there"),
    ("resolve", "its name is not known to DNS"),
    ("Name or service not known", "its name is not known to DNS"),
    ("does not exist", "the database or the user does not exist"),
    ("starting up", "it is starting up"),
    ("shutting down", "it is shutting down"),
)
_TOO_MANY: Final = ("too many", "remaining connection slots")


@dataclass(frozen=True)
class Limits:
    """How long anything may take, in seconds."""

    connect_seconds: int = 15
    statement_seconds: float = 300.0
    lock_seconds: float = 10.0
    """How long to wait for a table that a migration has locked."""
    idle_seconds: float = 120.0
    """PostgreSQL ends our idle transaction after this time, so that no abandoned snapshot stays on production."""
    grace_seconds: float = 15.0
    """How long after ``statement_seconds`` to hang up on a server that ignores its own timeout."""


class DamagedError(PermanentError):
    """PostgreSQL cannot read what it has stored."""


class NoConnectionLeftError(CouldNotVerifyError):
    """The database has no free connection for us."""


class Reader:
    """One connection in one REPEATABLE READ, READ ONLY transaction. Use as a context manager, in one thread.

    ``snapshot`` joins the moment that another reader exports with ``share``. Raises ``CouldNotVerifyError`` when
    the database cannot be reached, denies or takes too long, ``DamagedError`` when it cannot read its own data.
    """

    def __init__(self, url: SecretStr, limits: Limits | None = None, *, snapshot: str = "") -> None:
        self.limits = limits or Limits()
        self._snapshot = snapshot
        self._connection = _connect(url, self.limits)
        try:
            self._begin()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return "Reader()"

    def rows(self, query: QueryNoTemplate, action: str) -> list[tuple[Any, ...]]:
        """Every row of ``query``. ``action`` says in an error what was tried: "count the rows of orders"."""
        with self._watched(action), _postgres_errors(action):
            return self._connection.execute(query).fetchall()

    def share(self) -> str:
        """The name of this transaction's snapshot, which other readers can join while this one is open."""
        return str(self.rows("SELECT pg_export_snapshot()", "share the moment of the look")[0][0])

    def begin_again(self) -> None:
        """Start a new transaction after an error, at the same shared moment where there is one."""
        with _postgres_errors("end a transaction"):
            self._connection.rollback()
        self._begin()

    def hang_up(self) -> None:
        """Called from another thread: any wait ends at once, as a lost connection."""
        with contextlib.suppress(Exception):
            self._connection.cancel_safe(timeout=2.0)
        with contextlib.suppress(Exception), socket.socket(fileno=os.dup(self._connection.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the transaction and the connection."""
        with contextlib.suppress(Exception):
            self._connection.close()

    def _begin(self) -> None:
        from psycopg import IsolationLevel, sql

        with _postgres_errors("begin a read-only transaction"):
            self._connection.isolation_level = IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
        if self._snapshot:
            join = sql.SQL("SET TRANSACTION SNAPSHOT {}").format(self._snapshot)
            with self._watched("join a snapshot"), _postgres_errors("join a snapshot"):
                self._connection.execute(join)

    @contextlib.contextmanager
    def _watched(self, action: str) -> Iterator[None]:
        """Hang up on a server that has frozen: it does not keep its own timeouts."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self.hang_up()

        watch = threading.Timer(self.limits.statement_seconds + self.limits.grace_seconds, end)
        watch.daemon = True
        watch.start()
        try:
            yield
        except BcpError:
            if late.is_set():
                raise _too_slow(action) from None
            raise
        finally:
            watch.cancel()


def parameters(url: SecretStr, limits: Limits) -> dict[str, Any]:
    """libpq's parameters for ``url``: encrypted unless it is on this machine, with every limit set.

    Raises ``PermanentError`` without showing the address.
    """
    from psycopg import ProgrammingError, conninfo

    try:
        given: dict[str, Any] = dict(conninfo.conninfo_to_dict(url.get_secret_value()))
    except ProgrammingError:
        raise PermanentError(
            "The database's address cannot be read.", "It must be a postgresql:// URL: look at the app's DATABASE_URL."
        ) from None
    if not given.get("host") or not given.get("dbname"):
        raise PermanentError(
            "The database's address names no host or no database.", "Look at the app's DATABASE_URL in Heroku."
        )
    settings = _SETTINGS | {
        "statement_timeout": _milliseconds(limits.statement_seconds),
        "lock_timeout": _milliseconds(limits.lock_seconds),
        "idle_in_transaction_session_timeout": _milliseconds(limits.idle_seconds),
    }
    if given.get("sslmode") not in _ENCRYPTED and not _is_here(str(given.get("hostaddr") or given["host"])):
        given["sslmode"] = "require"
    return given | {
        "application_name": APPLICATION_NAME,
        "connect_timeout": str(limits.connect_seconds),
        "keepalives_idle": "20",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
    }


def _connect(url: SecretStr, limits: Limits) -> Connection[tuple[Any, ...]]:
    import psycopg

    named = parameters(url, limits)
    try:
        return psycopg.connect("", **named, prepare_threshold=None)
    except (psycopg.Error, ValueError) as error:
        refused = _connect_refusal(str(error))
        emptied(error)
        raise refused from None


def _connect_refusal(text: str) -> BcpError:
    if any(phrase in text for phrase in _TOO_MANY):
        return NoConnectionLeftError(
            "The database has no connection left for a look at it.",
            "Wait until its app uses fewer, or lower the number of connections in bcp.toml, then try again.",
        )
    reason = next((said for phrase, said in _CONNECT_REASONS if phrase in text), "the reason is not one of the known")
    return CouldNotVerifyError(
        f"The database cannot be connected to: {reason}.",
        "Check that it is up, that its address in the app's config is current, and that this host may reach it.",
    )


@contextlib.contextmanager
def _postgres_errors(action: str) -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        sqlstate = error.sqlstate or ""
        emptied(error)
        raise _translated(sqlstate, action) from None
    except UNPARSABLE as error:
        raise UnreadableAnswerError(
            f"What PostgreSQL answered when asked to {action} cannot be read ({emptied(error)}).",
            "Look for a proxy in between, and at the database's encoding; then try again.",
        ) from None


def _translated(sqlstate: str, action: str) -> BcpError:
    if sqlstate.startswith(_DAMAGE):
        return DamagedError(
            f"PostgreSQL cannot read what it has stored, when asked to {action} (SQLSTATE {sqlstate}).",
            "Look at the server's log: this database is damaged there.",
        )
    if sqlstate == "57014":
        return _too_slow(action)
    if sqlstate == "42501":
        return CouldNotVerifyError(
            f"PostgreSQL denies this user to {action} (SQLSTATE {sqlstate}).",
            "Use the credentials of the role that owns the tables.",
        )
    if sqlstate == "55P03":
        return CouldNotVerifyError(
            f"PostgreSQL could not {action}: something else has it locked (SQLSTATE {sqlstate}).",
            "Let the migration or the VACUUM FULL end, then try again.",
        )
    if not sqlstate or sqlstate.startswith(("08", "57")):
        return CouldNotVerifyError(
            f"The connection to PostgreSQL was lost when it was asked to {action}"
            f"{f' (SQLSTATE {sqlstate})' if sqlstate else ''}.",
            "Check that the server is up, then try again.",
        )
    return CouldNotVerifyError(
        f"PostgreSQL could not {action} (SQLSTATE {sqlstate}).",
        "Look that code up in PostgreSQL's appendix A; a migration at the same moment does this too.",
    )


def _too_slow(action: str) -> CouldNotVerifyError:
    return CouldNotVerifyError(
        f"PostgreSQL took too long to {action}, and was stopped.",
        "Raise the statement timeout in bcp.toml, or try again when the database is less busy.",
    )


def _is_here(hosts: str) -> bool:
    """Is every one of libpq's comma-separated hosts this machine? A path is a Unix socket."""
    return all(_is_loopback(host) for host in hosts.split(","))


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
