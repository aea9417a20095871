"""``raxx-bcp snapshot`` as a person types it: on the worst day there is no Dagster."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from raxx_bcp_tests.faults.commands import private_environ, run
from raxx_bcp_tests.sandbox.lightsail.lab import KEY, Lab, lightsail_process


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A Lightsail in a process of its own, with the machine's time."""
    with lightsail_process(now=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", pending_seconds=0.3) as made:
        yield made


@pytest.fixture
def environ(lab: Lab) -> Iterator[dict[str, str]]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        private = private_environ(kept, Path(folder), "x/")
        yield {**private, **lab.environment(), "RAXX_BCP_VAULT_SNAPSHOT__POLL_SECONDS": "0.1"}


def _json(environ: dict[str, str], *arguments: str, code: int = 0) -> dict[str, Any]:
    done = run(environ, "snapshot", *arguments, "--json")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert KEY.secret not in done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def test_take_and_list_and_take_again(environ: dict[str, str]) -> None:
    first = _json(environ, "take")
    assert (first["ok"], first["state"], first["instance"]) == (True, "available", "raxx-vault")
    assert first["pruning"]["deleted"] == []
    listed = _json(environ, "list")
    assert listed["snapshots"][0]["name"] == first["snapshot"]
    assert {check["name"]: check["status"] for check in listed["checks"]}["newest_is_fresh"] == "PASS"
    assert _json(environ, "take")["created"] is False


def test_progress_goes_to_stderr_and_the_result_to_stdout(environ: dict[str, str]) -> None:
    done = run(environ, "snapshot", "take")
    assert done.returncode == 0, done.stderr
    assert "FreeScout's own backup" in done.stderr
    assert "available: raxx-bcp-raxx-vault-" in done.stdout
    shown = run(environ, "snapshot", "list").stdout
    assert "next due" in shown
    assert "raxx-vault-before-ubuntu-22" in shown


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("lightsail-denied", 3, "The role may not do this"),
        ("lightsail-instance-missing", 1, "Check the name in bcp.toml"),
    ],
)
def test_a_failure_is_one_sentence_with_its_exit_code(
    environ: dict[str, str], lab: Lab, fault: str, code: int, words: str
) -> None:
    lab.fault(fault)
    try:
        for command in ("take", "list"):
            result = _json(environ, command, code=code)
            assert result["ok"] is False
            assert words in result["remedy"]
    finally:
        lab.fault(fault, on=False)


def test_a_missing_freescout_backup_fails_the_list(environ: dict[str, str], lab: Lab) -> None:
    _json(environ, "take")
    lab.fault("freescout-backup-missing")
    try:
        listed = _json(environ, "list", code=1)
        assert (listed["status"], listed["worst"]) == ("fail", "FAIL")
        assert listed["error"].startswith("freescout_backup: ")
    finally:
        lab.fault("freescout-backup-missing", on=False)


def test_an_illegal_add_on_is_wrong_use_before_any_call(environ: dict[str, str]) -> None:
    nowhere = {**environ, "AWS_ENDPOINT_URL_LIGHTSAIL": "http://127.0.0.1:9", "RAXX_BCP_VAULT_SNAPSHOT__ADDON": "06:30"}
    result = _json(nowhere, "addon", "--apply", code=2)
    assert "hourly only" in result["error"]


def test_the_add_on_is_shown_with_its_cost_and_applied(environ: dict[str, str]) -> None:
    wanted = {**environ, "RAXX_BCP_VAULT_SNAPSHOT__ADDON": "18:00"}
    before = _json(wanted, "addon", code=1)
    assert (before["found"], before["extra_monthly_cost_usd"], before["adr_estimate_usd"]) == ("off", 14.0, 14.0)
    assert _json(wanted, "addon", "--apply")["changed"] is True
    assert _json(environ, "addon", "--apply")["found"] == "off"
