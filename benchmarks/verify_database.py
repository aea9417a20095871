"""How long proving a restored PostgreSQL takes, beside its ``pg_restore`` and beside counting its rows plainly.

    python benchmarks/verify_database.py [--megabytes 100 1000] [--runs 3] [--connections 5]

Everything runs on this machine against one real PostgreSQL (without durability), in turn, so that the ratios hold
when the machine's speed drifts:

- ``restore``: the bare ``pg_restore --no-owner --no-acl`` of the dump into a new database;
- ``verify``: ``actual_from`` the restored database (schema, counts, times, sequences, samples, foreign keys)
  and ``compare``;
- ``production``: ``expected_from`` the production database, which a drill does while it waits for Heroku;
- ``count``: one connection, ``SELECT count(*)`` of every table of the restored database, one after the other.

Aim: ``verify`` ≤ 10 % of ``restore``. Each is timed right after a restore, as in a drill: nothing was vacuumed or
analysed, and no hint bit is set; ``count`` and ``verify`` take turns in being the first to read the tables. The
processor's seconds (this process, PostgreSQL's backends and tools) hold also on a machine that others use.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import SecretStr

from raxx_bcp.drills.heroku_postgres.database import Facts, actual_from, compare, expected_from
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp_sandbox.postgres import PostgresServer

OWNER = "u_bench"
BACKUP = datetime(2025, 1, 1, tzinfo=UTC)
BYTES_PER_USER = 6200
"""The size of one user with its orders, lines and events, tables and indexes together."""
SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('9f2c41d07a3e');
CREATE TABLE users (id bigserial PRIMARY KEY, email text NOT NULL, about text, created_at timestamptz NOT NULL);
INSERT INTO users (email, about, created_at) SELECT 'user' || n || '@example.com', repeat(md5(n::text), 5),
  timestamptz '2024-12-31' - n * interval '1 minute' FROM generate_series(1, {users}) n;
CREATE TABLE orders (id bigserial PRIMARY KEY, user_id bigint NOT NULL, note text, total numeric(10, 2),
  created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL);
INSERT INTO orders (user_id, note, total, created_at, updated_at)
  SELECT 1 + n % {users}, repeat(md5(n::text), 3), n % 1000,
  timestamptz '2024-12-31' - n * interval '10 seconds', '2024-12-31' FROM generate_series(1, {users} * 5) n;
CREATE TABLE lines (id bigserial PRIMARY KEY, order_id bigint NOT NULL, product text, amount int);
INSERT INTO lines (order_id, product, amount) SELECT 1 + n % ({users} * 5), md5(n::text), n % 9
  FROM generate_series(1, {users} * 15) n;
CREATE TABLE events (id bigserial PRIMARY KEY, user_id bigint, body jsonb, created_at timestamptz NOT NULL);
INSERT INTO events (user_id, body, created_at) SELECT 1 + n % {users}, jsonb_build_object('kind', n % 7, 'said',
  repeat(md5(n::text), 4)), timestamptz '2024-12-31' - n * interval '5 seconds' FROM generate_series(1, {users} * 8) n;
ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE lines ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE events ADD FOREIGN KEY (user_id) REFERENCES users;
CREATE INDEX ON orders (user_id);
CREATE INDEX ON lines (order_id);
CREATE INDEX ON events (user_id, created_at);
"""


@dataclass(frozen=True)
class Bench:
    """A running server with the database ``production`` and its dump."""

    server: PostgresServer
    password: str
    dump: Path

    def url(self, database: str) -> SecretStr:
        return SecretStr(f"postgresql://{OWNER}:{self.password}@127.0.0.1:{self.server.port}/{database}")

    def create(self, database: str) -> None:
        with self.server.connect() as connection:
            for statement in ("DROP DATABASE IF EXISTS {}", f"CREATE DATABASE {{}} OWNER {OWNER}"):
                connection.execute(sql.SQL(statement).format(sql.Identifier(database)))

    def tool(self, name: str, *arguments: str) -> None:
        done: subprocess.CompletedProcess[str] = self.server.run(name, OWNER, self.password, *arguments)
        assert done.returncode == 0, done.stderr

    def size(self, database: str) -> int:
        with self.server.connect(database) as connection:
            return int(connection.execute("SELECT pg_database_size(current_database())").fetchall()[0][0])

    def restore(self) -> None:
        self.tool("pg_restore", "--no-owner", "--no-acl", "--dbname=restored", str(self.dump))

    def count(self) -> int:
        """The plain way. Returns the number of rows."""
        with psycopg.connect(self.url("restored").get_secret_value()) as connection:
            tables = connection.execute("SELECT relname FROM pg_stat_user_tables").fetchall()
            counts = [
                connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchall()
                for (name,) in tables
            ]
        return sum(int(rows[0][0]) for rows in counts)

    def look_at_production(self, connections: int) -> Facts:
        return expected_from(self.url("production"), backup_created=BACKUP, connections=connections)

    def verify(self, expected: Facts, connections: int) -> int:
        """Ours. Returns the number of rows."""
        actual = actual_from(self.url("restored"), backup_finished=BACKUP, connections=connections, like=expected)
        results = compare(expected, actual, tolerance_ratio=0.0)
        assert [one for one in results if one.status is not CheckStatus.PASS] == []
        return actual.rows


@contextlib.contextmanager
def bench(megabytes: int) -> Iterator[Bench]:
    """A server of its own with ``megabytes`` of production."""
    with tempfile.TemporaryDirectory(prefix="rb-vd-") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
        free.close()
        with PostgresServer(Path(folder) / "postgres", port) as server:
            made = Bench(server, secrets.token_hex(16), Path(folder) / "production.dump")
            with server.connect() as connection:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(OWNER), sql.Literal(made.password)
                    )
                )
            made.create("production")
            with psycopg.connect(made.url("production").get_secret_value(), autocommit=True) as connection:
                connection.execute(SCHEMA.format(users=megabytes * 1_000_000 // BYTES_PER_USER).encode())
            made.tool("pg_dump", "-Fc", f"--file={made.dump}", "--dbname=production")
            yield made


@dataclass(frozen=True)
class Cost:
    """The cost of one piece of work, in seconds."""

    wall: float
    processor: float


def processor_seconds(made: Bench) -> float:
    """Of this process, of the tools it ran, and of every backend of the server that has ended."""
    ours = os.times()
    postmaster = (made.server.data / "postmaster.pid").read_text().split("\n", 1)[0]
    fields = Path(f"/proc/{postmaster}/stat").read_text().rpartition(")")[2].split()
    backends = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")  # cutime and cstime (proc_pid_stat(5))
    return ours.user + ours.system + ours.children_user + ours.children_system + backends


def cost(made: Bench, work: Callable[[], object]) -> Cost:
    """Do ``work`` once."""
    before, started = processor_seconds(made), time.perf_counter()
    work()
    wall = time.perf_counter() - started
    time.sleep(0.2)  # until the postmaster has reaped the last backend
    return Cost(wall, processor_seconds(made) - before)


def measure(made: Bench, runs: int, connections: int) -> dict[str, list[Cost]]:
    """The cost of each, run by run."""
    costs: dict[str, list[Cost]] = {"restore": [], "production": [], "verify": [], "count": []}
    for run in range(runs):
        made.create("restored")
        costs["restore"].append(cost(made, made.restore))
        found: list[Facts] = []
        costs["production"].append(cost(made, lambda: found.append(made.look_at_production(connections))))  # noqa: B023
        turns: list[tuple[str, Callable[[], object]]] = [
            ("verify", lambda: made.verify(found[0], connections)),  # noqa: B023
            ("count", made.count),
        ]
        for name, work in turns if run % 2 == 0 else reversed(turns):
            costs[name].append(cost(made, work))
    return costs


def show(costs: dict[str, list[Cost]]) -> None:
    """Medians, and the ratios run by run."""
    print(f"  {'':<11}{'wall':>9}{'processor':>12}")
    for name, one in costs.items():
        wall, processor = (statistics.median(getattr(cost, kind) for cost in one) for kind in ("wall", "processor"))
        print(f"  {name:<11}{wall:>7.2f} s{processor:>10.2f} s   wall {' '.join(f'{cost.wall:.2f}' for cost in one)}")
    for other in ("restore", "count"):
        pairs = list(zip(costs["verify"], costs[other], strict=True))
        wall = statistics.median(ours.wall / its.wall for ours, its in pairs)
        processor = statistics.median(ours.processor / its.processor for ours, its in pairs)
        print(f"  verify / {other}: wall {wall:.3f}, processor {processor:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--connections", type=int, default=5)
    asked = parser.parse_args()
    for megabytes in asked.megabytes:
        with bench(megabytes) as made:
            costs = measure(made, asked.runs, asked.connections)
            dump_bytes, size_bytes = made.dump.stat().st_size, made.size("restored")
            print(
                f"\n{size_bytes / 1e6:,.0f} MB of database, {dump_bytes / 1e6:,.0f} MB of dump, {made.count():,} rows "
                f"(medians of {asked.runs} runs, {asked.connections} connections)"
            )
        show(costs)


if __name__ == "__main__":
    main()
