"""A worthless Terraform state file for a drill to lose: format version 4, as ``terraform state pull`` prints it."""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from raxx_bcp.clients.decoding import decoded

_FORMAT: Final = 4
"""Terraform 0.12 and later; ``serial`` counts the writes, ``lineage`` is the same for all of them
(developer.hashicorp.com/terraform/language/state)."""
_OUTPUT_BYTES: Final = 1000


class _State(msgspec.Struct):
    version: int
    serial: int
    lineage: str
    outputs: dict[str, Any]
    resources: list[Any]


@dataclass(frozen=True)
class Mark:
    """Tells one write of a state from another."""

    lineage: str
    serial: int

    def __str__(self) -> str:
        return f"serial {self.serial} of {self.lineage}"


def new_lineage() -> str:
    """As Terraform makes them: a random UUID."""
    return str(uuid.uuid4())


def synthetic_state(mark: Mark, size_kb: int) -> bytes:
    """A state of about ``size_kb`` kilobytes, with random outputs. It describes no real infrastructure."""
    count = max(1, size_kb * 1000 // _OUTPUT_BYTES)
    outputs = {
        f"output_{number}": {"value": secrets.token_hex((_OUTPUT_BYTES - 80) // 2), "type": "string"}
        for number in range(count)
    }
    state = {
        "version": _FORMAT,
        "terraform_version": "1.9.8",
        "serial": mark.serial,
        "lineage": mark.lineage,
        "outputs": outputs,
        "resources": [],
        "check_results": None,
    }
    return json.dumps(state, indent=2).encode()


def read_mark(body: bytes) -> Mark | None:
    """The mark of a state file; None where ``body`` is not a state file or is incomplete."""
    state = decoded(body, _State)
    return Mark(state.lineage, state.serial) if state and state.version == _FORMAT else None
