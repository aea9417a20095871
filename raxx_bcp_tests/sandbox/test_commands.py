"""``raxx-bcp sandbox`` from the outside: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raxx_bcp.commands.sandbox import sandbox as group
from raxx_bcp.sandbox import processes
from raxx_bcp.sandbox.supervisor import Sandbox

ROOT = Path(__file__).parents[2]
RUN = "from raxx_bcp.commands.sandbox import sandbox; sandbox(prog_name='raxx-bcp sandbox')"


@pytest.fixture
def here(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The shared sandbox, as the one that commands talk about."""
    monkeypatch.setenv("RAXX_BCP_SANDBOX_DIR", str(sandbox.directory))
    return sandbox


def run(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(group, arguments)


class TestTheSharedSandbox:
    @pytest.mark.usefixtures("here")
    def test_status(self) -> None:
        result = run("status", "--json")
        assert result.exit_code == 0
        report = json.loads(result.stdout)
        assert report["ok"]
        assert [part["name"] for part in report["parts"]] == [
            "keys",
            "s3",
            "lightsail",
            "heroku",
            "infisical",
            "infisical-drill",
            "slack",
        ]
        assert "running" in run("status").stdout

    def test_env_can_be_evaluated_and_undoes_what_would_lead_astray(self, here: Sandbox) -> None:
        printed = run("env").stdout
        script = 'eval "$1"; echo "$SLACK_API_URL|$AWS_SECRET_ACCESS_KEY|${AWS_PROFILE-unset}"'
        shell = ["bash", "-c", script, "bash", printed]
        environment = {**os.environ, "AWS_PROFILE": "production"}
        evaluated = subprocess.run(shell, env=environment, text=True, capture_output=True, check=True)
        expected = here.environment()
        assert evaluated.stdout.strip().split("|") == [
            expected["SLACK_API_URL"],
            expected["AWS_SECRET_ACCESS_KEY"],
            "unset",
        ]
        as_json = json.loads(run("env", "--json").stdout)
        assert as_json["environment"] == expected
        assert "AWS_PROFILE" in as_json["unset"]

    @pytest.mark.usefixtures("here", "breakable_sandbox")
    def test_break_and_mend(self) -> None:
        broken = run("break", "key-expired")
        assert broken.exit_code == 0
        assert "raxx-bcp sandbox mend key-expired" in broken.stdout
        assert "broken by key-expired" in run("status").stdout
        assert json.loads(run("break", "slack-down", "--json").stdout)["fault"]["active"]
        assert run("mend", "key-expired").stdout == "Mended: key-expired.\n"
        assert json.loads(run("mend", "--all", "--json").stdout)["mended"] == ["slack-down"]
        assert run("mend", "--all").stdout == "Nothing was broken.\n"

    @pytest.mark.parametrize("arguments", [("mend",), ("mend", "key-expired", "--all"), ("break", "nonsense")])
    @pytest.mark.usefixtures("here")
    def test_wrong_use(self, arguments: tuple[str, ...]) -> None:
        result = run(*arguments)
        assert result.exit_code == 2
        assert "What to do:" in result.stderr


class TestWithoutASandbox:
    @pytest.fixture(autouse=True)
    def nowhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("RAXX_BCP_SANDBOX_DIR", str(tmp_path / "none"))
        return tmp_path / "none"

    @pytest.mark.parametrize("arguments", [("env",), ("break", "s3-down"), ("mend", "--all")])
    def test_it_is_said_that_none_is_up(self, nowhere: Path, arguments: tuple[str, ...]) -> None:
        result = run(*arguments, "--json")
        assert result.exit_code == 2
        assert json.loads(result.stdout) == {
            "ok": False,
            "error": f"No sandbox is up in {nowhere}.",
            "remedy": "Run raxx-bcp sandbox up first.",
        }

    def test_status_fails_and_down_does_nothing(self, nowhere: Path) -> None:
        assert run("status").exit_code == 1
        result = run("down")
        assert (result.exit_code, result.stdout) == (0, "Nothing was running.\n")
        assert not nowhere.exists()


def test_a_day_in_a_process_of_its_own(home: Path) -> None:
    """`up` in one process, whose children outlive it, `status` in another, `down --purge` in a third."""
    environment = {**os.environ, "RAXX_BCP_SANDBOX_DIR": str(home), "PYTHONPATH": str(ROOT)}

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", RUN, *arguments]
        return subprocess.run(argv, env=environment, cwd=home.parent, text=True, capture_output=True, check=False)

    up = command("up", "--json")
    assert up.returncode == 0, up.stderr
    report = json.loads(up.stdout)
    assert report["ok"]
    ports = [port for part in report["parts"] for port in part["ports"].values()]
    assert "Starting S3" in up.stderr
    assert command("status").returncode == 0
    down = command("down", "--purge")
    stopped = "Stopped: heroku, infisical, infisical-drill, lightsail, s3, slack."
    assert (down.returncode, down.stdout) == (0, f"{stopped} {home} was deleted.\n")
    assert not home.exists()
    assert processes.find(home.resolve()) == {}
    assert not [path for port in ports for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")]
