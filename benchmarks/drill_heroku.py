"""How long the Heroku drill takes beside the bare ``pg_restore`` of the same dump on the same server.

    python benchmarks/drill_heroku.py [--rows 490000 4900000] [--runs 3]

Everything runs on this machine: a Heroku stand-in with a PostgreSQL of its own (about 205 bytes of database a row, so
the defaults are about 100 MB and 1 GB), and a real S3 server for the record. In turn, so that ratios hold:

- ``bare``: a throwaway app's database, into which ``pg_restore --no-owner --no-acl`` puts the dump; only that is timed;
- ``drill``: ``run_drill(heroku_postgres)``: selecting, restoring, verifying, teardown, evidence. What waits for a
  database to be provided is left out.

Aim: what a drill adds to its own restore ≤ 10 % of the bare restore at 1 GB.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import requests

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.heroku_shapes import WaitState
from raxx_bcp.drills.engine.record_stores import record_of
from raxx_bcp.drills.engine.run import run_drill
from raxx_bcp.drills.heroku_postgres.connections import heroku_client
from raxx_bcp.drills.heroku_postgres.kinds import RESTORE
from raxx_bcp.drills.heroku_postgres.restore_drill import heroku_postgres
from raxx_bcp.drills.heroku_postgres.wanted import Wanted
from raxx_bcp.drills.kind import Asked
from raxx_bcp.evidence.row import Verdict
from raxx_bcp.policy import HerokuPostgres, Policy
from raxx_bcp_sandbox.dagster_dev import free_port
from raxx_bcp_sandbox.parts import s3
from raxx_bcp_sandbox.postgres import BIN_VARIABLE, binaries
from raxx_bcp_sandbox.supervisor import Sandbox

POLICY = Policy(heroku_postgres=HerokuPostgres(poll_seconds=0.1))
BARE = "raxx-drill-9912312359-ba4e00"


@dataclass(frozen=True)
class Timed:
    """Seconds of one run. ``added`` is the drill without its own restore and without provisioning."""

    bare: float
    restore: float
    added: float
    phases: dict[str, float]


@contextlib.contextmanager
def heroku_of(rows: int, folder: Path) -> Iterator[None]:
    """The stand-in with ``rows`` in production; this process's environment points to it."""
    port, key = free_port(), secrets.token_hex(16)
    argv = [sys.executable, "-m", "raxx_bcp_sandbox.heroku", f"--port={port}", f"--postgres-port={free_port()}"]
    argv += [f"--directory={folder}", f"--rows={rows}", "--provision-seconds=0.1"]
    secret = {"RAXX_SANDBOX_HEROKU_API_KEY": key, BIN_VARIABLE: str(binaries())}
    child = subprocess.Popen(argv, env={**os.environ, **secret})
    url = f"http://127.0.0.1:{port}"
    try:
        for _attempt in range(12_000):
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{url}/_sandbox/faults", timeout=5).ok:
                    break
            time.sleep(0.05)
        requests.post(f"{url}/_sandbox/scheduled-backup", timeout=600).raise_for_status()
        os.environ.update(HEROKU_API_KEY=key, HEROKU_API_URL=url, HEROKU_DATA_URL=f"{url}/client/v11")
        yield
    finally:
        child.terminate()
        child.wait()


def bare(heroku: Heroku, dump: Path) -> float:
    """Seconds of ``pg_restore`` alone, into a database that Heroku has just provided."""
    heroku.create_app(BARE)
    try:
        made = heroku.create_database(BARE, "essential-2", "18")
        while heroku.wait_status(made.id).state is not WaitState.READY:
            time.sleep(0.05)
        target = psycopg.conninfo.conninfo_to_dict(heroku.database_url(BARE).get_secret_value())
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
        environment = {**os.environ, **{name: str(target[key]) for key, name in names.items()}}
        argv = [str(binaries() / "pg_restore"), "--no-owner", "--no-acl", "-d", str(target["dbname"]), str(dump)]
        started = time.perf_counter()
        subprocess.run(argv, env=environment, check=True)
        return time.perf_counter() - started
    finally:
        heroku.delete_app(BARE)


def drill(heroku: Heroku) -> tuple[float, dict[str, float]]:
    """Seconds of the whole drill, and of each of its phases."""
    promised = POLICY.heroku_postgres
    started = time.perf_counter()
    done = run_drill(
        RESTORE.order(POLICY, Asked("benchmark"), Wanted()),
        lambda running: heroku_postgres(running, heroku, promised, Wanted(plan="essential-2")),
        record_of(POLICY).recorder(),
    )
    seconds = time.perf_counter() - started
    if done.verdict is not Verdict.PASS:
        raise SystemExit(f"the drill did not pass: {done.drill.findings} {done.drill.results}")
    ended = [(phase, phase.ended_utc) for phase in done.drill.phases]
    return seconds, {phase.name: (end - phase.started_utc).total_seconds() for phase, end in ended if end}


def compare(rows: int, runs: int) -> None:
    """Print the medians of ``runs`` counted runs, after one warm-up."""
    with tempfile.TemporaryDirectory(prefix="rb-") as temporary, heroku_of(rows, Path(temporary) / "heroku"):
        with heroku_client(POLICY) as heroku:
            dump, size = _newest(heroku, Path(temporary))
            timed = [_once(heroku, dump) for _run in range(runs + 1)][1:]
        print(f"\n{rows} rows, {size / 1e6:.0f} MB of database, dump {dump.stat().st_size / 1e6:.0f} MB; {runs} runs")
    figures = {"bare pg_restore": [one.bare for one in timed], "restore in a drill": [one.restore for one in timed]}
    figures |= {name: [one.phases[name] for one in timed] for name in ("select", "verify", "teardown")}
    for name, seconds in figures.items():
        print(f"  {name:<20}{statistics.median(seconds):>8.2f} s")
    provision = statistics.median(one.phases["provision"] for one in timed)
    print(f"  provisioning, in which production is looked at: {provision:.2f} s (left out)")
    ratio = statistics.median(one.added / one.bare for one in timed)
    print(f"  added / bare, run by run: {ratio:.3f} (selecting, verifying, teardown, evidence; aim 0.10 at 1 GB)")


def _newest(heroku: Heroku, folder: Path) -> tuple[Path, int]:
    """The newest backup as a file, and production's size in bytes."""
    backup = max((one for one in heroku.transfers("raxx-app-prod") if one.restorable), key=lambda one: one.num)
    dump = folder / "dump"
    url = heroku.signed_url("raxx-app-prod", backup.num).url.get_secret_value()
    dump.write_bytes(requests.get(url, timeout=600).content)
    return dump, heroku.database_info(heroku.database_of("raxx-app-prod").id).num_bytes


def _once(heroku: Heroku, dump: Path) -> Timed:
    alone = bare(heroku, dump)
    whole, phases = drill(heroku)
    return Timed(alone, phases["restore"], whole - phases["restore"] - phases["provision"], phases)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[490_000, 4_900_000])
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rb-") as temporary:
        record = Sandbox(Path(temporary) / "s", parts=(s3.PART,), any_ports=True)
        os.environ["RAXX_BCP_STATE_DIR"] = str(Path(temporary) / "state")
        try:
            record.up()
            os.environ.update(record.environment())
            for rows in asked.rows:
                compare(rows, asked.runs)
        finally:
            record.down(purge=True)


if __name__ == "__main__":
    main()
