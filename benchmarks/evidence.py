"""How long verifying the evidence ledger takes and how much memory, beside the bare GETs of the same objects.

    python benchmarks/evidence.py [--rows 1000 10000] [--runs 3]

Everything runs on this machine against a sandbox's real S3 server, each figure in a process of its own, the variants
in turn (A B A B …), so that the ratios hold when the machine's speed drifts; CPU seconds also when others work on it:

- ``verify``: list, read, parse, hash, check every row and every version of it;
- ``report``: the same reading, the gates and the report as HTML;
- ``floor``: list, then the same GETs with as many readers, their bodies thrown away.

Aims: verify ≤ 1.5 × floor, and memory that does not grow with the bodies.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from raxx_bcp.checks import Status
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.evidence.head import Head, LastRow, move_head
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.names import row_name
from raxx_bcp.evidence.reading import READERS
from raxx_bcp.evidence.report import make_report
from raxx_bcp.evidence.row import (
    GENESIS_SHA256,
    CheckRow,
    CheckStatus,
    DrillEntry,
    Identity,
    People,
    Phase,
    Resource,
    Source,
    Timing,
    Verdict,
    objective,
    teardown,
)
from raxx_bcp.evidence.row_hash import seal
from raxx_bcp_sandbox.parts.s3 import STATE_BUCKET
from raxx_bcp_sandbox.supervisor import Sandbox

NOW = datetime(2031, 3, 14, 9, 0, tzinfo=UTC)
VARIANTS = ("verify", "report", "floor")


def drill(drill_id: str, ended: datetime) -> DrillEntry:
    """A drill with six phases and a dozen checks that passed."""
    started = ended - timedelta(minutes=10)
    times = [started + timedelta(seconds=100 * number) for number in range(7)]
    names = ("select", "provision", "restore", "verify", "report", "teardown")
    app = Resource(kind="heroku app", name=f"raxx-{drill_id}", created_utc=times[1], gone_utc=times[6])
    return DrillEntry(
        identity=Identity(drill_id=drill_id, drill="heroku_postgres", system="heroku-postgres", scenario="lost"),
        source=Source(backup_id="b004", created_utc=started, age_seconds=0, selected_because="the newest good backup"),
        target=None,
        timing=Timing(
            started_utc=started,
            ended_utc=ended,
            phases=tuple(
                Phase(name=name, started_utc=times[number], ended_utc=times[number + 1])
                for number, name in enumerate(names)
            ),
            rto=objective(3600, 600),
            rpo=objective(86_400, 10_800),
        ),
        checks=tuple(
            CheckRow(name=f"check {number}", expected="24 tables", actual="24 tables", status=CheckStatus.PASS)
            for number in range(12)
        ),
        verdict=Verdict.PASS,
        findings=(),
        teardown=teardown((app,)),
        people=People(operator="alice"),
    )


def fill(prefix: str, count: int) -> int:
    """A healthy ledger of ``count`` rows. Returns their bytes; the PUTs go in parallel, which a chain cannot."""
    bucket = Bucket(STATE_BUCKET)
    bucket.versioning()
    previous, bodies = GENESIS_SHA256, []
    for sequence in range(1, count + 1):
        entry = drill(f"drill-{sequence}", NOW - timedelta(hours=count - sequence))
        row, body = seal(entry, sequence=sequence, previous_sha256=previous, written=NOW)
        previous = row.sha256
        bodies.append((prefix + row_name(sequence), body))

    def put(item: tuple[str, bytes]) -> int:
        bucket.put(item[0], item[1], content_type="application/json", metadata={"kind": "evidence-row"})
        return len(item[1])

    with ThreadPoolExecutor(READERS) as pool:
        size = sum(pool.map(put, bodies))
    assert move_head(bucket, prefix, LastRow(count, previous), NOW, Head(None, None))
    return size


def floor(prefix: str) -> int:
    """The same GETs, nothing else. Returns the size in bytes."""
    bucket = Bucket(STATE_BUCKET)
    keys = bucket.keys(prefix)
    with ThreadPoolExecutor(READERS) as pool:
        return sum(pool.map(lambda key: len(bucket.get(key)), keys))


def measure_one(variant: str, prefix: str) -> None:
    """The child: run one variant and print its seconds and peak growth as JSON."""
    Bucket(STATE_BUCKET).versioning()  # so that importing and connecting are not measured
    before, started, used = peak_bytes(), time.perf_counter(), time.process_time()
    if variant == "floor":
        floor(prefix)
    elif variant == "verify":
        assert Ledger(Bucket(STATE_BUCKET), prefix).verify().status is Status.PASS
    else:
        assert make_report(Ledger(Bucket(STATE_BUCKET), prefix), NOW).html()
    seconds = time.perf_counter() - started
    cpu = time.process_time() - used
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "grown_bytes": peak_bytes() - before}))


def peak_bytes() -> int:
    """This process's peak memory so far."""
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def compare(prefix: str, runs: int) -> dict[str, list[dict[str, float]]]:
    """``runs`` counted runs of each variant, after one warm-up."""
    results: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for run in range(runs + 1):
        for variant in VARIANTS:
            argv = [sys.executable, __file__, "--child", variant, "--prefix", prefix]
            printed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
            if run:
                results[variant].append(json.loads(printed))
    return results


def show(count: int, size: int, results: dict[str, list[dict[str, float]]]) -> None:
    """Medians, and the ratios run by run."""
    print(f"\n{count} rows, {size / 1e6:.1f} MB (medians of {len(results['floor'])} runs, each in its own process)")
    for variant, measured in results.items():
        median = {name: statistics.median(one[name] for one in measured) for name in measured[0]}
        pairs = list(zip(measured, results["floor"], strict=True))
        wall, cpu = (
            statistics.median(one[name] / bare[name] for one, bare in pairs) for name in ("seconds", "cpu_seconds")
        )
        print(
            f"  {variant:<8}{median['seconds']:>8.2f} s {wall:>6.2f} x floor   "
            f"CPU {1000 * median['cpu_seconds'] / count:>5.2f} ms a row {cpu:>6.2f} x floor   "
            f"memory +{median['grown_bytes'] / 1e6:>5.1f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", choices=VARIANTS)
    parser.add_argument("--prefix")
    asked = parser.parse_args()
    if asked.child:
        measure_one(asked.child, asked.prefix)
        return
    home = Path(tempfile.mkdtemp(prefix="rb-"))
    sandbox = Sandbox(home / "s", any_ports=True)
    try:
        sandbox.up()
        os.environ.update(sandbox.environment())
        for count in asked.rows:
            prefix = f"bench-{count}/"
            size = fill(prefix, count)
            show(count, size, compare(prefix, asked.runs))
    finally:
        sandbox.down(purge=(home / "s").exists())
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
