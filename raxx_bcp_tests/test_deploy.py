"""The deployment files: they parse, they load, they grant no delete, and they name what exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance

from raxx_bcp.policy import FreeScout
from raxx_bcp_sandbox.parts.s3_identities import identities

ROOT = Path(__file__).resolve().parent.parent
IAM = ROOT / "deploy" / "iam"
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
PRODUCT = [path for path in (ROOT / "raxx_bcp").rglob("*.py") if "sandbox" not in path.parts]
VARIABLE = re.compile(r'"((?:RAXX_BCP|INFISICAL|SLACK)_[A-Z0-9_]*[A-Z0-9]|HEROKU_API_[A-Z]+|HEROKU_DATA_URL)"')


def _statements(name: str) -> list[dict[str, object]]:
    statements = json.loads((IAM / name).read_text())["Statement"]
    assert isinstance(statements, list)
    return statements


def test_the_exporter_may_never_delete_nor_leave_its_prefix() -> None:
    for statement in _statements("vault-exporter-policy.json"):
        assert statement["Effect"] == "Allow"
        asked = statement["Action"]
        actions = [str(action) for action in asked] if isinstance(asked, list) else [str(asked)]
        assert not [action for action in actions if "Delete" in action or "*" in action or "Bypass" in action]
        if any("Object" in action for action in actions):
            assert str(statement["Resource"]).endswith("/vault-exports/*")


@pytest.mark.parametrize("name", ["state-bucket-policy.json", "second-copy-bucket-policy.json"])
def test_the_bucket_policies_only_deny(name: str) -> None:
    statements = _statements(name)
    assert {statement["Effect"] for statement in statements} == {"Deny"}
    assert any(statement["Sid"] == "TlsOnly" for statement in statements)


def test_every_variable_that_the_code_reads_is_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text()
    read = {name for path in PRODUCT for name in VARIABLE.findall(path.read_text())}
    assert {"INFISICAL_URL", "SLACK_BOT_TOKEN", "RAXX_BCP_POLICY"} <= read, "the search must find something"
    assert sorted(name for name in read if not re.search(rf"^#?{name}=", example, re.MULTILINE)) == []


def test_every_variable_of_the_example_is_read_somewhere() -> None:
    named = re.findall(
        r"^((?:RAXX_BCP|INFISICAL|SLACK|HEROKU)_[A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE
    )
    code = "\n".join(
        path.read_text() for room in ("raxx_bcp", "raxx_bcp_sandbox") for path in (ROOT / room).rglob("*.py")
    )
    assert [name for name in named if f'"{name}"' not in code] == []


def test_the_production_instance_loads_in_dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAXX_BCP_LOG_BUCKET", "some-bucket")
    (tmp_path / "dagster.yaml").write_text((ROOT / "deploy" / "dagster.yaml").read_text())
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert type(instance.compute_log_manager).__name__ == "S3ComputeLogManager"
        assert instance.run_monitoring_max_runtime_seconds > 0
        assert not instance.telemetry_enabled


def test_the_units_start_commands_that_exist_and_keep_plaintext_off_the_disk() -> None:
    assert len(UNITS) == 3
    for unit in UNITS:
        text = unit.read_text()
        (command,) = re.findall(r"^ExecStart=/opt/raxx-bcp/\.venv/bin/(\S+)", text, re.MULTILINE)
        assert (Path(sys.executable).parent / command).exists(), command
        for line in ("LimitCORE=0", "MemorySwapMax=0", "NoNewPrivileges=true", "UMask=0077"):
            assert line in text.splitlines(), f"{unit.name} lacks {line}"


def test_the_workspace_and_the_code_server_agree() -> None:
    (location,) = yaml.safe_load((ROOT / "deploy" / "workspace.yaml").read_text())["load_from"]
    server = location["grpc_server"]
    unit = (ROOT / "deploy" / "systemd" / "raxx-bcp-code.service").read_text()
    assert f"--host {server['host']} --port {server['port']} --location-name {server['location_name']}" in unit


def test_the_scripts_are_whole() -> None:
    assert subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=False).returncode == 0


def test_the_help_desk_may_put_dump_sets_and_do_nothing_else() -> None:
    (statement,) = _statements("freescout-backup-policy.json")
    assert statement["Effect"] == "Allow"
    assert statement["Action"] == ["s3:PutObject", "s3:AbortMultipartUpload"]
    assert str(statement["Resource"]).endswith("/freescout-dumps/*")


def test_whoever_prunes_dump_sets_deletes_there_only_and_no_version() -> None:
    actions: dict[str, str] = {}
    for statement in _statements("freescout-retention-policy.json"):
        assert statement["Effect"] == "Allow"
        actions[str(statement["Action"])] = str(statement["Resource"])
    assert set(actions) == {"s3:ListBucket", "s3:GetBucketVersioning", "s3:GetObject", "s3:DeleteObject"}
    assert actions["s3:DeleteObject"].endswith("/freescout-dumps/*")
    assert actions["s3:GetObject"].endswith("/manifest.json")


def test_the_sandbox_enforces_the_help_desks_policy_of_production() -> None:
    known = identities(defaultdict(str), "raxx-iac-state-prod", "elsewhere")
    (content,) = [one["content"] for one in known["policies"] if one["name"] == "freescout-backup"]
    ours, theirs = _statements("freescout-backup-policy.json"), json.loads(content)["Statement"]
    assert [{name: one[name] for name in one if name != "Sid"} for one in ours] == theirs


def test_the_help_desks_backup_is_over_before_its_own_hour_ends() -> None:
    folder = ROOT / "deploy" / "freescout-backup"
    begins = re.search(r"OnCalendar=\*-\*-\* (\d\d):(\d\d):00 UTC", (folder / "freescout-backup.timer").read_text())
    lasts = re.search(r"TimeoutStartSec=(\d+)min", (folder / "freescout-backup.service").read_text())
    assert begins
    assert lasts
    over = timedelta(hours=int(begins[1]), minutes=int(begins[2]) + int(lasts[1]))
    hour, _, minute = FreeScout().backup_ends_utc.partition(":")
    assert over <= timedelta(hours=int(hour), minutes=int(minute))
