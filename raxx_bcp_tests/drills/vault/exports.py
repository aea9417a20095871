"""Exports for the vault's drills: made once with the real export, then laid under each test's own prefix."""

from __future__ import annotations

from datetime import datetime

import msgspec

from raxx_bcp.policy import Policy
from raxx_bcp.vault import manifest as manifests
from raxx_bcp.vault.manifest import Manifest, utc_text
from raxx_bcp.vault.store import keys_of
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.vault.world import export, state_bucket

_MADE: dict[str, tuple[bytes, Manifest]] = {}


def lay_export(policy: Policy, sandbox: Sandbox, day: str, read: datetime) -> None:
    """An export of the sandbox's vault as of ``read``, stored as that of ``day``."""
    bucket, keys = state_bucket(policy), keys_of(policy.vault_export.prefix, day)
    made_for = f"{sandbox.directory} {day}"
    if made_for not in _MADE:
        export(policy, day=day, now=read)
        manifest = manifests.decode(bucket.get(keys.manifest))
        assert manifest is not None
        _MADE[made_for] = (bucket.get(keys.export), manifest)
    body, manifest = _MADE[made_for]
    stored = bucket.put(keys.export, body, content_type="application/pgp-encrypted", metadata={})
    moved = msgspec.structs.replace(manifest, key=keys.export, version_id=stored.version_id, started_utc=utc_text(read))
    bucket.put(keys.manifest, manifests.encode(moved), content_type="application/json", metadata={})
