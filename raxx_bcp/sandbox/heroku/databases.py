"""The databases behind the add-ons: each has its own role, which owns it and is no superuser, as on Heroku."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql

from raxx_bcp.sandbox.heroku.records import Addon
from raxx_bcp.sandbox.postgres import Connection, PostgresServer
from raxx_bcp.sandbox.stand_in import LOOPBACK

CONNECTION_LIMIT: Final = 20
"""Of Heroku's essential plans."""
SCRATCH: Final = "scratch_"
"""How the names of databases begin that are no add-on's; their roles have the same names."""
_REFUSE_ROWS: Final = """
CREATE FUNCTION public.sandbox_refuse_rows() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE made record;
BEGIN
    FOR made IN SELECT objid FROM pg_event_trigger_ddl_commands()
                WHERE command_tag = 'CREATE TABLE' AND object_identity = 'public.{table}'
    LOOP
        EXECUTE format('REVOKE INSERT ON %s FROM {owner}', made.objid::regclass);
    END LOOP;
END $$;
CREATE EVENT TRIGGER sandbox_refuse_rows ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
    EXECUTE FUNCTION public.sandbox_refuse_rows();
"""
_ACCEPT_ROWS: Final = "DROP EVENT TRIGGER IF EXISTS sandbox_refuse_rows; DROP FUNCTION IF EXISTS sandbox_refuse_rows()"


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

    def drop(self, addon: Addon) -> None:
        """Drop its database, connections or not, and its role. Safe to run again."""
        with self.server.connect() as superuser:
            database, role = sql.Identifier(addon.database), sql.Identifier(addon.user)
            superuser.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
            superuser.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))

    def drop_scratch(self) -> None:
        """Drop what a stand-in that ended in the middle of its work has left of its scratch databases."""
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

    def add_extension(self, addon: Addon, name: str) -> bool:
        """Create an extension, by its owner where that is allowed; False when the server does not have it."""
        query = sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name))
        for connection in (self.connect(addon), self.server.connect(addon.database)):
            with connection:
                try:
                    connection.execute(query)
                except psycopg.Error:
                    continue
                return True
        return False

    def refuse_rows(self, addon: Addon, table: str) -> None:
        """See to it that the owner may not put a row into ``table`` once it has made it: ``COPY`` will be denied."""
        with self.server.connect(addon.database) as superuser:
            superuser.execute(_REFUSE_ROWS.format(table=table, owner=addon.user).encode())

    def accept_rows(self, addon: Addon) -> None:
        """Remove what ``refuse_rows`` put there; what it did to a table stays."""
        with self.server.connect(addon.database) as superuser:
            superuser.execute(_ACCEPT_ROWS.encode())

    def _number(self, query: str, database: str) -> int:
        with self.server.connect() as superuser:
            row = superuser.execute(query.encode(), [database]).fetchone()
        return int(row[0]) if row else 0
