"""raxx-bcp as a person runs it: a process of its own, an empty HOME, a private TMPDIR."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CLI = str(Path(sys.executable).parent / "raxx-bcp")


def private_environ(environ: Mapping[str, str], folder: Path, prefix: str) -> dict[str, str]:
    """``environ`` with HOME, TMPDIR and DAGSTER_HOME below ``folder``, and exports under ``prefix``."""
    home, temporary, dagster = folder / "home", folder / "t", folder / "dagster_home"
    for made in (home, temporary, dagster):
        made.mkdir(exist_ok=True)
    return {
        **environ,
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "DAGSTER_HOME": str(dagster),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "RAXX_BCP_VAULT_EXPORT__PREFIX": prefix,
    }


def start(environ: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start ``raxx-bcp ARGUMENTS`` with both streams as pipes."""
    return subprocess.Popen(
        [CLI, *arguments], env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``raxx-bcp ARGUMENTS`` to its end."""
    return subprocess.run(
        [CLI, *arguments], env=dict(environ), capture_output=True, text=True, check=False, timeout=120
    )
