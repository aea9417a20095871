"""The stand-in as a part of the sandbox: what it hands out, that it outlives kills, and that it leaves nothing."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests

from raxx_bcp_sandbox.heroku.__main__ import KEY_VARIABLE, main
from raxx_bcp_sandbox.parts import heroku
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.sandbox.conftest import MakeSandbox, kill
from raxx_bcp_tests.sandbox.heroku.lab import free_port
from raxx_bcp_tests.sandbox.heroku.test_backups import until

TRANSFERS = "/apps/raxx-app-prod/transfers"


@pytest.fixture
def local(make: MakeSandbox) -> Sandbox:
    """A sandbox of this part alone, up."""
    sandbox = make([heroku.PART])
    sandbox.up()
    return sandbox


def call(local: Sandbox, method: str, path: str, body: Any = None, *, data: bool = False) -> Any:
    """A call with what the environment says, and nothing else."""
    environment = local.environment()
    url = environment["HEROKU_DATA_URL" if data else "HEROKU_API_URL"] + path
    headers = {"authorization": f"Bearer {environment['HEROKU_API_KEY']}"}
    answer = requests.request(method, url, json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json()


def throwaway(local: Sandbox, name: str) -> dict[str, Any]:
    """An app with a database that is ready."""
    call(local, "POST", "/apps", {"name": name})
    addon: dict[str, Any] = call(local, "POST", f"/apps/{name}/addons", {"plan": "heroku-postgresql"})
    until(lambda: not call(local, "GET", f"/databases/{addon['id']}/wait_status", data=True)["waiting?"])
    return addon


def pid_of(local: Sandbox) -> int:
    """The pid of the stand-in."""
    pid = local.status().part("heroku").pid
    assert pid is not None
    return pid


def family(local: Sandbox) -> list[psutil.Process]:
    """The stand-in, its PostgreSQL, and all of its workers."""
    main_process = psutil.Process(pid_of(local))
    return [main_process, *main_process.children(recursive=True)]


def ended(processes: list[psutil.Process]) -> bool:
    """Does none of them run any more?"""
    return not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)


def test_a_life(local: Sandbox, make: MakeSandbox, home: Path) -> None:
    """Up, used, killed in the middle of a restore, up again with all that was there, down, and nothing is left."""
    environment = local.environment()
    assert set(environment) == {
        "HEROKU_API_KEY",
        "HEROKU_API_URL",
        "HEROKU_DATA_URL",
        "PG_BIN",
        "RAXX_BCP_HEROKU_POSTGRES__POLL_SECONDS",
        "RAXX_BCP_SANDBOX_DIR",
    }
    assert environment["HEROKU_DATA_URL"] == f"{environment['HEROKU_API_URL']}/client/v11"
    assert (Path(environment["PG_BIN"]) / "pg_restore").is_file()
    running = family(local)
    assert not [each for each in running if environment["HEROKU_API_KEY"] in " ".join(each.cmdline())]
    assert stat.S_IMODE((home / "heroku").stat().st_mode) == 0o700
    for path in [home / "heroku" / "heroku.sqlite3", *(home / "heroku" / "backups").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    addon = throwaway(local, "raxx-drill-1")
    local.break_("heroku-restore-hangs")
    url = call(local, "POST", f"{TRANSFERS}/7/actions/public-url", data=True)["url"]
    restore = call(local, "POST", f"/databases/{addon['id']}/restores", {"backup_url": url}, data=True)
    running = family(local)
    kill(pid_of(local))
    assert local.up().active_faults == ("heroku-restore-hangs",)
    assert ended(running)
    interrupted = call(local, "GET", f"/apps/raxx-drill-1/transfers/{restore['uuid']}?verbose=true", data=True)
    assert (interrupted["succeeded"], interrupted["logs"][-1]["message"]) == (False, "interrupted")
    assert requests.get(url, timeout=10).content[:5] == b"PGDMP"
    config = call(local, "GET", "/apps/raxx-drill-1/config-vars")
    with psycopg.connect(config["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT current_user = session_user").fetchone() == (True,)

    running = family(local)
    assert make([heroku.PART]).down() == ("heroku",)
    assert ended(running)
    local.up()
    assert call(local, "GET", "/apps/raxx-drill-1")["name"] == "raxx-drill-1"
    assert local.mend_all() == ("heroku-restore-hangs",)

    running = family(local)
    kill(pid_of(local))
    assert not ended(running), "PostgreSQL outlives its parent, which is what `down` has to see"
    local.down(purge=True)
    assert ended(running)
    assert not home.exists()


class TestTheCommandLine:
    def test_without_a_key_it_says_so(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        arguments = ["--port=1", "--postgres-port=1", f"--directory={tmp_path / 'd'}"]
        with pytest.raises(SystemExit) as left:
            main(arguments, {})
        assert left.value.code == 2
        assert KEY_VARIABLE in capsys.readouterr().err
        assert not (tmp_path / "d").exists()

    def test_without_postgresql_it_says_so(self, tmp_path: Path) -> None:
        done = self.run(tmp_path, PG_BIN=str(tmp_path))
        assert (done.returncode, done.stderr.startswith(f"PostgreSQL was not found in {tmp_path}")) == (2, True)
        assert "Traceback" not in done.stderr

    def run(self, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it with little in its environment."""
        options = {"port": free_port(), "postgres-port": free_port(), "directory": directory / "d"}
        return subprocess.run(
            [sys.executable, "-m", "raxx_bcp_sandbox.heroku", *(f"--{name}={each}" for name, each in options.items())],
            env={"PYTHONPATH": str(Path(__file__).parents[3]), KEY_VARIABLE: "key", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
