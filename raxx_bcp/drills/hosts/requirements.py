"""What a drill that makes an instance needs, known without loading any of it."""

from __future__ import annotations

from typing import Final

from raxx_bcp.drills.kind import Requirement

REASON_MISSING: Final = "Say why the copy is harmless."
WORKER_ADDRESS: Final = Requirement(
    "throwaway_instances.worker_cidr",
    lambda policy: policy.throwaway_instances.worker_cidr,
    "Write the worker's own address into bcp.toml, such as 203.0.113.9/32.",
)
