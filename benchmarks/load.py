"""How long loading the definitions takes, beside ``import dagster`` alone: ``python benchmarks/load.py``.

Each in a process of its own, in turn, so that the ratio holds when the machine's speed drifts. Aim: at most 1.3.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 7
OURS = "from raxx_bcp.definitions import build_defs; build_defs().resolve_all_job_defs()"
FLOOR = "import dagster"


def seconds(code: str) -> float:
    """Wall time of a fresh interpreter that runs ``code``."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def main() -> None:
    pairs = [(seconds(OURS), seconds(FLOOR)) for _run in range(RUNS + 1)][1:]
    print(f"definitions {statistics.median(ours for ours, _ in pairs):.2f} s")
    print(f"import dagster {statistics.median(floor for _, floor in pairs):.2f} s")
    print(f"ratio, run by run {statistics.median(ours / floor for ours, floor in pairs):.2f}")


if __name__ == "__main__":
    main()
