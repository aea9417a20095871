"""A production database as an application with Alembic has it, and a faithful restore of it to break copies of."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from raxx_bcp.clients.postgres import APPLICATION_NAME, Limits
from raxx_bcp.drills.heroku_postgres.database import Facts, actual_from, expected_from
from raxx_bcp_sandbox.postgres import Connection
from raxx_bcp_tests.clients.postgres_lab import PostgresLab, postgres_lab

BACKUP_CREATED = datetime(2024, 6, 1, 6, 0, tzinfo=UTC)
BACKUP_FINISHED = datetime(2024, 6, 1, 6, 2, tzinfo=UTC)
MARK = "rxs_row_content"
PRODUCTION, RESTORED = "production", "restored"

SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('9f2c41d07a3e');

CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE users (
    id bigserial PRIMARY KEY,
    email citext NOT NULL UNIQUE,
    state varchar(8) NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'old')),
    mood mood DEFAULT 'glad',
    traits hstore,
    created_at timestamptz NOT NULL);
CREATE INDEX users_new ON users (created_at) WHERE state IN ('new', 'old');
CREATE INDEX users_email_trgm ON users USING gin ((email::text) gin_trgm_ops);
INSERT INTO users (email, traits, created_at)
SELECT 'rxs_row_content' || n || '@example.com', 'a=>1', timestamptz '2024-06-01 05:59Z' - n * interval '1 hour'
FROM generate_series(0, 1999) n;

CREATE TABLE orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    email citext REFERENCES users (email),
    note text,
    total numeric(10, 2) CHECK (total >= 0),
    created_at timestamp);
CREATE INDEX orders_user ON orders (user_id);
INSERT INTO orders (user_id, email, note, total, created_at)
SELECT 1 + n % 2000, upper('rxs_row_content' || n % 2000) || '@EXAMPLE.com',
       'ünïcode 漢字 ' || repeat('rxs_row_content', 5), n, timestamp '2024-06-01 05:58' - n * interval '1 minute'
FROM generate_series(0, 4999) n;

CREATE TABLE lines (
    order_id int REFERENCES orders ON DELETE CASCADE,
    number int,
    parent_order int,
    parent_number int,
    PRIMARY KEY (order_id, number),
    FOREIGN KEY (parent_order, parent_number) REFERENCES lines (order_id, number));
INSERT INTO lines SELECT id, 1, NULL, NULL FROM orders WHERE id <= 900;
INSERT INTO lines SELECT id, 2, id, 1 FROM orders WHERE id <= 100;

CREATE TABLE events (id bigserial, day date NOT NULL, body jsonb, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO events (day, body) SELECT date '2023-12-01' + n % 60, '{"a": 1}' FROM generate_series(1, 600) n;

CREATE TABLE settings (name text PRIMARY KEY, value text);
CREATE VIEW glad_users AS SELECT id, email FROM users WHERE mood = 'glad';
CREATE MATERIALIZED VIEW user_count AS SELECT count(*) FROM users;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION add_up(int) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog
    AS 'SELECT $1 + count(*) FROM users';
CREATE FUNCTION doubled(int) RETURNS int RETURN $1 * 2;
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE DOMAIN percent AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE place AS (x int, y int);
CREATE TYPE span AS RANGE (SUBTYPE = int);
CREATE TRIGGER touched BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();

CREATE FUNCTION near(place, place) RETURNS boolean LANGUAGE sql AS 'SELECT abs(($1).x - ($2).x) <= 1';
CREATE OPERATOR ~~~ (LEFTARG = place, RIGHTARG = place, FUNCTION = near, COMMUTATOR = ~~~);
CREATE FUNCTION told(place) RETURNS text LANGUAGE sql AS 'SELECT ($1).x || '':'' || ($1).y';
CREATE CAST (place AS text) WITH FUNCTION told(place) AS ASSIGNMENT;
CREATE FUNCTION feeling(citext) RETURNS mood LANGUAGE sql AS 'SELECT $1::text::mood';
CREATE CAST (citext AS mood) WITH FUNCTION feeling(citext);
CREATE COLLATION bytewise (PROVIDER = libc, LOCALE = 'C');
CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple, ACCEPT = false);
CREATE TEXT SEARCH CONFIGURATION notes (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION notes ALTER MAPPING FOR word WITH plain, simple;

CREATE SCHEMA audit;
CREATE TABLE audit."Odd %s 'name'" (id serial PRIMARY KEY, "at %" int, one int);
INSERT INTO audit."Odd %s 'name'" ("at %") SELECT n FROM generate_series(1, 10) n;
"""
EXTENSIONS = ("citext", "hstore", "pg_trgm")


@dataclass(frozen=True)
class Databases:
    """A server with ``production`` and ``restored``, and their facts."""

    server: PostgresLab
    expected: Facts
    healthy: Facts

    @contextlib.contextmanager
    def copy(self, *statements: str, superuser: bool = False, of: str = RESTORED) -> Iterator[str]:
        """A database that ``statements`` have changed."""
        self.server.create("copy", template=of)
        try:
            self.server.run("copy", *statements, superuser=superuser)
            yield "copy"
        finally:
            self.server.drop("copy")

    def actual(self, database: str, *, connections: int = 3, limits: Limits | None = None) -> Facts:
        url = self.server.url(database)
        return actual_from(url, backup_finished=BACKUP_FINISHED, connections=connections, limits=limits)

    def production(self, *, connections: int = 3, moment_columns: tuple[str, ...] = ()) -> Facts:
        url = self.server.url(PRODUCTION)
        return expected_from(url, backup_created=BACKUP_CREATED, connections=connections, moment_columns=moment_columns)


def create_with_extensions(server: PostgresLab, database: str, schema: str = "public") -> None:
    """An empty database that has ``EXTENSIONS`` in ``schema``, as Heroku lets its non-superusers make them."""
    server.create(database)
    made = [f"CREATE SCHEMA IF NOT EXISTS {schema}", f"GRANT USAGE ON SCHEMA {schema} TO {server.owner}"]
    made += [f"CREATE EXTENSION {name} SCHEMA {schema}" for name in EXTENSIONS]
    server.run(database, *made, superuser=True)


@contextlib.contextmanager
def databases() -> Iterator[Databases]:
    """Production, dumped by ``pg_dump`` and restored by ``pg_restore`` as a role without superuser rights."""
    with postgres_lab() as server, tempfile.TemporaryDirectory() as folder:
        create_with_extensions(server, PRODUCTION)
        server.run(PRODUCTION, SCHEMA)
        dump = str(Path(folder) / "production.dump")
        server.tool("pg_dump", PRODUCTION, "-Fc", f"--file={dump}")
        create_with_extensions(server, RESTORED)
        # The comments on extensions cannot be restored by their non-owner: rc 1, as on Heroku.
        server.tool("pg_restore", RESTORED, "--no-owner", "--no-acl", "--no-comments", dump)
        made = Databases(server, expected=_empty(), healthy=_empty())
        yield Databases(server, expected=made.production(), healthy=made.actual(RESTORED))


def _empty() -> Facts:
    return Facts(server_version=0, as_of=BACKUP_CREATED, revisions=None, tables={})


def wait_until_nobody_looks(connection: Connection) -> None:
    """A backend ends a moment after its connection was closed."""
    looking = "SELECT pg_stat_clear_snapshot(), count(*) FROM pg_stat_activity WHERE application_name = %s"
    for _attempt in range(10_000):
        if connection.execute(looking, [APPLICATION_NAME]).fetchall()[0][1] == 0:
            return
    raise AssertionError("somebody still looks")
