"""What the faults do to the disk of a new instance."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.hosts import guard, kinds
from raxx_bcp_sandbox.hosts.layout import Layout
from raxx_bcp_sandbox.hosts.quirks import (
    APP_KEY_EMPTY,
    APP_KEY_WRONG,
    ATTACHMENTS_MISSING,
    GUARD_GONE,
    VAULT_DATABASE_DOWN,
)

WRONG_KEY: Final = "base64:" + base64.b64encode(b"not the key of this FreeScout's!").decode()
_KEY_LINE: Final = re.compile(r"^APP_KEY=.*$", re.MULTILINE)


def apply(layout: Layout, quirks: Collection[str]) -> None:
    """Apply ``quirks`` to the disk; on a disk without a FreeScout, or without a vault, their faults change nothing."""
    site = layout.disk / freescout.SITE
    if APP_KEY_WRONG in quirks:
        _set_key(site, WRONG_KEY)
    if APP_KEY_EMPTY in quirks:
        _set_key(site, "")
        (site / "storage" / ".installed").unlink(missing_ok=True)
    if ATTACHMENTS_MISSING in quirks:
        shutil.rmtree(site / "storage" / "app" / "attachment", ignore_errors=True)
    if GUARD_GONE in quirks:
        guard.remove(layout)
    if VAULT_DATABASE_DOWN in quirks:
        (layout.disk / kinds.WORLD).unlink(missing_ok=True)


def _set_key(site: Path, key: str) -> None:
    file = site / ".env"
    if file.is_file():
        file.write_text(_KEY_LINE.sub(f"APP_KEY={key}", file.read_text()))
