"""The stand-in as the sandbox starts it, judged by the real AWS CLI; killed, and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests
from botocore.exceptions import ClientError

from raxx_bcp_sandbox.lightsail.__main__ import KEY_VARIABLE, SECRET_VARIABLE, main
from raxx_bcp_tests.sandbox.lightsail.lab import KEY, Lab, lightsail_process

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient

VAULT, TICKETS = "raxx-vault", "raxx-tickets"
AWS = Path(sys.executable).with_name("aws")

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def process() -> Iterator[Lab]:
    """One process for the module; its snapshots take a moment that nobody has to wait for."""
    with lightsail_process(pending_seconds=60) as lab:
        yield lab


@pytest.fixture
def aws(process: Lab, tmp_path: Path) -> Cli:
    """``aws lightsail …`` with a home of its own: no profile, no file, no proxy of the developer's is seen."""
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "AWS_PAGER": "",
        "AWS_MAX_ATTEMPTS": "1",
        **process.environment(),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, str(AWS), "lightsail", *arguments, "--output", "json"]
        return subprocess.run(argv, env=environment, cwd=tmp_path, text=True, capture_output=True, check=False)

    return run


def answer(result: subprocess.CompletedProcess[str]) -> Any:
    """What the CLI printed, when it did what it was asked."""
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class TestTheAwsCli:
    def test_takes_lists_copies_and_deletes_a_snapshot(self, process: Lab, aws: Cli) -> None:
        name = "cli-snapshot"
        named = ("--instance-snapshot-name", name)
        taken = aws("create-instance-snapshot", "--instance-name", VAULT, *named, "--tags", "key=a,value=b")
        assert answer(taken)["operations"][0]["status"] == "Started"
        twice = aws("create-instance-snapshot", "--instance-name", VAULT, *named)
        assert twice.returncode != 0
        assert "InvalidInputException" in twice.stderr
        assert f"Some names are already in use: {name}" in twice.stderr
        process.advance(61)
        listed = {each["name"]: each for each in answer(aws("get-instance-snapshots"))["instanceSnapshots"]}
        assert (listed[name]["state"], listed[name]["tags"]) == ("available", [{"key": "a", "value": "b"}])
        copied = aws(
            *("copy-snapshot", "--region", "eu-central-1", "--source-region", "us-east-1"),
            *("--source-snapshot-name", name, "--target-snapshot-name", name),
        )
        assert answer(copied)["operations"][0]["location"]["regionName"] == "eu-central-1"
        assert answer(aws("delete-instance-snapshot", *named))["operations"][0]["isTerminal"]
        gone = aws("get-instance-snapshot", *named)
        assert f"The InstanceSnapshot does not exist: {name}" in gone.stderr

    def test_shows_automatic_snapshots(self, aws: Cli) -> None:
        shown = answer(aws("get-auto-snapshots", "--resource-name", TICKETS))
        assert (shown["resourceType"], len(shown["autoSnapshots"])) == ("Instance", 7)

    @pytest.mark.parametrize(("hour", "taken"), [("18:00", True), ("06:30", False)])
    def test_switches_the_add_on_on_at_full_hours_only(self, aws: Cli, hour: str, *, taken: bool) -> None:
        request = f"addOnType=AutoSnapshot,autoSnapshotAddOnRequest={{snapshotTimeOfDay={hour}}}"
        result = aws("enable-add-on", "--resource-name", VAULT, "--add-on-request", request)
        if taken:
            assert answer(result)["operations"][0]["operationType"] == "EnableAddOn"
        else:
            assert result.returncode != 0
            assert "must be in HH:00 format" in result.stderr


class TestTheProcess:
    def test_kill_nine_and_a_restart_lose_nothing(self, process: Lab) -> None:
        client = process.client()
        client.create_instance_snapshot(instanceName=VAULT, instanceSnapshotName="pending-when-killed")
        process.advance(5)
        before, offset = client.get_instance_snapshots()["instanceSnapshots"], _offset(process)
        operations = client.get_operations()["operations"]
        process.kill()
        process.start()
        assert client.get_instance_snapshots()["instanceSnapshots"] == before
        assert client.get_operations()["operations"] == operations
        assert _offset(process) == offset
        process.advance(60)
        shown = client.get_instance_snapshot(instanceSnapshotName="pending-when-killed")["instanceSnapshot"]
        assert shown["state"] == "available"
        assert len(client.get_auto_snapshots(resourceName=TICKETS)["autoSnapshots"]) == 7

    def test_what_fell_due_while_it_was_away_has_happened(self, tmp_path: Path) -> None:
        store = tmp_path / "store.sqlite3"
        with lightsail_process(store=store) as lab:
            lab.client().create_instance_snapshot(instanceName=VAULT, instanceSnapshotName="a-snapshot")
            lab.advance(3600)
        with lightsail_process(store=store, now="2031-04-01T00:00:00Z") as lab:
            assert lab.now().isoformat() < "2031-03-14T08", "a store that has a time keeps it"
            shown = lab.client().get_instance_snapshot(instanceSnapshotName="a-snapshot")["instanceSnapshot"]
            assert shown["state"] == "available"

    def test_only_loopback_is_listened_on_and_no_secret_is_in_argv(self, process: Lab) -> None:
        assert process.process is not None
        running = psutil.Process(process.process.pid)
        listening = [each for each in running.net_connections(kind="inet") if each.status == "LISTEN"]
        assert {each.laddr.ip for each in listening} == {"127.0.0.1"}
        assert KEY.secret not in " ".join(running.cmdline())

    def test_of_many_at_once_one_gets_the_name(self, process: Lab) -> None:
        clients = [process.client() for _ in range(8)]

        def take(client: LightsailClient) -> str:
            try:
                client.create_instance_snapshot(instanceName=VAULT, instanceSnapshotName="only-once")
            except ClientError as error:
                return error.response["Error"]["Message"]
            return "taken"

        with ThreadPoolExecutor(len(clients)) as pool:
            said = Counter(pool.map(take, clients))
        assert said == {"taken": 1, "Some names are already in use: only-once": 7}


class TestTheClock:
    @pytest.mark.parametrize(
        "wrong",
        [
            b"{",
            b"[]",
            b"{}",
            b'{"advance_seconds": -1}',
            b'{"advance_seconds": "60"}',
            b'{"advance_seconds": NaN}',
            b'{"advance_seconds": 1e300}',
            b'{"advance_seconds": 1, "now_utc": "2031-03-14T06:29:00Z"}',
            b'{"now_utc": "tomorrow"}',
            b'{"now_utc": "2031-03-14T06:29:00"}',
        ],
    )
    def test_nonsense_leaves_it_alone(self, process: Lab, wrong: bytes) -> None:
        before = _offset(process)
        refused = requests.put(f"{process.url}/_sandbox/clock", data=wrong, timeout=5)
        assert refused.status_code == 400
        assert refused.json()["error"].startswith("The clock was not changed")
        assert _offset(process) == before

    def test_it_runs_and_can_be_moved(self, process: Lab) -> None:
        before = process.now()
        process.advance(3600)
        assert 3600 <= (process.now() - before).total_seconds() < 3660
        process.set_now("2031-06-01T00:00:00Z")
        assert process.now().isoformat().startswith("2031-06-01T00:00")


def _offset(lab: Lab) -> float:
    return float(requests.get(f"{lab.url}/_sandbox/clock", timeout=5).json()["offset_seconds"])


@pytest.mark.parametrize("environment", [{}, {KEY_VARIABLE: "AKIA"}, {SECRET_VARIABLE: "x"}])
def test_without_a_key_to_accept_it_does_not_start(
    environment: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--port", "1", "--store", str(tmp_path / "s")], environment)
    assert caught.value.code == 2
    assert f"{KEY_VARIABLE} and {SECRET_VARIABLE} must be set" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
