"""A private key that an operator names: read into memory, and stored nowhere else."""

from __future__ import annotations

from pathlib import Path

from raxx_bcp.errors import UsageError


def read_key(named: str) -> bytes | None:
    """None where none is named. Raises ``UsageError`` for a file that cannot be read."""
    try:
        return Path(named).read_bytes() if named else None
    except OSError as error:
        raise UsageError(
            f"The private key file {named} cannot be read ({error.strerror}).", "Correct private_key_file."
        ) from None
