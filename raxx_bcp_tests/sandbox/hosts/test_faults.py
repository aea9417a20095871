"""What can be wrong with a new instance, each shown by what a drill would meet; the healthy ones are in the others."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from urllib.parse import quote

import paramiko
import pytest

from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.hosts import quirks
from raxx_bcp_tests.sandbox.hosts.lab import ISOLATE, RESTORED, TICKETS, HostLab, Shell, host_lab, until


@pytest.fixture(scope="module")
def account() -> Iterator[HostLab]:
    """One account for the module."""
    with host_lab(cron_seconds=0.1) as made:
        yield made


@pytest.fixture
def lab(account: HostLab) -> Iterator[HostLab]:
    """Whatever a test breaks is mended, and its instance deleted."""
    yield account
    for name in quirks.KNOWN:
        account.lab.fault(name, on=False)
    account.delete(RESTORED)


def broken(lab: HostLab, fault: str) -> Shell:
    """A copy, isolated as well as the fault lets it be, that was made with ``fault``."""
    lab.lab.fault(fault)
    lab.restore(user_data=ISOLATE)
    return lab.shell(RESTORED)


def page(lab: HostLab, shell: Shell, path: str) -> str:
    """The status with which the site answers ``path``."""
    url = f"http://127.0.0.1:{lab.net.site}{path}"
    return shell.run("curl -K - -s -o /dev/null -w '%{http_code}'", f'url = "{url}"\n'.encode()).out


def attachment(shell: Shell) -> str:
    """The link of an attachment, with the token that the true APP_KEY gives."""
    number, size, folder, name = shell.sql("SELECT id, size, file_dir, file_name FROM attachments ORDER BY id LIMIT 1")[
        0
    ].split("\t")
    token = hashlib.md5(f"{freescout.APP_KEY}{number}{size}".encode(), usedforsecurity=False).hexdigest()
    return f"/storage/attachment/{folder}{quote(name)}?id={number}&token={token}"


def test_without_a_fault_all_is_well(lab: HostLab) -> None:
    lab.restore(user_data=ISOLATE)
    shell = lab.shell(RESTORED)
    assert page(lab, shell, "/user-setup/x") == page(lab, shell, attachment(shell)) == "200"
    assert freescout.APP_KEY in shell.run("cat site/.env").out
    assert shell.run("systemctl is-active cron").out == "inactive\n"


def test_never_boots(lab: HostLab) -> None:
    lab.lab.fault(quirks.NEVER_BOOTS)
    lab.restore(boot=False, user_data=ISOLATE)
    lab.lab.fault(quirks.NEVER_BOOTS, on=False)
    lab.blank("healthy")
    lab.lab.advance(3600)
    assert lab.state(RESTORED) == "pending", "it was made before the fault was mended"
    lab.delete("healthy")


def test_ssh_refused(lab: HostLab) -> None:
    lab.lab.fault(quirks.SSH_REFUSED)
    lab.restore(boot=False, user_data=ISOLATE)
    lab.wait(RESTORED)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((lab.access(RESTORED)["ipAddress"], lab.net.ssh), timeout=5)


def test_login_refused(lab: HostLab) -> None:
    lab.lab.fault(quirks.LOGIN_REFUSED)
    lab.restore(boot=False, user_data=ISOLATE)
    lab.wait(RESTORED)
    with pytest.raises(paramiko.AuthenticationException):
        lab.shell(RESTORED)


def test_wrong_key(lab: HostLab) -> None:
    lab.lab.fault(quirks.WRONG_KEY)
    lab.restore(boot=False, user_data=ISOLATE)
    lab.wait(RESTORED)
    with pytest.raises(paramiko.BadHostKeyException):
        lab.shell(RESTORED)


def test_cron_running(lab: HostLab) -> None:
    """Its way out is closed, so that no customer gets mail even so."""
    shell = broken(lab, quirks.CRON_RUNNING)
    assert shell.run("systemctl is-active cron supervisor").out == "active\nactive\n"
    assert shell.run("systemctl is-enabled cron").out == "enabled\n"
    assert shell.run("systemctl is-active postfix").out == "inactive\n"
    until(lambda: shell.sql("SELECT SUM(attempts > 0) FROM jobs") == ["5"], "cron does nothing")
    assert lab.mails() == 0


def test_egress_open(lab: HostLab) -> None:
    """Nothing on it sends, so that no customer gets mail even so."""
    shell = broken(lab, quirks.EGRESS_OPEN)
    assert shell.run("iptables -S OUTPUT; ip6tables -S OUTPUT").out == "-P OUTPUT ACCEPT\n" * 2
    assert shell.run(f"nc -z -w 3 {lab.net.sink} {lab.net.smtp}").status == 0
    assert shell.run("systemctl is-active cron").out == "inactive\n"
    assert lab.mails() == 0


def test_database_down(lab: HostLab) -> None:
    shell = broken(lab, quirks.DATABASE_DOWN)
    assert shell.run("systemctl is-active mariadb").out == "failed\n"
    assert shell.run("sudo -n systemctl start mariadb").status == 1
    assert shell.run("sudo -n mariadb -e 'SELECT 1'").status == 1
    assert (page(lab, shell, "/login"), page(lab, shell, "/user-setup/x")) == ("200", "500")


def test_database_locked(lab: HostLab) -> None:
    """Its site and its queue work: only root, who had no password, is kept out."""
    shell = broken(lab, quirks.DATABASE_LOCKED)
    refused = shell.run("sudo -n mariadb -e 'SELECT 1'")
    assert (refused.status, "ERROR 1045" in refused.err) == (1, True)
    assert page(lab, shell, "/user-setup/x") == "200"


def test_app_key_wrong(lab: HostLab) -> None:
    shell = broken(lab, quirks.APP_KEY_WRONG)
    assert page(lab, shell, attachment(shell)) == "403"
    env = shell.run("cat site/.env").out
    assert freescout.APP_KEY not in env
    assert "APP_KEY=base64:" in env


def test_app_key_empty(lab: HostLab) -> None:
    """FreeScout makes itself a new one at the first request, and looks green."""
    shell = broken(lab, quirks.APP_KEY_EMPTY)
    assert "APP_KEY=\n" in shell.run("cat site/.env").out
    assert page(lab, shell, "/login") == "200"
    assert "APP_KEY=base64:" in shell.run("cat site/.env").out
    assert page(lab, shell, attachment(shell)) == "403"


def test_attachments_missing(lab: HostLab) -> None:
    shell = broken(lab, quirks.ATTACHMENTS_MISSING)
    assert page(lab, shell, attachment(shell)) == "404"
    assert shell.run("ls site/storage/app/attachment").status == 2


def test_production_and_what_was_there_before_stay_as_they_are(lab: HostLab) -> None:
    lab.restore(user_data=ISOLATE)
    for name in quirks.KNOWN:
        lab.lab.fault(name)
    shell = lab.shell(RESTORED)
    assert page(lab, shell, attachment(shell)) == "200"
    lab.client().stop_instance(instanceName=RESTORED)
    lab.wait(RESTORED, "stopped")
    lab.client().start_instance(instanceName=RESTORED)
    again = lab.shell(lab.launched(RESTORED))
    assert page(lab, again, attachment(again)) == "200"
    assert lab.state(TICKETS) == "running"
