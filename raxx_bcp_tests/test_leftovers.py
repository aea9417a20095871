"""The check at the end of a test run: a process that a test left fails the run, by name; a tidy run stays as it was."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from raxx_bcp.clients.gpg_decrypt import stop_agents
from raxx_bcp_tests.leftovers import left_behind

CONFTEST = """
from raxx_bcp_tests import leftovers
leftovers._GRACE_SECONDS = 0.5
from raxx_bcp_tests.conftest import pytest_configure
"""
TIDY = """
import pathlib, subprocess, sys, tempfile
def test_where():
    pathlib.Path("where").write_text(tempfile.mkdtemp())
def test_tidy(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=tmp_path) as process:
        process.kill()
"""
HEAD = """
import os, subprocess, sys, tempfile
def start(*more, **how):
    argv = [sys.executable, "-c", "import time; time.sleep(60)", *more]
    subprocess.Popen(argv, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how)
"""
LEFT = {
    "its environment": f"{HEAD}\ndef test_it(): start()",
    "its command line": f"{HEAD}\ndef test_it(tmp_path): start(f'--datadir={{tmp_path}}', env={{}})",
    "its working directory": f"{HEAD}\ndef test_it(): start(cwd=tempfile.mkdtemp(), env={{}})",
}
WORKERS = pytest.mark.parametrize("workers", ["0", "2"], ids=["in one process", "with workers"])


@pytest.fixture(autouse=True)
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run inside this one, as if it was not inside; what it leaves is ended."""
    pytester.makeconftest(CONFTEST)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setenv("HOME", str(pytester.path))
    yield pytester.path
    for process in left_behind([pytester.path], time.time() - 600):
        process.kill()


def run(pytester: pytest.Pytester, workers: str, test: str) -> pytest.RunResult:
    """A whole run of ``test`` in a process of its own."""
    pytester.makepyfile(test_inner=test)
    return pytester.runpytest_subprocess("-n", workers, "-p", "no:cacheprovider", f"--rootdir={pytester.path}")


@WORKERS
@pytest.mark.parametrize("evidence", LEFT)
def test_a_process_that_stayed_fails_the_run_and_is_named(
    pytester: pytest.Pytester, workers: str, evidence: str
) -> None:
    result = run(pytester, workers, LEFT[evidence])
    result.assert_outcomes(passed=1)
    (line,) = [line for line in result.outlines if "left a process behind" in line]
    left = re.search(r"pid (\d+), \S*python\S* -c import time; time\.sleep\(60\)", line)
    assert left is not None
    assert psutil.pid_exists(int(left.group(1)))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    psutil.Process(int(left.group(1))).kill()


@WORKERS
def test_a_tidy_run_passes_and_its_folder_is_gone(pytester: pytest.Pytester, workers: str) -> None:
    result = run(pytester, workers, TIDY)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    assert "left a process behind" not in result.stdout.str()
    made = Path((pytester.path / "where").read_text())
    assert made.parent.name.startswith("rt-")
    assert not made.parent.exists()


def test_an_agent_of_gnupg_is_found(pytester: pytest.Pytester) -> None:
    """It puts itself into the background, as the two did that this check was made for."""
    home = Path(tempfile.mkdtemp(prefix="lo-", dir="/tmp"))
    try:
        agent = f"subprocess.run(['gpg-agent', '--homedir', {str(home)!r}, '--daemon'], check=True, stdout=-3)"
        result = run(pytester, "0", f"{HEAD}\ndef test_it(): {agent}")
        assert re.search(r"left a process behind: pid \d+, gpg-agent --homedir", result.stdout.str())
        assert result.ret == pytest.ExitCode.TESTS_FAILED
    finally:
        stop_agents(home)
        shutil.rmtree(home)


def test_a_process_of_another_run_is_not_ours(tmp_path: Path) -> None:
    mine, others = tmp_path / "pytest-5", tmp_path / "pytest-51"
    for each in (mine, others):
        each.mkdir()
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(argv, cwd=others, env={"TMPDIR": str(others)}) as process:
        try:
            assert left_behind([mine], time.time()) == []
            assert [each.pid for each in left_behind([others], time.time())] == [process.pid]
            assert left_behind([others], time.time() + 3600) == [], "it ran before"
        finally:
            process.kill()
    assert left_behind([others], time.time()) == []


def test_those_above_are_not_left_behind() -> None:
    names_itself = Path(os.environ["TMPDIR"])
    assert os.getpid() not in [each.pid for each in left_behind([names_itself], 0)]
