"""A real PostgreSQL of a test's own, with a role that owns its databases and is no superuser."""

from __future__ import annotations

import contextlib
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import SecretStr

from raxx_bcp_sandbox.postgres import Connection, PostgresServer

OWNER = "u_app"


@dataclass(frozen=True)
class PostgresLab:
    """A running server. ``owner`` is a role as Heroku's are: it owns its databases and may not do more."""

    server: PostgresServer
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    owner: str = OWNER

    @property
    def data(self) -> Path:
        """Where its files are."""
        return self.server.data

    def url(self, database: str, *, user: str = "", password: str = "", port: int = 0) -> SecretStr:
        credentials = f"{user or self.owner}:{password or self.password}"
        return SecretStr(f"postgresql://{credentials}@127.0.0.1:{port or self.server.port}/{database}")

    def connect(self, database: str, *, superuser: bool = False) -> Connection:
        if superuser:
            return self.server.connect(database)
        return psycopg.connect(self.url(database).get_secret_value(), autocommit=True)

    def run(self, database: str, *statements: str, superuser: bool = False) -> None:
        with self.connect(database, superuser=superuser) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def create(self, database: str, *, template: str = "template1") -> SecretStr:
        """A new database of the owner's, empty or a copy of ``template``."""
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
        names = (sql.Identifier(name) for name in (database, template, self.owner))
        with self.connect("postgres", superuser=True) as connection:
            connection.execute(make.format(*names))
        return self.url(database)

    def drop(self, database: str) -> None:
        with self.connect("postgres", superuser=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))

    def tool(self, name: str, database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``pg_dump`` or ``pg_restore`` as the owner; anything but success is an error."""
        done = self.server.run(name, self.owner, self.password, f"--dbname={database}", *arguments)
        assert done.returncode == 0, done.stderr
        return done

    @contextlib.contextmanager
    def connection_limit(self, limit: int) -> Iterator[None]:
        """The owner may have so many connections at once."""
        self.run("postgres", f"ALTER ROLE {self.owner} CONNECTION LIMIT {limit}", superuser=True)
        try:
            yield
        finally:
            self.run("postgres", f"ALTER ROLE {self.owner} CONNECTION LIMIT -1", superuser=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def postgres_lab() -> Iterator[PostgresLab]:
    """Start one, and stop it."""
    with (
        tempfile.TemporaryDirectory(prefix="rb-pg-") as folder,
        PostgresServer(Path(folder), free_port()) as server,
    ):
        lab = PostgresLab(server)
        # Autovacuum at a moment of its own choosing would assign transaction ids and read tables.
        quiet = "ALTER SYSTEM SET autovacuum = off"
        lab.run("postgres", quiet, "SELECT pg_reload_conf()", superuser=True)
        lab.run("postgres", f"CREATE ROLE {lab.owner} LOGIN PASSWORD '{lab.password}'", superuser=True)
        yield lab
