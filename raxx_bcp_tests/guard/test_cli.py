"""``raxx-bcp host guard`` as a person types it, on the sandbox's own production hosts."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raxx_bcp.policy import Policy
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.faults.commands import private_environ, run

HOST = "raxx-vault"


@pytest.fixture
def environ(sandbox_environ: dict[str, str], policy: Policy) -> Iterator[dict[str, str]]:
    """Nothing was ever seen of any guard."""
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        private = private_environ(sandbox_environ, Path(folder), policy.vault_export.prefix)
        yield {**private, "RAXX_BCP_COPY_GUARD__SIGHTINGS_PREFIX": f"test-{uuid.uuid4().hex[:12]}-guards/"}


def guard(environ: dict[str, str], verb: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = run(environ, "host", "guard", verb, HOST, "--operator", "alice", *arguments, "--json")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_status_uninstall_and_install_each_look_and_put_it_on_record(environ: dict[str, str]) -> None:
    first = guard(environ, "status")
    assert (first["guarded"], first["machine"], first["kind"]) == (True, "same", "vault")
    since = first["guarded_since_utc"]
    assert since
    assert guard(environ, "status")["guarded_since_utc"] == since
    try:
        gone = guard(environ, "uninstall", "--yes")
        assert (gone["guarded"], gone["machine"], gone["guarded_since_utc"]) == (False, "not-installed", None)
        assert "is not installed" in guard(environ, "status", code=1)["why"]
        listed = json.loads(run(environ, "snapshot", "list", "--json").stdout)
        assert listed["guarded_since_utc"][HOST] is None
        assert {row["guarded"] for row in listed["snapshots"]} == {"no"}
    finally:
        again = guard(environ, "install")
    assert again["guarded"]
    assert again["guarded_since_utc"] >= since


def test_another_host_is_refused(environ: dict[str, str]) -> None:
    done = run(environ, "host", "guard", "status", "raxx-nothing", "--json")
    assert done.returncode == 2
    assert "raxx-nothing is no host with a copy guard" in done.stderr


def test_doctor_says_since_when(environ: dict[str, str]) -> None:
    def said() -> dict[str, Any]:
        checks = json.loads(run(environ, "doctor", "--json").stdout)["checks"]
        (found,) = [check for check in checks if check["name"] == f"copy guard of {HOST}"]
        return dict(found)

    assert said()["status"] == "WARN"
    assert "no copy guard was ever seen" in said()["detail"]
    guard(environ, "status")
    assert said()["status"] == "PASS"
    assert "guarded since" in said()["detail"]


def test_a_host_that_has_lost_it_is_refused_until_it_is_mended(
    breakable_sandbox: Sandbox, environ: dict[str, str]
) -> None:
    """The fault that a person can switch on: the record says that no guard was found."""
    del environ["RAXX_BCP_COPY_GUARD__SIGHTINGS_PREFIX"]
    here = {**environ, **breakable_sandbox.environment(), "RAXX_BCP_VAULT_DRILL__RPO_HOURS": "700"}
    breakable_sandbox.break_("host-unguarded")
    try:
        done = run(here, "drill", "vault-snapshot", "--operator", "alice", "--json")
        assert done.returncode == 3, done.stderr
        assert "and was not there later" in json.loads(done.stdout)["findings"][0]
    finally:
        breakable_sandbox.mend("host-unguarded")
    listed = json.loads(run(here, "snapshot", "list", "--json").stdout)
    assert {row["guarded"] for row in listed["snapshots"]} == {"yes"}
