"""kill -9 at any moment of an export loses nothing: yesterday's state, or a complete object."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from raxx_bcp.clients import openpgp
from raxx_bcp.policy import Policy
from raxx_bcp_tests.faults.commands import private_environ, run, start
from raxx_bcp_tests.vault.world import state_bucket, stored

MOMENTS = (
    "key ",
    "reading ",
    "read raxx-ops/dev",
    "read raxx-platform/preview",
    "encrypted ",
    "stored ",
    "second copy",
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rb-") as made:
        yield Path(made)


def _kill_when_it_says(environ: dict[str, str], words: str) -> bool:
    """SIGKILL at the first line of progress that starts with ``words``; did it come to that line?"""
    child = start(environ, "vault", "export", "--json")
    assert child.stderr is not None
    reached = False
    for line in child.stderr:
        if line.startswith(words):
            child.kill()
            reached = True
            break
    child.communicate(timeout=60)
    return reached


def _exports_are_whole(policy: Policy) -> int:
    """Every stored version of every export is one whole message; how many there are."""
    bucket = state_bucket(policy)
    count = 0
    for key, versions in stored(policy).items():
        for version in versions if key.endswith(".gpg") else ():
            assert openpgp.inspect(bucket.get(key, version_id=version)).recipients
            count += 1
    return count


@pytest.mark.parametrize("there_before", [False, True])
def test_a_killed_export_leaves_the_old_state_or_a_whole_object(
    policy: Policy, sandbox_environ: dict[str, str], folder: Path, *, there_before: bool
) -> None:
    environ = private_environ(sandbox_environ, folder, policy.vault_export.prefix)
    if there_before:
        assert run(environ, "vault", "export").returncode == 0
    before = _exports_are_whole(policy)
    for moment in MOMENTS:
        assert _kill_when_it_says(environ, moment), f"the export never said {moment!r}"
        after = _exports_are_whole(policy)
        assert after - before in ((0,) if MOMENTS.index(moment) < 4 else (0, 1))
        before = after
    last = run(environ, "vault", "export", "--json")
    assert last.returncode == 0, last.stderr
    assert json.loads(last.stdout)["secret_count"] == 335
    assert run(environ, "vault", "verify").returncode == 0
