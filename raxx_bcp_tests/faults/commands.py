"""raxx-bcp as a person runs it: a process of its own, an empty HOME, a private TMPDIR."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from raxx_bcp_sandbox.supervisor import Sandbox

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


def help_desk_key(sandbox: Sandbox, folder: Path) -> Path:
    """What ``aws iam create-access-key`` printed of the help desk's own role, in a file of mode 0600."""
    made = sandbox.credentials()
    names = {"AccessKeyId": "S3_HELP_DESK_ACCESS_KEY_ID", "SecretAccessKey": "S3_HELP_DESK_SECRET_ACCESS_KEY"}
    file = folder / "help-desk-key.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"AccessKey": {name: made[variable] for name, variable in names.items()}}))
    return file


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
