"""A shell on a throwaway instance: by a short-lived certificate, to a host whose key is known beforehand.

No agent, no ``~/.ssh``, no key on disk. It returns what a command prints, which is never part of an error: it may be
a customer's. It streams large inputs, as fast as the host takes them and in flat memory.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from raxx_bcp.clients.instance_shapes import Access
from raxx_bcp.clients.ssh_pump import InputFailedError, Pump
from raxx_bcp.clients.ssh_tunnel import Tunnel
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, TransientError

if TYPE_CHECKING:
    import paramiko  # loading it takes 0.1 s, so only the code that connects does it

DEFAULT_OUTPUT_BYTES: Final = 1024 * 1024
_LOG: Final = "raxx_bcp.clients.ssh"
_CIPHERS: Final = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
"""The fastest first: a dump of some hundred MB is streamed."""
_RSA_SIGNATURES: Final = ("rsa-sha2-512", "rsa-sha2-256")
_KEEPALIVE_SECONDS: Final = 20
_DEAD_AFTER_MILLISECONDS: Final = 60_000


class WrongHostError(PermanentError):
    """The answering host is not the instance that Lightsail knows. Nothing was sent to it."""


class LoginRefusedError(CouldNotVerifyError):
    """The instance does not accept the login that Lightsail gave."""


class HostUnknownError(CouldNotVerifyError):
    """Lightsail does not know the instance's host key yet, so the host's identity cannot be proved."""


class CommandFailedError(PermanentError):
    """A command ended with an unexpected exit code. Its output is in here only as far as is safe."""

    def __init__(self, what: str, remedy: str, *, purpose: str = "", exit_code: int = 0) -> None:
        super().__init__(what, remedy)
        self.purpose = purpose
        self.exit_code = exit_code


class CommandTimeoutError(CouldNotVerifyError):
    """A command took longer than it may, and was ended."""


@dataclass(frozen=True)
class Completed:
    """How a command ended. ``exit_code`` is -1 when a signal ended it."""

    exit_code: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)


def connect(access: Access, port: int, *, timeout_seconds: float = 15.0) -> Shell:
    """Log in.

    Raises ``TransientError`` (no answer yet), ``WrongHostError`` before anything of the login is sent,
    ``LoginRefusedError``, ``CouldNotVerifyError`` (the login's key or certificate cannot be read).
    """
    where = f"{access.address}:{port}"
    key = _private_key(access)
    with _reaching(where):
        line = socket.create_connection((access.address, port), timeout=timeout_seconds)
        _notice_a_dead_host(line)
    transport = _transport(line, access)
    try:
        _shake_hands(transport, access, where, timeout_seconds)
        _log_in(transport, access, key, where, timeout_seconds)
    except BaseException:
        transport.close()
        raise
    transport.set_keepalive(_KEEPALIVE_SECONDS)
    return Shell(transport, where)


class Shell:
    """An open login. One command at a time, each in its own shell; close it, or use it as a context manager."""

    def __init__(self, transport: paramiko.Transport, where: str) -> None:
        self._transport = transport
        self._where = where

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Log out."""
        self._transport.close()

    @property
    def alive(self) -> bool:
        """Is the connection still open, as far as is known?"""
        return self._transport.is_active()

    def run(
        self,
        command: str,
        *,
        stdin: bytes | Iterable[bytes] = b"",
        timeout_seconds: float,
        max_output_bytes: int = DEFAULT_OUTPUT_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Completed:
        """Run ``command`` by the login's own shell, and wait until it has ended.

        ``stdin`` may be an iterator over chunks of any number of bytes: it is read as fast as the host takes them. What
        it raises is passed on unchanged, after the command was ended. Raises ``CommandTimeoutError``,
        ``TransientError`` (the connection was lost), ``PermanentError`` (more than ``max_output_bytes`` of output and
        errors together).
        """
        until = monotonic() + timeout_seconds
        with self._lost_in_command():
            channel = self._transport.open_session(timeout=timeout_seconds)
        pump = Pump(channel, until=until, max_bytes=max_output_bytes, monotonic=monotonic)
        exit_code = self._pumped(pump, command, [stdin] if isinstance(stdin, bytes) else stdin, timeout_seconds)
        if pump.too_much:
            raise PermanentError(
                f"A command on {self._where} wrote more than {max_output_bytes} bytes, and was ended.",
                "None of it was kept. Find out on the host why the output is so large.",
            )
        return Completed(exit_code, bytes(pump.stdout), bytes(pump.stderr))

    def check(
        self,
        purpose: str,
        command: str,
        *,
        stdin: bytes | Iterable[bytes] = b"",
        timeout_seconds: float,
        max_output_bytes: int = DEFAULT_OUTPUT_BYTES,
        ok: tuple[int, ...] = (0,),
    ) -> Completed:
        """Like ``run``, and raises ``CommandFailedError`` unless the exit code is one of ``ok``.

        The error gives ``purpose`` ("count the queued jobs") and the exit code, nothing that the command printed.
        """
        done = self.run(command, stdin=stdin, timeout_seconds=timeout_seconds, max_output_bytes=max_output_bytes)
        if done.exit_code not in ok:
            raise CommandFailedError(
                f"The command to {purpose} on {self._where} ended with exit code {done.exit_code}.",
                "What it printed is not kept, since it may be a customer's. Keep the instance (keep) and run it there.",
                purpose=purpose,
                exit_code=done.exit_code,
            )
        return done

    def _pumped(self, pump: Pump, command: str, stdin: Iterable[bytes], timeout_seconds: float) -> int:
        """The exit code."""
        try:
            with self._lost_in_command(), pump.ending_on_trouble():
                pump.start(command)
                pump.feed(stdin)
                return pump.wait()
        except InputFailedError as failed:
            trouble = failed.trouble
        except TimeoutError:
            raise CommandTimeoutError(
                f"A command on {self._where} was not over after {timeout_seconds:.0f} seconds, and was ended.",
                "Start the drill again; raise throwaway_instances.command_timeout_seconds if the host is only slow.",
            ) from None
        raise trouble

    @contextlib.contextmanager
    def forward(self, port: int) -> Iterator[int]:
        """A port of this machine's 127.0.0.1 that leads to the host's own 127.0.0.1:``port`` while the block runs."""
        with Tunnel(self._transport, port) as tunnel:
            yield tunnel.port

    @contextlib.contextmanager
    def _lost_in_command(self) -> Iterator[None]:
        """The connection broke. ``Pump`` detects a channel that only this command's end has closed."""
        import paramiko

        try:
            yield
        except (paramiko.SSHException, EOFError, ConnectionError) as error:
            raise TransientError(
                f"The connection to {self._where} was lost during a command ({type(error).__name__}).",
                "Look whether the instance still runs, then start the drill again.",
            ) from None


# -- logging in ------------------------------------------------------------------------------------------


def _private_key(access: Access) -> paramiko.PKey:
    """Lightsail says PEM, and does not say which kind."""
    import paramiko

    kinds: tuple[type[paramiko.PKey], ...] = (paramiko.RSAKey, paramiko.Ed25519Key, paramiko.ECDSAKey)
    for kind in kinds:
        # paramiko's parsers can raise anything for a damaged key: IndexError and AssertionError were seen.
        with contextlib.suppress(Exception):
            key = kind.from_private_key(io.StringIO(access.private_key))
            key.load_certificate(access.certificate.strip())
            return key
    raise CouldNotVerifyError(
        f"The login that Lightsail gave for {access.address} cannot be read: its key is of no known kind.",
        "Try again; if it stays so, log in by the Lightsail console and report it.",
    )


def _transport(line: socket.socket, access: Access) -> paramiko.Transport:
    """A connection that accepts only the pinned kinds of host keys, and logs nothing anywhere."""
    import paramiko

    logger = logging.getLogger(_LOG)
    logger.propagate = False
    logger.disabled = True
    transport = paramiko.Transport(line)
    transport.set_log_channel(_LOG)
    options = transport.get_security_options()
    options.ciphers = [name for name in _CIPHERS if name in options.ciphers]
    pinned = {name for algorithm, _key in access.host_keys for name in _signatures(algorithm)}
    options.key_types = [name for name in options.key_types if name in pinned]
    return transport


def _notice_a_dead_host(line: socket.socket) -> None:
    """The connection breaks when the host acknowledges nothing for a minute, keepalives included (Linux; tcp(7))."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_MILLISECONDS)


def _signatures(algorithm: str) -> tuple[str, ...]:
    """The names under which a server signs with a host key of this kind."""
    return _RSA_SIGNATURES if algorithm == "ssh-rsa" else (algorithm,)


def _shake_hands(transport: paramiko.Transport, access: Access, where: str, timeout: float) -> None:
    """Prove the host's identity before anything of the login is sent."""
    import paramiko

    if not access.host_keys:
        raise HostUnknownError(
            f"Lightsail does not know the host key of {where} yet, so it was not logged in to.",
            "Wait a minute and try again.",
        )
    try:
        with _reaching(where):
            transport.start_client(timeout=timeout)
            shown = transport.get_remote_server_key()  # raises when that took too long
    except paramiko.ssh_exception.IncompatiblePeer as error:
        if "host key" in str(error):
            raise _wrong_host(where, access, "no key of a kind that Lightsail knows of it") from None
        raise CouldNotVerifyError(
            f"{where} and this machine have no way to encrypt SSH in common.", "Look at the host's sshd_config."
        ) from None
    if (shown.get_name(), shown.get_base64()) not in access.host_keys:
        raise _wrong_host(where, access, _fingerprint(shown.get_base64()))


def _log_in(transport: paramiko.Transport, access: Access, key: paramiko.PKey, where: str, timeout: float) -> None:
    import paramiko

    transport.auth_timeout = timeout
    try:
        with _reaching(where):
            transport.auth_publickey(access.user, key)
    except paramiko.AuthenticationException:
        refused = True
    else:
        refused = not transport.is_authenticated()
    if refused:
        raise LoginRefusedError(
            f"{where} does not take the login that Lightsail gave for user {access.user}.",
            "The instance may still be booting. If it stays so, look at its sshd in the Lightsail console.",
        )


@contextlib.contextmanager
def _reaching(where: str) -> Iterator[None]:
    import paramiko

    try:
        yield
    except (paramiko.AuthenticationException, paramiko.ssh_exception.IncompatiblePeer):
        raise
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise TransientError(
            f"{where} could not be reached by SSH ({type(error).__name__}).",
            "The instance may still be booting, or its firewall does not let this machine in "
            "(throwaway_instances.worker_cidr).",
        ) from None


def _wrong_host(where: str, access: Access, shown: str) -> WrongHostError:
    known = ", ".join(_fingerprint(key) for _algorithm, key in access.host_keys)
    return WrongHostError(
        f"{where} answers with the wrong host key: {shown}, where Lightsail knows {known}. Nothing was sent to it.",
        "Somebody else may answer at that address. Do not log in; see the instance in the Lightsail console.",
    )


def _fingerprint(key: str) -> str:
    """As ``ssh-keygen -l`` prints it."""
    try:
        digest = hashlib.sha256(base64.b64decode(key)).digest()
    except ValueError:
        return "an unreadable key"
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
