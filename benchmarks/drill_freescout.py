"""How long Tier 2's restore takes beside ``zcat | mariadb`` of the same dump on the same server, and what checks add.

    python benchmarks/drill_freescout.py [--threads 200000] [--runs 3] [--connections 2]

Everything runs on this machine: a MariaDB of its own with FreeScout's schema, filled with generated mail (five threads
a conversation), dumped by the real ``mariadb-dump`` and compressed by gzip. In turn, so that ratios hold:

- ``bare``: ``zcat dump.sql.gz | mariadb`` into an empty database;
- ``restore``: the drill's loader into an empty database, as a process of its own;
- ``checks``: everything that the drill asks of the restored database, beginning with what the restore left in memory.

The server has MariaDB's own defaults, and the memory that the loader gives it (``Server.give_memory``): the warm-up run
does that for both.

Aims: bare / restore ≥ 1.8 on 2 cores with the same checksums, checks / restore ≤ 0.10, and a peak of memory that does
not follow the dump's size.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from raxx_bcp.drills.freescout import facts, remote_program
from raxx_bcp.drills.freescout.compare import compare
from raxx_bcp.drills.freescout.expected import NOTHING_KNOWN
from raxx_bcp.drills.freescout.host_side import loader, splitter, unpacking, wire
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import dumps
from raxx_bcp_sandbox.mariadb import MariadbServer

TAKEN = datetime(2031, 3, 14, 6, 0, tzinfo=UTC)
BOOTSTRAP = "import sys; f = sys.stdin.buffer; n = int(f.readline()); exec(compile(f.read(n), 'sent', 'exec'))"
PEAK = "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
DEFAULTS = "SET GLOBAL innodb_log_file_size = 96 << 20; SET GLOBAL innodb_flush_log_at_trx_commit = 1"
"""MariaDB's own, which a real host has and the sandbox's small server has not."""
TARGET = "restored"
PER_CONVERSATION = 5
ROWS_A_STATEMENT = 400


@dataclass(frozen=True)
class Timed:
    """Seconds of one run, and the loader's peak of memory in MB."""

    bare: float
    restore: float
    checks: float
    peak_mb: float


class Words:
    """Mail that compresses about as mail does: common and rare words, markup, a few emoji."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - no secret
        letters = "abcdefghijklmnopqrstuvwxyzäöüé"
        words = ["".join(self._random.choices(letters, k=self._random.randint(2, 10))) for _word in range(20_000)]
        words += ["it\\'s", '\\"quoted\\"', "\\n", "<br />\\r\\n", "\\\\", "; "] * 200
        weights = [1 / (rank + 3) for rank in range(len(words))]
        self._phrases = [" ".join(self._random.choices(words, weights, k=40)) for _phrase in range(20_000)]

    def body(self) -> str:
        text = " ".join(self._random.choices(self._phrases, k=self._random.randint(2, 8)))
        return f"<div>{text}{'😀' if self._random.random() < 0.02 else ''}</div>"


def statements(threads: int, words: Words) -> Iterator[str]:
    """INSERT statements that add ``threads`` threads and their conversations to the seeded ones."""
    first = 10_000
    conversations = (
        f"({number},{number},{PER_CONVERSATION},1,1,1,2,'Order {number}','Order {number} came',1,1,1,1,"
        f"'2031-03-{number % 13 + 1:02d} 10:00:00','2031-03-{number % 13 + 1:02d} 10:00:00')"
        for number in range(first, first + threads // PER_CONVERSATION)
    )
    columns = (
        "id,number,threads_count,type,folder_id,status,state,subject,preview,mailbox_id,customer_id,"
        "source_via,source_type,created_at,updated_at"
    )
    yield from _batched(f"INSERT INTO conversations ({columns}) VALUES", conversations)
    rows = (
        f"({first + number},{first + number // PER_CONVERSATION},1,1,2,'{words.body()}','c{number % 5000}@example.com',"
        f"'[\\\"help@raxx.example\\\"]','<{number}.{number * 7919 % 104729}@mail.example>',1,1,1,1,"
        f"'2031-03-{number % 13 + 1:02d} 11:00:00','2031-03-{number % 13 + 1:02d} 11:00:00')"
        for number in range(threads)
    )
    columns = (
        "id,conversation_id,type,status,state,body,`from`,`to`,message_id,source_via,source_type,customer_id,"
        "created_by_customer_id,created_at,updated_at"
    )
    yield from _batched(f"INSERT INTO threads ({columns}) VALUES", rows)


def _batched(head: str, rows: Iterable[str]) -> Iterator[str]:
    batch: list[str] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_A_STATEMENT:
            yield f"{head} {','.join(batch)};\n"
            batch = []
    if batch:
        yield f"{head} {','.join(batch)};\n"


@dataclass(frozen=True)
class Bench:
    """The server, and the client program as the host has it on its PATH."""

    server: MariadbServer
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.home}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}

    def put_client(self) -> None:
        """A program ``mariadb`` that connects to the server."""
        settings = [f"{name}={value}" for name, value in self.server.binaries.environment().items() if name != "PATH"]
        command = shlex.join(["env", *settings, *self.server.client_argv("mariadb")])
        (self.home / "mariadb").write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (self.home / "mariadb").chmod(0o755)

    def sql(self, script: str, *, database: str = "", timeout_seconds: float | None = None) -> list[list[str]]:
        """As ``Host.sql``."""
        argv = ["mariadb", "--batch", "--raw", "--skip-column-names", database]
        done = subprocess.run(
            argv,
            input=script.encode(),
            env=self.environment,
            capture_output=True,
            check=True,
            timeout=timeout_seconds,
        )
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    def empty(self) -> None:
        """Create the target anew."""
        self.sql(
            f"DROP DATABASE IF EXISTS {TARGET}; "
            f"CREATE DATABASE {TARGET} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
        )


def bare(bench: Bench, dump: Path) -> float:
    """Seconds of ``zcat | mariadb``."""
    bench.empty()
    command = f"zcat {shlex.quote(str(dump))} | mariadb --default-character-set=utf8mb4 {TARGET}"
    started = time.perf_counter()
    subprocess.run(["sh", "-c", command], env=bench.environment, check=True)
    return time.perf_counter() - started


def restore(bench: Bench, dump: Path, connections: int) -> tuple[float, float]:
    """Seconds of the drill's loader, and its peak of memory in MB."""
    bench.empty()
    source = (
        remote_program.program(splitter, wire, unpacking, loader, arguments=(TARGET, connections)) + PEAK
    ).encode()
    command = f"{shlex.join([sys.executable, '-I', '-c', BOOTSTRAP])}"
    feed = f"{{ cat program; cat {shlex.quote(str(dump))}; }} | {command}"
    (bench.home / "program").write_bytes(b"%d\n%b" % (len(source), source))
    started = time.perf_counter()
    done = subprocess.run(["sh", "-c", feed], cwd=bench.home, env=bench.environment, capture_output=True, check=True)
    seconds = time.perf_counter() - started
    told, peak_kb = done.stdout.decode().splitlines()
    report = json.loads(told)
    if report["error"] or report["gzip"] != "whole" or not report["trailer"]:
        raise SystemExit(f"the restore went wrong: {report}")
    return seconds, int(peak_kb) / 1000


def checks(bench: Bench) -> float:
    """Seconds of all questions to the restored database, and of the judgement."""
    started = time.perf_counter()
    found = facts.ask(bench, TARGET)
    told = compare(found, NOTHING_KNOWN, taken_utc=TAKEN, fetch_age=timedelta(hours=2), tolerance_ratio=0.05)
    seconds = time.perf_counter() - started
    failed = [one.name for one in told if one.status.value != "PASS"]
    if failed:
        raise SystemExit(f"checks failed: {failed}")
    return seconds


def once(bench: Bench, dump: Path, connections: int, checksums: list[list[str]]) -> Timed:
    """One run of each, and a comparison of every table."""
    alone = bare(bench, dump)
    seconds, peak_mb = restore(bench, dump, connections)
    asked = checks(bench)
    if checksums_of(bench.server, TARGET) != checksums:
        raise SystemExit("the restored tables are not those of the source")
    return Timed(alone, seconds, asked, peak_mb)


def generated(threads: int, home: Path) -> tuple[Path, list[list[str]]]:
    """A dump with this many threads, and the checksums of the tables that it was made from."""
    with MariadbServer(home / "source") as server:
        freescout.fill(server, freescout.help_desk(TAKEN))
        server.load((one.encode() for one in statements(threads, Words(threads))), freescout.DATABASE)
        dumps.write_dump(server, home / dumps.DUMP)
        return home / dumps.DUMP, checksums_of(server, freescout.DATABASE)


def checksums_of(server: MariadbServer, database: str) -> list[list[str]]:
    """Of every table."""
    listed = ", ".join(f"`{table}`" for table in freescout.TABLES)
    return [[name.partition(".")[2], total] for name, total in server.sql(f"CHECKSUM TABLE {listed}", database)]


def measure(threads: int, runs: int, connections: int) -> None:
    """Print the medians of ``runs`` counted runs, after one warm-up."""
    with tempfile.TemporaryDirectory(prefix="fb-") as temporary:
        home = Path(temporary)
        dump, checksums = generated(threads, home)
        with MariadbServer(home / "target") as server:
            server.sql(DEFAULTS)
            bench = Bench(server, home)
            bench.put_client()
            timed = [once(bench, dump, connections, checksums) for _run in range(runs + 1)][1:]
            packed = dump.stat().st_size / 1e6
    print(f"\n{threads} threads more, {packed:.0f} MB compressed, {connections} connections; {runs} runs")
    for name in ("bare", "restore", "checks"):
        print(f"  {name:<10}{statistics.median(getattr(one, name) for one in timed):>8.2f} s")
    print(f"  bare / restore, run by run: {statistics.median(one.bare / one.restore for one in timed):.2f} (aim 1.8)")
    share = statistics.median(one.checks / one.restore for one in timed)
    print(f"  checks / restore, run by run: {share:.3f} (aim 0.10)")
    print(f"  the loader's peak of memory: {max(one.peak_mb for one in timed):.0f} MB; checksums of all tables equal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[200_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--connections", type=int, default=2)
    asked = parser.parse_args()
    for threads in asked.threads:
        measure(threads, asked.runs, asked.connections)


if __name__ == "__main__":
    main()
