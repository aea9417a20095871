"""``docs/runbooks/vault-is-gone.md`` followed literally, from an empty home to a restored vault."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from raxx_bcp.policy import Policy
from raxx_bcp_sandbox.infisical.seed import raxx_world
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.conftest import DAY
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, FakeClock
from raxx_bcp_tests.vault.restoring import RESTORE, restorable_items, target
from raxx_bcp_tests.vault.world import export, private_key

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runbooks" / "vault-is-gone.md").read_text()
STEPS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
INSTALL = re.findall(r"^```sh install\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def _with_values(script: str, policy: Policy, address: str) -> str:
    """The page's example values replaced by the sandbox's; each must occur, so that none is overlooked."""
    for example, real in {
        "s3://raxx-iac-state-prod/vault-exports/": f"s3://{policy.state_bucket.name}/{policy.vault_export.prefix}",
        "2026-11-24": DAY,
        "https://vault.raxx.example": address,
    }.items():
        assert example in script
        script = script.replace(example, real)
    return script


def _follow(script: str, folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        input=f"{RESTORE.client_id}\n{RESTORE.client_secret}\n",
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@pytest.mark.parametrize("faulty", [False, True], ids=["as it should be", "into a vault that holds it back"])
def test_every_command_works_in_order(policy: Policy, sandbox: Sandbox, faulty: bool) -> None:  # noqa: FBT001
    export(policy)
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    with tempfile.TemporaryDirectory(prefix="rb-") as made, target() as there:
        folder = Path(made)
        (folder / "operator.key.asc").write_bytes(private_key(sandbox))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environ = {**aws, "PATH": path, "HOME": made, "GPG_TTY": ""}
        there.faults.switch("vault-approvals", on=faulty)
        done = _follow(_with_values("\n".join(STEPS), policy, there.address), folder, environ)
        subprocess.run(["gpgconf", "--kill", "all"], env=environ, check=False, capture_output=True)
    if faulty:
        assert done.returncode == 1
        assert done.stdout.splitlines()[-1] == "the vault does NOT hold what the export holds"
        return
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the vault holds what the export holds" in done.stdout
    assert done.stdout.count("nothing: it is equal") == 3
    assert restorable_items(there.world) == restorable_items(raxx_world(CREDENTIALS, FakeClock()))
    assert "rxs_" not in done.stdout + done.stderr
    assert RESTORE.client_secret not in done.stdout + done.stderr


def test_the_page_has_the_steps_that_are_run_and_one_that_installs() -> None:
    assert len(STEPS) == 7
    assert len(INSTALL) == 1
    assert PAGE.count("```sh") == len(STEPS) + len(INSTALL)


def test_the_software_is_installed_as_on_the_worker() -> None:
    deployed = (ROOT / "deploy" / "README.md").read_text()
    for line in INSTALL[0].splitlines():
        if "pip" in line or "venv .venv" in line:
            assert line in deployed
    assert (ROOT / "requirements" / "prod.txt").is_file()
