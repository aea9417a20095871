"""The shell on a throwaway instance, against a real SSH server."""

from __future__ import annotations

import hashlib
import http.server
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
import requests

from raxx_bcp.clients.ssh import (
    CommandFailedError,
    CommandTimeoutError,
    HostUnknownError,
    LoginRefusedError,
    Shell,
    WrongHostError,
    connect,
)
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, TransientError
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.clients.ssh_lab import HOST_KEYS, RSA_HOST_KEY, Lab, ssh_lab, with_keys

SECONDS = 20.0
SECRET = "rxs_ticket_text"
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with ssh_lab(tmp_path_factory.mktemp("host")) as served:
        yield served


@pytest.fixture
def shell(lab: Lab) -> Iterator[Shell]:
    with connect(lab.access(), lab.port, timeout_seconds=SECONDS) as opened:
        yield opened


# -- logging in ------------------------------------------------------------------------------------------


def test_a_certificate_and_the_pinned_host_key_let_us_in(shell: Shell) -> None:
    done = shell.run("id -un; echo $HOME", timeout_seconds=SECONDS)
    assert (done.exit_code, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 2


@pytest.mark.parametrize("keys", [[RSA_HOST_KEY], [HOST_KEYS[1]], HOST_KEYS], ids=["rsa", "ecdsa", "both"])
def test_every_kind_of_host_key_is_known_again(tmp_path: Path, keys: list[asyncssh.SSHKey]) -> None:
    with ssh_lab(tmp_path, keys) as host, connect(host.access(), host.port) as opened:
        assert opened.run("echo in", timeout_seconds=SECONDS).stdout == b"in\n"


@pytest.mark.parametrize("keys", [[OTHER_KEY], [RSA_HOST_KEY]], ids=["same kind", "other kind"])
def test_another_host_key_is_the_wrong_host_and_hears_no_login(lab: Lab, keys: list[asyncssh.SSHKey]) -> None:
    before = len(lab.server.logins)
    with pytest.raises(WrongHostError, match="wrong host key") as caught:
        connect(with_keys(lab.access(), keys), lab.port)
    assert keys[0].get_fingerprint() in caught.value.what
    assert len(lab.server.logins) == before, "the login was never begun"
    connect(lab.access(), lab.port).close()
    assert len(lab.server.logins) == before + 1


def test_one_of_several_pinned_keys_is_enough(lab: Lab) -> None:
    with connect(with_keys(lab.access(), [OTHER_KEY, *HOST_KEYS]), lab.port) as opened:
        assert opened.alive


def test_without_a_host_key_nobody_is_logged_in_to(lab: Lab) -> None:
    with pytest.raises(HostUnknownError):
        connect(replace(lab.access(), host_keys=()), lab.port)


def test_a_certificate_of_another_authority_or_time_is_refused(lab: Lab) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    for access in (lab.access(authority=other), lab.access(expired=True), lab.access(user="root")):
        with pytest.raises(LoginRefusedError):
            connect(access, lab.port)


@pytest.mark.parametrize("broken", ["key", "certificate"])
def test_a_login_that_cannot_be_read_is_unknown_and_shown_nowhere(lab: Lab, broken: str) -> None:
    access = lab.access()
    bad = replace(access, private_key="nonsense") if broken == "key" else replace(access, certificate="nonsense")
    with pytest.raises(CouldNotVerifyError, match="cannot be read") as caught:
        connect(bad, lab.port)
    shown = everything_shown(caught.value) + repr(access)
    assert access.private_key.splitlines()[1] not in shown
    assert access.certificate.split()[1][:60] not in shown


def test_nobody_there_and_a_mute_host_are_transient(lab: Lab) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(TransientError, match="worker_cidr"):
            connect(lab.access(), nobody.getsockname()[1])
        nobody.listen()
        with pytest.raises(TransientError, match="could not be reached"):
            connect(lab.access(), nobody.getsockname()[1], timeout_seconds=0.2)


def test_no_key_is_taken_from_the_disk_or_an_agent(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A known_hosts that trusts another host, and an agent, change nothing."""
    ssh = tmp_path / ".ssh"
    ssh.mkdir()
    shown = " ".join(HOST_KEYS[0].export_public_key().decode().split()[:2])
    (ssh / "known_hosts").write_text(f"[127.0.0.1]:{lab.port} {shown}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        agent.setblocking(False)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        with pytest.raises(WrongHostError):
            connect(with_keys(lab.access(), [OTHER_KEY]), lab.port)
        with connect(lab.access(), lab.port):
            pass
        with pytest.raises(BlockingIOError):
            agent.accept()


# -- commands --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_and_both_streams_come_back(shell: Shell, code: int) -> None:
    done = shell.run(f"echo out; echo err >&2; exit {code}", timeout_seconds=SECONDS)
    assert (done.exit_code, done.stdout, done.stderr) == (code, b"out\n", b"err\n")


def test_a_command_that_a_signal_ended_is_minus_one(shell: Shell) -> None:
    assert shell.run("kill -9 $$", timeout_seconds=SECONDS).exit_code == -1


def test_input_and_both_outputs_at_once_do_not_lock(shell: Shell) -> None:
    """Each is larger than every window and pipe between here and there."""
    given = os.urandom(MIB) * 8
    done = shell.run("cat; head -c 8388608 /dev/zero >&2", stdin=given, timeout_seconds=60, max_output_bytes=32 * MIB)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(given).digest()
    assert len(done.stderr) == 8 * MIB
    done = shell.run("head -c 8388608 /dev/zero >&2; cat", stdin=given, timeout_seconds=60, max_output_bytes=32 * MIB)
    assert (done.stdout == given, len(done.stderr)) == (True, 8 * MIB)


def test_a_command_that_reads_nothing_ends_all_the_same(shell: Shell) -> None:
    pulled = 0

    def endless() -> Iterator[bytes]:
        nonlocal pulled
        while True:
            pulled += 1
            yield b"x" * MIB

    done = shell.run("head -c 3 >/dev/null; exit 4", stdin=endless(), timeout_seconds=SECONDS)
    assert done.exit_code == 4
    assert pulled < 100, "no faster than it is taken"


def test_hundreds_of_megabytes_go_through_in_flat_memory(shell: Shell) -> None:
    """The first hundred fill whatever is ever filled; a client that kept three hundred more would grow by that.

    Both ends are in this process, and on a busy machine the server's buffers take their share.
    """
    block = os.urandom(MIB)

    def send(count: int) -> None:
        done = shell.run("wc -c", stdin=(block for _ in range(count)), timeout_seconds=120)
        assert int(done.stdout) == count * MIB

    send(100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    send(300)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // (1024 if sys.platform == "linux" else MIB)
    assert grown < 200


def ended(shell: Shell, command: str) -> None:
    """It is told to end, and ends soon; a busy machine takes a moment."""
    deadline = time.monotonic() + SECONDS
    while shell.run(f"pgrep -f -x '{command}' >/dev/null", timeout_seconds=SECONDS).exit_code == 0:
        assert time.monotonic() < deadline, f"{command} still runs"
        time.sleep(0.05)


def test_what_the_input_raises_comes_out_unchanged_and_ends_the_command(lab: Lab, shell: Shell) -> None:
    """Also the very errors that a connection raises; and the command never takes a broken input for a whole one."""
    for trouble in (ConnectionError("mine"), TimeoutError("mine"), EOFError("mine"), CouldNotVerifyError("Mine.", "")):
        left = lab.home / "finished"

        def broken(trouble: Exception = trouble) -> Iterator[bytes]:
            yield b"half of it\n"
            raise trouble

        with pytest.raises(type(trouble)) as caught:
            shell.run(f"cat >/dev/null && sleep 77 && touch {left}", stdin=broken(), timeout_seconds=SECONDS)
        assert caught.value is trouble
        ended(shell, "sleep 77")
        assert not left.exists()


def test_a_cancelled_drill_ends_its_command(shell: Shell) -> None:
    class Cancelled(BaseException):
        pass

    def cancelled() -> Iterator[bytes]:
        yield b"x"
        raise Cancelled

    with pytest.raises(Cancelled):
        shell.run("sleep 600", stdin=cancelled(), timeout_seconds=SECONDS)
    ended(shell, "sleep 600")


def test_a_command_that_takes_too_long_is_ended(shell: Shell) -> None:
    with pytest.raises(CommandTimeoutError, match="was not over after 0 seconds"):
        shell.run("sleep 601", timeout_seconds=0.3)
    ended(shell, "sleep 601")


def test_a_command_that_takes_no_input_is_ended_too(shell: Shell) -> None:
    chunks = (b"x" * MIB for _ in range(100))
    with pytest.raises(CommandTimeoutError):
        shell.run("sleep 602", stdin=chunks, timeout_seconds=0.5)


def test_more_output_than_allowed_is_not_kept(shell: Shell) -> None:
    with pytest.raises(PermanentError, match="more than 1000 bytes"):
        shell.run("cat /dev/zero", timeout_seconds=SECONDS, max_output_bytes=1000)
    with pytest.raises(PermanentError, match="more than 1000 bytes"):
        shell.run("head -c 1001 /dev/zero", timeout_seconds=SECONDS, max_output_bytes=1000)
    assert len(shell.run("head -c 1000 /dev/zero", timeout_seconds=SECONDS, max_output_bytes=1000).stdout) == 1000


def test_a_lost_connection_is_transient(tmp_path: Path) -> None:
    with ssh_lab(tmp_path) as host, connect(host.access(), host.port) as opened:
        host.program("cut", "touch reached; exec sleep 600")
        threading.Thread(target=_cut_when, args=(host, tmp_path / "reached"), daemon=True).start()
        with pytest.raises(TransientError, match="lost during a command"):
            opened.run("cut", timeout_seconds=SECONDS)
        assert not opened.alive
        with pytest.raises(TransientError):
            opened.run("true", timeout_seconds=SECONDS)


def _cut_when(host: Lab, reached: Path) -> None:
    ended = threading.Event()
    while not reached.exists():
        ended.wait(0.02)
    host.cut()


# -- what an error holds ---------------------------------------------------------------------------------


def test_a_failed_command_says_its_purpose_and_nothing_that_it_printed(shell: Shell) -> None:
    command = f"echo {SECRET}; echo {SECRET} >&2; exit 7"
    with pytest.raises(CommandFailedError, match="The command to count the jobs on") as caught:
        shell.check("count the jobs", command, timeout_seconds=SECONDS)
    assert "exit code 7" in caught.value.what
    assert (caught.value.purpose, caught.value.exit_code) == ("count the jobs", 7)
    assert SECRET not in everything_shown(caught.value)
    done = shell.check("count the jobs", command, timeout_seconds=SECONDS, ok=(0, 7))
    assert done.stdout == f"{SECRET}\n".encode()
    assert SECRET not in repr(done)


def test_paramiko_tells_the_log_nothing(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with connect(lab.access(), lab.port) as opened:
        opened.run(f"echo {SECRET}", timeout_seconds=SECONDS)
    with pytest.raises(BcpError):
        connect(lab.access(expired=True), lab.port)
    with pytest.raises(BcpError):
        connect(with_keys(lab.access(), [OTHER_KEY]), lab.port)
    assert [
        record.name for record in caplog.records if "asyncssh" not in record.name and "asyncio" not in record.name
    ] == []


# -- tunnels ---------------------------------------------------------------------------------------------


class Hello(http.server.BaseHTTPRequestHandler):
    """Answers with 3 MB."""

    body = b"0123456789" * 300_000

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def site() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_a_tunnel_leads_to_the_hosts_own_port_until_it_is_closed(shell: Shell, site: int) -> None:
    with shell.forward(site) as port:
        for _ in range(3):
            assert requests.get(f"http://127.0.0.1:{port}/", timeout=10).content == Hello.body
        assert shell.run("echo beside it", timeout_seconds=SECONDS).exit_code == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/", timeout=2)


def test_a_tunnel_to_nobody_is_closed_at_once(shell: Shell) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with shell.forward(nobody.getsockname()[1]) as port, pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{port}/", timeout=10)


def test_a_tunnel_that_is_closed_ends_what_goes_through_it(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        with shell.forward(mute.getsockname()[1]) as port:
            line = socket.create_connection(("127.0.0.1", port), timeout=5)
            far, _peer = mute.accept()
        with line, far:
            line.settimeout(5)
            assert line.recv(1) == b""
