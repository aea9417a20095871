"""The guard on a host, over real SSH: what it says, and what becomes of what it cannot say."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from raxx_bcp.clients.host_access import HostAccess
from raxx_bcp.clients.ssh import Shell, connect
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, UsageError
from raxx_bcp.guard import hosts
from raxx_bcp.guard.hosts import FILES
from raxx_bcp.policy import Policy
from raxx_bcp_tests.clients.ssh_lab import Lab as Machine
from raxx_bcp_tests.clients.ssh_lab import ssh_lab
from raxx_bcp_tests.sandbox.lightsail.lab import lightsail_server

HEALTHY = (
    "version=1\\nkind=freescout\\ninstalled_utc=2031-03-14T09:00:00Z\\nmachine=same\\n"
    "identity_sha256=0123456789abcdef\\nlist_sha256=fedcba9876543210\\nwhole=yes\\na_copy_masks=69\\n"
)
HOST = "raxx-tickets"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Shell]]:
    with ssh_lab(tmp_path_factory.mktemp("host")) as machine, connect(machine.access(), machine.port) as shell:
        yield machine, shell


@pytest.fixture
def machine(served: tuple[Machine, Shell]) -> Machine:
    """One where the guard is in order."""
    machine = served[0]
    machine.program("sudo", 'shift; exec "$@"')
    machine.program("copy-guard", f'[ "$1" = status ] && printf "{HEALTHY}"; echo "$@" >>guard.log')
    (machine.home / "guard.log").unlink(missing_ok=True)
    return machine


@pytest.fixture
def shell(served: tuple[Machine, Shell]) -> Shell:
    return served[1]


def test_a_guarded_host_says_so(machine: Machine, shell: Shell) -> None:
    found = hosts.status(shell, HOST)
    assert found.in_order
    assert (found.kind, found.machine, found.a_copy_masks, found.why) == ("freescout", "same", 69, "")
    seen = found.sighting("alice", datetime(2031, 3, 14, tzinfo=UTC))
    assert (seen.guarded, seen.identity_sha256, seen.by) == (True, "0123456789abcdef", "alice")


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ('printf "machine=differs\\n"; exit 1', "takes it for a copy: its identity is not the one on record"),
        ('printf "machine=record-missing\\n"; exit 1', "no identity on record"),
        ('printf "machine=same\\nwhole=no\\n"; exit 1', "is not whole"),
        ('printf "machine=something-new\\n"; exit 1', "does not say what the machine is"),
    ],
)
def test_one_that_is_not_in_order_says_why(machine: Machine, shell: Shell, program: str, why: str) -> None:
    machine.program("copy-guard", program)
    found = hosts.status(shell, HOST)
    assert not found.in_order
    assert why in found.why
    assert not found.sighting("alice", datetime(2031, 3, 14, tzinfo=UTC)).guarded


def test_a_host_without_it_is_not_installed(machine: Machine, shell: Shell) -> None:
    (machine.home / "bin" / "copy-guard").unlink()
    found = hosts.status(shell, HOST)
    assert (found.machine, found.in_order) == ("not-installed", False)
    assert hosts.uninstall(shell, HOST).machine == "not-installed"


@pytest.mark.parametrize("program", ["exit 2", "exit 127", "echo hello", "kill $$"])
def test_one_that_cannot_be_asked_is_not_known(machine: Machine, shell: Shell, program: str) -> None:
    machine.program("copy-guard", program)
    with pytest.raises(CouldNotVerifyError, match="could not be asked"):
        hosts.status(shell, HOST)


def test_installing_brings_every_file_and_runs_the_guards_own_installer(machine: Machine, shell: Shell) -> None:
    """``tar`` stands in for unpacking: it keeps what came, and leaves an installer that only says that it ran."""
    installer = '#!/bin/sh\\necho "$@" >>"$HOME/guard.log"\\n'
    leave = f'printf \'{installer}\' >"$3/copy-guard"; chmod +x "$3/copy-guard"'
    machine.program("tar", f"cat >brought.tar; {leave}")
    assert hosts.install(shell, HOST, "freescout").in_order
    assert (machine.home / "guard.log").read_text().splitlines()[0] == "install freescout"
    with tarfile.open(fileobj=BytesIO((machine.home / "brought.tar").read_bytes())) as archive:
        modes = {member.name: member.mode for member in archive}
    assert {"copy-guard", "copy-guard-generator", "README.md", "lists/common", "lists/freescout"} <= set(modes)
    assert modes["copy-guard"] == modes["copy-guard-generator"] == 0o755


def test_a_refusal_is_the_guards_own_sentence(machine: Machine, shell: Shell) -> None:
    machine.program("copy-guard", "echo 'copy-guard: This machine is a copy: the guard stays.' >&2; exit 2")
    with pytest.raises(PermanentError, match=r"could not be removed from raxx-tickets: This machine is a copy"):
        hosts.uninstall(shell, HOST)


def test_the_guard_travels_with_the_package(tmp_path: Path) -> None:
    """deploy/ is not installed: the package has the same files by a link, which a wheel resolves."""
    assert FILES.resolve() == (Path(__file__).resolve().parents[2] / "deploy" / "copy-guard")
    for script in ("copy-guard", "copy-guard-generator"):
        assert subprocess.run(["sh", "-n", str(FILES / script)], check=False).returncode == 0


def test_the_door_logs_in_to_the_named_hosts_and_does_nothing_else() -> None:
    with lightsail_server() as make, make() as lab:
        door = HostAccess(hosts.kinds(Policy()), client=lab.client())
        with pytest.raises(UsageError, match="is no host with a copy guard"):
            door.access("raxx-tickets-restored")
        client = door._client
        with pytest.raises(PermanentError, match="refused before it was sent"):
            client.delete_instance(instanceName=HOST)
        with pytest.raises(PermanentError, match="refused before it was sent"):
            client.get_instance_access_details(instanceName="another", protocol="ssh")
