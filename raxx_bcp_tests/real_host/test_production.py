"""Production with the guard: it notices nothing, and the pages on the guard are followed literally, and undone.

What is typed is taken from the pages themselves, so that they cannot say anything else than what was tried.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from raxx_bcp.clients.ssh import Shell
from raxx_bcp_sandbox.hosts.certificates import Authority
from raxx_bcp_tests.real_host import production
from raxx_bcp_tests.real_host.account import ROOT, Account, account
from raxx_bcp_tests.real_host.conftest import Rack
from raxx_bcp_tests.real_host.login import access, log_in
from raxx_bcp_tests.real_host.looks import mailed
from raxx_bcp_tests.real_host.machine import Disk, Machine, wait

RUNBOOK = ROOT / "docs/runbooks/copy-guard.md"
PAGE = ROOT / "deploy/copy-guard/README.md"
FILES = ("/etc/copy-guard", "/etc/systemd/system-generators/copy-guard", "/usr/local/sbin/copy-guard")


@pytest.fixture(scope="module")
def original(module_rack: Rack, guarded: Disk) -> Machine:
    """Production, with the guard."""
    return module_rack.boot(guarded, production.ORIGINAL)


@pytest.fixture(scope="module")
def operator(original: Machine, authority: Authority) -> Iterator[Account]:
    with account(original, authority) as made:
        yield made


@pytest.fixture
def shell(original: Machine, authority: Authority) -> Iterator[Shell]:
    """A person who is logged in to production."""
    with log_in(original, access(original, authority)) as made:
        yield made


def typed(page: Path, heading: str = "") -> list[str]:
    """The lines that a page says to type, below ``heading``, without their remarks."""
    text = page.read_text()
    block = re.search(r"```sh\n(.*?)```", text[text.index(heading) :], re.DOTALL)
    assert block is not None
    return [line.partition("  #")[0].strip() for line in block[1].splitlines()]


def untouched(machine: Machine) -> bool:
    """Is nothing of the guard there?"""
    return not any(machine.succeeds("test", "-e", each) for each in FILES)


def give_identity(machine: Machine) -> None:
    """A real machine has one of its own, see ``production.SEAM``."""
    machine.run("sh", "-c", f"mkdir -p /etc/copy-guard && cat >{production.SEAM}", stdin=production.SEAM_TEXT)


def test_production_does_not_notice_the_guard(original: Machine) -> None:
    wait(lambda: mailed(original), 30, f"production does not work: {original.outside.mails}")
    code, said = original.ends_with("copy-guard", "status")
    assert code == 0
    assert "machine=same" in said
    assert "whole=yes" in said
    assert original.ends_with("systemctl", "cat", "copy-guard.service")[0] != 0
    assert not original.succeeds("test", "-e", "/run/copy-guard")
    early = "/run/systemd/generator.early"
    assert original.run("find", early, "-name", "copy-guard*", "-o", "-lname", "/dev/null") == ""
    assert "-P OUTPUT ACCEPT" in original.run("iptables", "-S")


def test_the_runbook_is_followed_literally_and_undone(original: Machine, operator: Account, shell: Shell) -> None:
    install, look = typed(RUNBOOK)
    undo = re.search(r"To undo it: `([^`]+)`", RUNBOOK.read_text())
    then = re.search(r"Then on the host, once: `([^`]+)`", RUNBOOK.read_text())
    assert undo is not None
    assert then is not None

    gone = operator.runs(undo[1], stdin="y\n")
    assert (gone.returncode, "NOT guarded" in gone.stdout) == (0, True), gone.stderr
    assert untouched(original)
    give_identity(original)
    seen = operator.runs(f"{look} --json")
    assert seen.returncode == 1, seen.stderr
    assert json.loads(seen.stdout)["machine"] == "not-installed"

    done = operator.runs(install)
    assert done.returncode == 0, done.stderr
    seen = operator.runs(look)
    assert seen.returncode == 0, seen.stderr
    assert "raxx-tickets is guarded since" in seen.stdout
    printed = shell.run(then[1], timeout_seconds=60).stdout.decode()
    would_mask, _, would_run = printed.partition("Of what runs here now")
    assert {"cron.service", "supervisor.service", "exim4.service"} <= set(would_mask.split())
    assert {"ssh.service", "mariadb.service", "nginx.service"} <= set(would_run.split())


def test_what_is_not_confirmed_is_not_removed(original: Machine, operator: Account) -> None:
    undo = re.search(r"To undo it: `([^`]+)`", RUNBOOK.read_text())
    assert undo is not None
    assert operator.runs(undo[1], stdin="n\n").returncode != 0
    assert original.succeeds("copy-guard", "status")


def test_the_guards_own_page_is_followed_literally_by_hand_and_undone(
    original: Machine, operator: Account, shell: Shell
) -> None:
    (remove,) = typed(PAGE, "## Remove it")
    assert shell.run(remove, timeout_seconds=60).exit_code == 0
    assert untouched(original)
    give_identity(original)
    shell.check("copy the folder", "tar -x", stdin=folder(), timeout_seconds=60)
    for line in typed(PAGE, "## Install it"):
        done = shell.run(f"cd copy-guard && {line}", timeout_seconds=60)
        assert done.exit_code == 0, f"{line}: {done.stderr.decode()}"
    assert operator.runs("raxx-bcp host guard status raxx-tickets").returncode == 0
    assert mailed(original)
    assert original.succeeds("systemctl", "is-active", "--quiet", "cron", "supervisor", "exim4")


def test_an_ordinary_user_is_told_what_to_type(shell: Shell) -> None:
    """What only root can read would otherwise look as if it were not there."""
    for verb in ("status", "show", "uninstall"):
        done = shell.run(f"/usr/local/sbin/copy-guard {verb}", timeout_seconds=60)
        assert done.exit_code == 2
        assert "put sudo before it" in done.stderr.decode()


def folder() -> bytes:
    """deploy/copy-guard, as somebody copies it to the host."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(production.GUARD, "copy-guard")
    return packed.getvalue()
