"""``raxx-bcp sandbox`` from the outside: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raxx_bcp_sandbox import processes
from raxx_bcp_sandbox.commands.sandbox import sandbox as group
from raxx_bcp_sandbox.supervisor import Sandbox

ROOT = Path(__file__).parents[2]
START = "Run raxx-bcp sandbox up to have one here."
RUN = "from raxx_bcp_sandbox.commands.sandbox import sandbox; sandbox(prog_name='raxx-bcp sandbox')"


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
        """A folder that the variable names, where no sandbox is. The machine may run others: here it runs none."""
        monkeypatch.setenv("RAXX_BCP_SANDBOX_DIR", str(tmp_path / "none"))
        monkeypatch.setattr(processes, "directories", list)
        return tmp_path / "none"

    @pytest.mark.parametrize("arguments", [("env",), ("break", "s3-down"), ("mend", "--all")])
    def test_it_is_said_that_none_is_up(self, nowhere: Path, arguments: tuple[str, ...]) -> None:
        result = run(*arguments, "--json")
        assert result.exit_code == 2
        assert json.loads(result.stdout) == {
            "ok": False,
            "status": "usage",
            "error": f"No sandbox is up in {nowhere} (RAXX_BCP_SANDBOX_DIR says so).",
            "remedy": f"{START} If yours is in another folder, run the command there, or set RAXX_BCP_SANDBOX_DIR to "
            "its .sandbox.",
        }

    def test_status_and_down_say_where_they_looked_and_what_to_do(self, nowhere: Path) -> None:
        status, down, purge = run("status"), run("down"), run("down", "--purge")
        assert [each.exit_code for each in (status, down, purge)] == [1, 0, 0]
        assert status.stdout.startswith(f"No sandbox in {nowhere} (RAXX_BCP_SANDBOX_DIR says so). {START} If yours")
        assert down.stdout == purge.stdout == f"Nothing was running. {status.stdout}"
        assert not nowhere.exists()
        assert json.loads(run("status", "--json").stdout)["missing"] == status.stdout.strip()
        assert json.loads(run("down", "--purge", "--json").stdout)["purged"] is False

    def test_without_the_variable_it_is_the_folder_of_the_command(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("RAXX_BCP_SANDBOX_DIR")
        monkeypatch.chdir(tmp_path)
        where = f"{tmp_path / '.sandbox'} (the folder where this command was run; RAXX_BCP_SANDBOX_DIR is not set)"
        assert f"No sandbox in {where}. {START}" in run("status").stdout
        assert f"No sandbox is up in {where}." in run("env").stderr


def test_one_that_is_up_elsewhere_is_named(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = processes.directories()
    assert sandbox.directory in found
    monkeypatch.setattr(processes, "directories", lambda: [sandbox.directory, tmp_path / "gone"])
    monkeypatch.delenv("RAXX_BCP_SANDBOX_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert run("env").stderr.endswith(
        f"{START} For one that is up elsewhere ({sandbox.directory}): export RAXX_BCP_SANDBOX_DIR={sandbox.directory}\n"
    )


def test_a_sandbox_that_is_there_is_not_called_missing(here: Sandbox) -> None:
    assert json.loads(run("status", "--json").stdout)["missing"] == ""
    assert run("status").stdout.startswith(f"Sandbox in {here.directory}\n")


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
