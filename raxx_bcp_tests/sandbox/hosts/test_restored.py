"""A restored FreeScout as a drill meets it, isolated by its launch script: one for all tests of this module."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import paramiko
import pytest

from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.lightsail.times import parse_utc
from raxx_bcp_tests.sandbox.hosts.lab import ISOLATE, RESTORED, HostLab, Shell, host_lab
from raxx_bcp_tests.sandbox.lightsail.lab import NOW

QUIET = ("cron", "supervisor", "postfix", "exim4")
WORKERS = "artisan (queue:work|schedule:run|freescout:fetch-emails)"
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def lab() -> Iterator[HostLab]:
    """Cron would tick at once, if it were let."""
    with host_lab(cron_seconds=0.1) as made:
        made.restore(user_data=ISOLATE)
        yield made


@pytest.fixture(scope="module")
def shell(lab: HostLab) -> Shell:
    """A login."""
    return lab.shell(RESTORED)


def send(channel: paramiko.Channel, megabytes: int) -> None:
    """So much input."""
    for _ in range(megabytes):
        channel.sendall(bytes(MEGABYTE))


class TestLogin:
    def test_what_it_is_told_is_in_the_shape_of_lightsail(self, lab: HostLab) -> None:
        access = lab.access(RESTORED)
        assert (access["username"], access["protocol"], access["instanceName"]) == ("ubuntu", "ssh", RESTORED)
        assert access["certKey"].startswith("ssh-rsa-cert-v01@openssh.com ")
        assert access["privateKey"].startswith("-----BEGIN RSA PRIVATE KEY-----")
        assert 0 < access["expiresAt"].timestamp() - time.time() <= 300
        assert {each["algorithm"] for each in access["hostKeys"]} == {"ssh-ed25519", "ecdsa-sha2-nistp256"}
        for each in access["hostKeys"]:
            assert each["fingerprintSHA256"].startswith("SHA256:")

    def test_each_login_has_a_key_of_its_own_and_the_host_keeps_its_own(self, lab: HostLab) -> None:
        first, second = lab.access(RESTORED), lab.access(RESTORED)
        assert first["privateKey"] != second["privateKey"]
        assert first["hostKeys"] == second["hostKeys"]

    def test_another_user_or_no_certificate_is_refused(self, lab: HostLab) -> None:
        access = lab.access(RESTORED)
        with pytest.raises(paramiko.AuthenticationException):
            Shell({**access, "username": "root"}, lab.net.ssh)
        key = paramiko.RSAKey.generate(2048)
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507 - the key is what is tested
        options: dict[str, Any] = {"port": lab.net.ssh, "allow_agent": False, "look_for_keys": False}
        with pytest.raises(paramiko.AuthenticationException):
            client.connect(access["ipAddress"], username="ubuntu", pkey=key, **options)
        client.close()


class TestCommands:
    def test_exit_status_output_and_errors(self, shell: Shell) -> None:
        ran = shell.run("echo out; echo err >&2; exit 7")
        assert (ran.status, ran.out, ran.err) == (7, "out\n", "err\n")

    def test_a_script_on_standard_input(self, shell: Shell) -> None:
        assert shell.run("sudo -n sh -s", b"id -u\nexit 3\n").out == "0\n"
        assert shell.run("id -un; id -u; sudo -n id -un").out == "ubuntu\n1000\nroot\n"

    def test_home_is_the_disk(self, lab: HostLab, shell: Shell) -> None:
        assert shell.run("pwd; echo $HOME").out == f"{lab.layout(RESTORED).disk}\n" * 2
        assert shell.run("test -f site/artisan").status == 0

    def test_absolute_paths_lead_to_the_disk(self, lab: HostLab, shell: Shell) -> None:
        assert shell.run("mkdir -p /srv/x && echo hello > /srv/x/y && cat srv/x/y").out == "hello\n"
        assert (lab.layout(RESTORED).disk / "srv/x/y").read_text() == "hello\n"

    def test_two_hundred_megabytes_of_input_are_streamed(self, shell: Shell) -> None:
        block, digest = os.urandom(MEGABYTE), hashlib.sha256()
        stdin, stdout, _stderr = shell.client.exec_command("sha256sum")
        for _ in range(200):
            digest.update(block)
            stdin.write(block)
        stdin.channel.shutdown_write()
        assert stdout.read().decode().split()[0] == digest.hexdigest()

    def test_input_waits_for_a_command_that_does_not_read(self, shell: Shell) -> None:
        stdin, stdout, _stderr = shell.client.exec_command("until [ -e go ]; do sleep 0.05; done; wc -c")
        stdin.channel.settimeout(0.5)
        with pytest.raises(TimeoutError):
            send(stdin.channel, 64)
        assert shell.run("touch go").status == 0
        stdin.channel.shutdown_write()
        assert MEGABYTE < int(stdout.read()) < 16 * MEGABYTE

    def test_a_command_that_ends_early_ends_the_channel(self, shell: Shell) -> None:
        stdin, stdout, _stderr = shell.client.exec_command("head -c 1 >/dev/null; exit 4")
        with pytest.raises(OSError, match="closed"):
            send(stdin.channel, 64)
        assert stdout.channel.recv_exit_status() == 4

    def test_much_output(self, shell: Shell) -> None:
        _stdin, stdout, _stderr = shell.client.exec_command("head -c 50000000 /dev/zero")
        assert len(stdout.read()) == 50_000_000

    def test_python_has_the_standard_library_and_nothing_of_ours(self, shell: Shell) -> None:
        ran = shell.run("sudo -n python3 -I -c 'import json, gzip; print(1)'")
        assert (ran.status, ran.out) == (0, "1\n")
        assert shell.run("python3 -c 'import paramiko'").status == 1

    def test_no_secret_of_the_sandbox_is_in_the_environment(self, shell: Shell) -> None:
        names = {line.partition("=")[0] for line in shell.run("env").out.splitlines()}
        assert not {name for name in names if "SECRET" in name or "AWS" in name or "CLIENT" in name}

    def test_sudo_finds_nothing_that_is_not_there(self, shell: Shell) -> None:
        ran = shell.run("sudo -n no-such-program")
        assert (ran.status, ran.err) == (1, "sudo: no-such-program: command not found\n")


class TestIsolation:
    def test_the_launch_script_ran_as_root_and_its_output_is_kept(self, shell: Shell) -> None:
        assert shell.run("cat cloud-init-output.log").out.endswith("isolated\n")
        assert shell.run("cloud-init status --wait").out == "status: done\n"

    def test_no_unit_runs_and_none_would_after_a_reboot(self, shell: Shell) -> None:
        for unit in QUIET:
            ran = shell.run(f"sudo -n systemctl is-active {unit}")
            assert (ran.out, ran.status in (3, 4)) == ("inactive\n", True)
            assert shell.run(f"sudo -n systemctl is-enabled {unit}").out == "masked\n"
        assert shell.run("systemctl is-active mariadb nginx php8.1-fpm").out == "active\n" * 3

    def test_no_worker(self, shell: Shell) -> None:
        assert shell.run(f"sudo -n pgrep -f -c '{WORKERS}'").out == "0\n"

    def test_nothing_gets_out(self, lab: HostLab, shell: Shell) -> None:
        for tables in ("iptables", "ip6tables"):
            lines = shell.run(f"sudo -n {tables} -S OUTPUT").out.splitlines()
            assert lines[0] == "-P OUTPUT DROP"
            assert "-A OUTPUT -j REJECT" in lines
        assert shell.run(f"sudo -n nc -z -w 3 127.0.0.1 {lab.net.ssh}").status == 0
        assert shell.run("sudo -n nc -z -w 3 127.0.0.1 1").status == 1
        for address, port in ((lab.net.sink, lab.net.smtp), ("1.1.1.1", 443), ("8.8.8.8", 53), ("2001:db8::1", 443)):
            assert shell.run(f"sudo -n nc -z -w 3 {address} {port}").status == 1
        ran = shell.run("curl -sS --max-time 20 https://github.com/")
        assert (ran.status, ran.err) == (6, "curl: (6) Could not resolve host: github.com\n")
        ran = shell.run("curl -sS --max-time 20 http://203.0.113.9/")
        assert (ran.status, ran.err) == (7, "curl: (7) Failed to connect to 203.0.113.9 port 80: Connection refused\n")
        assert shell.run("sudo -n apt-get update").status == 100

    def test_its_queue_is_as_it_was_and_nobody_got_mail(self, lab: HostLab, shell: Shell) -> None:
        assert shell.sql("SELECT COUNT(*) FROM jobs") == ["5"]
        assert lab.mails() == 0

    def test_since_when_it_runs(self, shell: Shell) -> None:
        said = parse_utc(shell.run("uptime -s").out.strip().replace(" ", "T") + "Z")
        assert 0 <= time.time() - said < 600


class TestItsData:
    def test_it_is_as_of_the_snapshot(self, lab: HostLab, shell: Shell) -> None:
        """The newest automatic snapshot was begun at 05:12, more than an hour ago."""
        taken = lab.client().get_auto_snapshots(resourceName="raxx-tickets")["autoSnapshots"][0]["createdAt"]
        assert taken.isoformat().startswith("2031-03-14T05:12")
        fetched = int(shell.sql("SELECT value FROM options WHERE name = 'fetch_emails_last_run'")[0])
        assert 0 < taken.timestamp() - fetched < 3600
        assert parse_utc(NOW) - taken.timestamp() > 3600
        assert shell.sql("SELECT COUNT(*) > 1000 FROM threads") == ["1"]

    def test_the_site_answers_on_its_own_loopback(self, lab: HostLab, shell: Shell) -> None:
        url = f"http://127.0.0.1:{lab.net.site}"
        form = "-s -S --max-time 9 -o /dev/null -w '%{http_code} %{size_download} %{redirect_url}'"
        code, size, redirect = shell.run(f"curl {form} -H 'Host: localhost' {url}/login").out.split(" ")
        assert (code, int(size) > 100, redirect) == ("200", True, "")
        assert shell.run(f"curl {form} {url}/user-setup/x").out.startswith("200 ")

    def test_a_url_with_a_token_comes_on_standard_input(self, lab: HostLab, shell: Shell) -> None:
        """As a drill asks for an attachment: no token is on a command line."""
        row = shell.sql("SELECT id, size, file_dir, file_name FROM attachments ORDER BY id LIMIT 1")[0].split("\t")
        number, size, folder, name = row
        token = hashlib.md5(f"{freescout.APP_KEY}{number}{size}".encode(), usedforsecurity=False).hexdigest()
        url = f"http://127.0.0.1:{lab.net.site}/storage/attachment/{folder}{quote(name)}?id={number}&token={token}"
        config = f'url = "{url}"\nheader = "Host: localhost"\n# a comment\nsilent\noutput = "/dev/null"\nmax-time = 9\n'
        ran = shell.run("sudo -n curl -K - -w '%{http_code} %{size_download}'", config.encode())
        assert ran.out == f"200 {size}"
        wrong = config.replace(token, "0" * 32)
        assert shell.run("sudo -n curl -K - -w '%{http_code}'", wrong.encode()).out == "403"

    def test_the_database_can_be_stopped_and_the_login_page_stays_green(self, lab: HostLab, shell: Shell) -> None:
        try:
            assert shell.run("sudo -n systemctl stop mariadb").status == 0
            assert shell.run("sudo -n mariadb -e 'SELECT 1'").status == 1
            page = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{lab.net.site}"
            assert shell.run(f"{page}/login").out == "200"
            assert shell.run(f"{page}/user-setup/x").out == "500"
        finally:
            assert shell.run("sudo -n systemctl start mariadb").status == 0
        assert shell.sql("SELECT 1") == ["1"]


def test_a_tunnel_leads_to_the_instance_itself_and_nowhere_else(lab: HostLab, shell: Shell) -> None:
    transport = shell.client.get_transport()
    assert transport is not None
    channel = transport.open_channel("direct-tcpip", ("127.0.0.1", lab.net.site), ("127.0.0.1", 1))
    channel.sendall(b"GET /login HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert channel.recv(64).startswith(b"HTTP/1.")
    channel.close()
    for host in ("1.1.1.1", lab.net.sink):
        with pytest.raises(paramiko.ChannelException):
            transport.open_channel("direct-tcpip", (host, lab.net.smtp), ("127.0.0.1", 1))
    with pytest.raises(paramiko.ChannelException):
        transport.open_channel("direct-tcpip", ("127.0.0.1", 1), ("127.0.0.1", 1))


def paramiko_logs_in(lab: HostLab, _directory: Path) -> str:
    """What paramiko gets."""
    return lab.shell(RESTORED).run("echo hello").out


def openssh_logs_in(lab: HostLab, directory: Path) -> str:
    """What the OpenSSH client gets, with the certificate and the pinned host keys in files."""
    access = lab.access(RESTORED)
    key, certificate, known = directory / "key", directory / "key-cert.pub", directory / "known"
    for file, text in ((key, access["privateKey"]), (certificate, access["certKey"] + "\n")):
        file.write_text(text)
        file.chmod(0o600)
    where = f"[{access['ipAddress']}]:{lab.net.ssh}"
    known.write_text("".join(f"{where} {each['algorithm']} {each['publicKey']}\n" for each in access["hostKeys"]))
    options = {"UserKnownHostsFile": known, "GlobalKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "yes"}
    options |= {"IdentitiesOnly": "yes", "CertificateFile": certificate, "BatchMode": "yes"}
    done = subprocess.run(
        [
            *("ssh", "-F", "/dev/null", "-i", str(key), "-p", str(lab.net.ssh)),
            *(f"-o{name}={value}" for name, value in options.items()),
            *(f"ubuntu@{access['ipAddress']}", "echo hello"),
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("log_in", [paramiko_logs_in] + ([openssh_logs_in] if shutil.which("ssh") else []))
def test_real_clients_log_in(lab: HostLab, tmp_path: Path, log_in: Callable[[HostLab, Path], str]) -> None:
    assert log_in(lab, tmp_path) == "hello\n"


def test_whom_the_firewall_does_not_let_in_gets_no_byte(lab: HostLab) -> None:
    client, access = lab.client(), lab.access(RESTORED)

    def open_for(cidr: str, port: int) -> None:
        client.put_instance_public_ports(
            instanceName=RESTORED,
            portInfos=[{"fromPort": port, "toPort": port, "protocol": "tcp", "cidrs": [cidr]}],
        )

    def banner() -> bytes:
        try:
            with socket.create_connection((access["ipAddress"], lab.net.ssh), timeout=5) as line:
                return line.recv(64)
        except ConnectionResetError:
            return b""

    assert banner().startswith(b"SSH-2.0-")
    try:
        for cidr, port in (("203.0.113.7/32", lab.net.ssh), ("127.0.0.1/32", 443)):
            open_for(cidr, port)
            assert banner() == b""
    finally:
        open_for("127.0.0.1/32", lab.net.ssh)
    assert banner().startswith(b"SSH-2.0-")
