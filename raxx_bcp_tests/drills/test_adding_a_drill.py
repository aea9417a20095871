"""The worked example of ``docs/adding-a-drill.md``, run as it stands: a drill is one folder and one line."""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from raxx_bcp.commands.drill_options import command_of
from raxx_bcp.drills.assets import drill_asset
from raxx_bcp.drills.kind import Asked, Kind
from raxx_bcp.evidence.row import Verdict
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx
from raxx_bcp.waiting import silent

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adding-a-drill.md"
NOW = datetime(2031, 3, 14, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def kind() -> Iterator[Kind[Any]]:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code.splitlines()) <= 80, "the example stays short enough to be read at once"
    module = types.ModuleType("price_list_example")
    sys.modules[module.__name__] = module
    exec(compile(code, str(PAGE), "exec"), module.__dict__)  # noqa: S102 - our own page
    yield module.__dict__["PRICES"]
    del sys.modules[module.__name__]


@pytest.fixture
def raxx(policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Raxx]:
    monkeypatch.setenv("RAXX_BCP_STATE_DIR", str(tmp_path / "state"))
    made = Raxx(policy, clock=lambda: NOW)
    bucket = made.state_bucket()
    bucket.put("price-lists/2031-03-13.json", b'{"a-1": 250, "a-2": 900}', content_type="application/json", metadata={})
    yield made
    for version in ("2031-03-13", "2031-03-14"):
        bucket._client.delete_object(Bucket=bucket.name, Key=f"price-lists/{version}.json")


def test_it_restores_and_passes_and_leaves_its_row_and_nothing_else(kind: Kind[Any], raxx: Raxx) -> None:
    done = kind.start(raxx, Asked("alice"), kind.wanted(), silent)
    assert (done.verdict, done.drill.leases.confirmed) == (Verdict.PASS, True)
    assert done.drill.rpo_seconds == (NOW - datetime(2031, 3, 13, tzinfo=UTC)).total_seconds()
    (row,) = raxx.record().ledger.rows()
    assert row.sequence == done.row_sequence


def test_a_broken_backup_fails_it(kind: Kind[Any], raxx: Raxx) -> None:
    bad = json.dumps({"a-1": 250, "a-2": 0}).encode()
    raxx.state_bucket().put("price-lists/2031-03-14.json", bad, content_type="application/json", metadata={})
    done = kind.start(raxx, Asked("alice"), kind.wanted(), silent)
    assert (done.verdict, done.drill.leases.confirmed) == (Verdict.FAIL, True)
    assert kind.start(raxx, Asked("alice"), kind.wanted("2031-03-13"), silent).verdict is Verdict.PASS
    assert kind.start(raxx, Asked("alice"), kind.wanted("2031-03-01"), silent).verdict is Verdict.FAIL


def test_its_command_and_its_form_in_dagster_come_by_themselves(kind: Kind[Any], raxx: Raxx) -> None:
    asked: list[tuple[Asked, Any]] = []

    def start(_kind: Kind[Any], who: Asked, wanted: Any, _as_json: bool) -> int:  # noqa: FBT001 - as ``Start`` says
        asked.append((who, wanted))
        return 0

    command = command_of(kind, start)
    ended = CliRunner().invoke(command, ["--operator", "alice", "--date", "2031-03-13"])
    assert ended.exit_code == 0, ended.output
    assert asked == [(Asked("alice"), kind.wanted("2031-03-13"))]
    assert "newest, or the list's day" in CliRunner().invoke(command, ["--help"]).output

    config = {"operator": "alice", "date": "2031-03-13"}
    result = dg.materialize(
        [drill_asset(kind, raxx.policy)],
        resources={"raxx": raxx},
        run_config={"ops": {kind.asset: {"config": config}}},
    )
    assert result.success
