"""``raxx-bcp demo`` from nothing, as the first command that anybody runs."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from raxx_bcp_sandbox import processes
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.faults.commands import CLI
from raxx_bcp_tests.ui.running import demo_environ


@pytest.fixture
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="raxx-"))
    try:
        yield made
    finally:
        if (made / "s").exists():
            Sandbox(made / "s").down()
        shutil.rmtree(made, ignore_errors=True)


def _demo(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [CLI, "demo", *arguments]
    return subprocess.run(argv, env=demo_environ(directory), capture_output=True, text=True, check=False, timeout=600)


def test_once_passes_every_step_and_leaves_nothing_running(directory: Path) -> None:
    done = _demo(directory, "--once", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["ok"] is True
    assert {step["name"]: step["ok"] for step in result["steps"]} == {
        "sandbox": True,
        "daily_vault_snapshot": True,
        "daily_vault_export": True,
        "freescout-backup": True,
        "drill_heroku_postgres": True,
        "drill_freescout_snapshot": True,
        "drill_freescout_dump": True,
        "drill_vault_export": True,
        "drill_vault_snapshot": True,
        "drill_state_recovery": True,
        "daily_inventory": True,
        "opens with the operator's key": True,
        "the D4 gate": True,
    }
    (gate,) = [step["detail"] for step in result["steps"] if step["name"] == "the D4 gate"]
    assert gate == "open: heroku-postgres, freescout, vault, vault-snapshot, terraform-state"
    (night,) = [step["detail"] for step in result["steps"] if step["name"] == "freescout-backup"]
    assert night.startswith("made on raxx-tickets by systemctl start freescout-backup.service: ")
    assert "read raxx-platform/prod" in done.stderr, "long work is seen to move"
    assert processes.find(directory / "s") == {}
    assert not (directory / "home" / ".dagster").exists()


def test_a_step_that_fails_fails_the_demo_and_says_why(directory: Path) -> None:
    sandbox = Sandbox(directory / "s", any_ports=True)
    sandbox.up()
    sandbox.break_("vault-project-left")
    done = _demo(directory, "--once", "--json", "--only", "daily_vault_export")
    assert done.returncode == 1
    steps = {step["name"]: step for step in json.loads(done.stdout)["steps"]}
    assert steps["daily_vault_export"]["ok"] is False
    assert "Project raxx-payments is expected" in steps["daily_vault_export"]["detail"]
    assert processes.find(directory / "s"), "a sandbox that was up before stays up"


def test_a_taken_port_is_one_sentence_before_anything_is_started(directory: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = _demo(directory, "--port", str(port))
    assert done.returncode == 2
    assert f"Port {port} on 127.0.0.1 is taken" in done.stderr
    assert "--port" in done.stderr
    assert not (directory / "s").exists()
