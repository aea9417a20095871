"""The databases behind the add-ons: each has its own role, which owns it and is not a superuser, as on Heroku.

``administrator.py`` makes what belongs to Heroku's administrator in each of them.
"""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql

from raxx_bcp_sandbox.heroku import administrator
from raxx_bcp_sandbox.heroku.administrator import HEROKU_EXT
from raxx_bcp_sandbox.heroku.records import Addon
from raxx_bcp_sandbox.postgres import Connection, PostgresServer
from raxx_bcp_sandbox.stand_in import LOOPBACK

CONNECTION_LIMIT: Final = 20
"""Of Heroku's essential plans."""
SCRATCH: Final = "scratch_"
"""The prefix of the names of databases that belong to no add-on; their roles have the same names."""


class Databases:
    """Makes, measures and drops them on one server."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server

    def create(self, addon: Addon) -> None:
        """Make the add-on's role and its empty database."""
        role, database = sql.Identifier(addon.user), sql.Identifier(addon.database)
        with self.server.connect() as superuser:
            superuser.execute(
                sql.SQL(
                    "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT {} PASSWORD {}"
                ).format(role, sql.Literal(CONNECTION_LIMIT), sql.Literal(addon.password))
            )
            superuser.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
            superuser.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
            path = sql.SQL('ALTER DATABASE {} SET search_path = "$user", public, {}')
            superuser.execute(path.format(database, sql.Identifier(HEROKU_EXT)))
        with self.server.connect(addon.database) as superuser:
            superuser.execute(administrator.SET_UP.format(owner=addon.user).encode())

    def drop(self, addon: Addon) -> None:
        """Drop its database, connections or not, and its role. Safe to run again."""
        with self.server.connect() as superuser:
            database, role = sql.Identifier(addon.database), sql.Identifier(addon.user)
            superuser.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
            superuser.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))

    def drop_scratch(self) -> None:
        """Drop the scratch databases that a stand-in left when it ended in the middle of its work."""
        with self.server.connect() as superuser:
            found = superuser.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [SCRATCH])
            for (database,) in found.fetchall():
                superuser.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
                superuser.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(database)))

    def connect(self, addon: Addon) -> Connection:
        """A connection as its owner."""
        return self.server.connect(addon.database, user=addon.user, password=addon.password)

    def url(self, addon: Addon) -> str:
        """Its connection string, as Heroku writes it."""
        return f"postgres://{addon.user}:{addon.password}@{LOOPBACK}:{self.server.port}/{addon.database}"

    def size_bytes(self, addon: Addon) -> int:
        """How large it is on disk."""
        return self._number("SELECT pg_database_size(%s)", addon.database)

    def connections(self, addon: Addon) -> int:
        """How many connections it has now."""
        return self._number("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", addon.database)

    def table_count(self, addon: Addon) -> int:
        """How many tables it has."""
        with self.server.connect(addon.database) as superuser:
            row = superuser.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            ).fetchone()
        return int(row[0]) if row else 0

    def add_extension(self, addon: Addon, name: str, *, schema: str = HEROKU_EXT, version: str = "") -> bool:
        """Create an extension as the superuser, in any schema; False when the server does not have it.

        The default version is the server's own. An existing extension is left as it is.
        """
        query = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {}").format(*map(sql.Identifier, (name, schema)))
        if version:
            query += sql.SQL(" VERSION {}").format(sql.Literal(version))
        with self.server.connect(addon.database) as superuser:
            make = sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}")
            superuser.execute(make.format(*map(sql.Identifier, (schema, addon.user))))
            try:
                superuser.execute(query)
            except psycopg.Error:
                return False
        return True

    def refuse_object(self, addon: Addon, tag: str, identity: str) -> None:
        """Make the server deny ``tag`` (``CREATE TYPE``) for the object ``identity`` (``public.mood``)."""
        with self.server.connect(addon.database) as superuser:
            superuser.execute(administrator.REFUSE_OBJECT.format(tag=tag, identity=identity).encode())

    def refuse_rows(self, addon: Addon, table: str) -> None:
        """Make the server deny the owner ``COPY`` into ``table`` once the owner has created it."""
        with self.server.connect(addon.database) as superuser:
            superuser.execute(administrator.REFUSE_ROWS.format(table=table, owner=addon.user).encode())

    def accept(self, addon: Addon) -> None:
        """Remove the rule of ``refuse_rows`` or ``refuse_object``; its effect on a table stays."""
        with self.server.connect(addon.database) as superuser:
            superuser.execute(administrator.ACCEPT.encode())

    def _number(self, query: str, database: str) -> int:
        with self.server.connect() as superuser:
            row = superuser.execute(query.encode(), [database]).fetchone()
        return int(row[0]) if row else 0
