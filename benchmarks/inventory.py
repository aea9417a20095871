"""How long the snapshot inventory takes and how much memory, beside the bare paginated calls.

    python benchmarks/inventory.py [--snapshots 50 500 5000] [--runs 5]

Both run on this machine against the sandbox's Lightsail, each figure in a process of its own, in turn (A B A B …),
so that the ratios hold when the machine's speed drifts:

- ``inventory``: ``take_inventory`` and all of its checks;
- ``floor``: the very same calls through boto3, their answers thrown away.

Aim: inventory ≤ 1.3 × floor at every size, and memory that grows by little more than a row a snapshot.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import requests
from export import peak_bytes

from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.policy import Policy
from raxx_bcp.snapshots.health import checks_of
from raxx_bcp.snapshots.inventory import take_inventory
from raxx_bcp.snapshots.run import SnapshotConnections
from raxx_bcp_sandbox.dagster_dev import free_port

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

POLICY = Policy()
VARIANTS = ("inventory", "floor")


def inventory(connections: SnapshotConnections) -> int:
    """Ours. Returns how many rows there are."""
    found = take_inventory(connections, POLICY, datetime.now(UTC))
    checks_of(found)
    return len(found.rows)


def floor(client: LightsailClient) -> int:
    """The same calls, nothing else."""
    count = 0
    for name in (POLICY.vault_snapshot.instance, POLICY.freescout.instance):
        client.get_instance(instanceName=name)
        count += len(client.get_auto_snapshots(resourceName=name)["autoSnapshots"])
    for page in client.get_paginator("get_instance_snapshots").paginate():
        count += len(page["instanceSnapshots"])
    return count


def measure_one(variant: str) -> None:
    """The child: run one variant and print its seconds, peak growth and count as JSON.

    Loading boto3's model of the service (0.1 s) is left out of both: it is done once a process.
    """
    client = boto3.client("lightsail")
    connections = SnapshotConnections(Snapshots(client=client))
    before = peak_bytes()
    started = time.perf_counter()
    count = inventory(connections) if variant == "inventory" else floor(client)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "grown_bytes": peak_bytes() - before, "count": count}))


@contextlib.contextmanager
def lightsail_of(count: int) -> Iterator[None]:
    """The sandbox's Lightsail with ``count`` snapshots; this process's environment points to it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        argv = [sys.executable, "-m", "raxx_bcp_sandbox.lightsail", "--port", str(port)]
        argv += ["--store", str(Path(folder) / "lightsail.sqlite3"), "--seed", "scale", "--snapshots", str(count)]
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        child = subprocess.Popen(
            argv, env={**os.environ, **{f"RAXX_SANDBOX_{name}": os.environ[name] for name in names}}
        )
        try:
            for _attempt in range(1200):
                with contextlib.suppress(requests.RequestException):
                    if requests.get(f"http://127.0.0.1:{port}/_sandbox/faults", timeout=5).ok:
                        break
                time.sleep(0.05)
            os.environ["AWS_ENDPOINT_URL_LIGHTSAIL"] = f"http://127.0.0.1:{port}"
            yield
        finally:
            child.terminate()
            child.wait()


def compare(count: int, runs: int) -> None:
    """Print the medians of ``runs`` counted runs of each, after one warm-up."""
    results: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    with lightsail_of(count):
        for run in range(runs + 1):
            for variant in VARIANTS:
                argv = [sys.executable, __file__, "--child", variant]
                printed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
                if run:
                    results[variant].append(json.loads(printed))
    seconds = {name: statistics.median(one["seconds"] for one in measured) for name, measured in results.items()}
    grown = {name: statistics.median(one["grown_bytes"] for one in measured) for name, measured in results.items()}
    pairs = zip(results["inventory"], results["floor"], strict=True)
    ratio = statistics.median(ours["seconds"] / its["seconds"] for ours, its in pairs)
    rows = int(results["inventory"][0]["count"])
    print(
        f"{count:>6} snapshots ({rows} rows): inventory {seconds['inventory']:.3f} s, floor {seconds['floor']:.3f} s, "
        f"ratio run by run {ratio:.2f}; memory +{grown['inventory'] / 1e6:.1f} MB, floor +{grown['floor'] / 1e6:.1f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshots", type=int, nargs="+", default=[50, 500, 5_000])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", choices=VARIANTS)
    asked = parser.parse_args()
    if asked.child:
        measure_one(asked.child)
        return
    os.environ.update(AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1")
    os.environ.update(
        AWS_ACCESS_KEY_ID=f"AKIA{secrets.token_hex(8).upper()}", AWS_SECRET_ACCESS_KEY=secrets.token_hex(32)
    )
    for count in asked.snapshots:
        compare(count, asked.runs)


if __name__ == "__main__":
    main()
