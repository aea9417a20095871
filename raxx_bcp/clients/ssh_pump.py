"""Feeds a remote command and reads what it prints at the same time, so that neither side ever waits for the other."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import paramiko

READ_BYTES: Final = 256 * 1024
PACKET_BYTES: Final = 32 * 1024
"""What SSH sends at once; a larger piece would only be copied again for every packet."""
_LOOK_SECONDS: Final = 0.1
"""How long a thread sleeps at most before it checks whether it should stop."""
_STOP_SECONDS: Final = 5.0


class InputFailedError(Exception):
    """The caller's own input failed; ``trouble`` is what it raised."""

    def __init__(self, trouble: Exception) -> None:
        super().__init__("the input broke off")
        self.trouble = trouble


class Pump:
    """The three streams of one channel.

    The caller's thread feeds, so that it gets what its iterator raises; a second thread reads. ``until`` is a
    ``monotonic`` time. Standard output and errors share one SSH window: unless both are read, both stop. Only the
    caller's thread ends and closes, after the other one has stopped: servers hang up on a message for a closed channel.
    """

    def __init__(
        self,
        channel: paramiko.Channel,
        *,
        until: float,
        max_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.too_much = False
        self._channel = channel
        self._until = until
        self._max_bytes = max_bytes
        self._monotonic = monotonic
        self._stopping = False
        self._reader = threading.Thread(target=self._read, name="ssh-reader", daemon=True)

    def start(self, command: str) -> None:
        """Run ``command``, and start reading."""
        self._channel.exec_command(command)
        self._channel.settimeout(_LOOK_SECONDS)
        self._channel.fileno()  # the pipe that select waits on; made here, before the second thread needs it
        self._reader.start()

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Send everything, no faster than it is taken, then the end of input.

        A command that ends before it has read all is no error here: its exit code says it. Raises ``TimeoutError``,
        ``EOFError`` when the connection was lost, and ``InputFailedError``.
        """
        for chunk in _pulled(chunks):
            if not self._send(chunk):
                return
        with contextlib.suppress(OSError):
            self._channel.shutdown_write()

    def wait(self) -> int:
        """The exit code, when everything was read; -1 when it never came. Raises ``TimeoutError``, ``EOFError``."""
        while self._reader.is_alive() and not self.too_much:
            self._reader.join(min(_LOOK_SECONDS, self._left()))
        if self.too_much:
            self._end()
            return -1
        if not self._channel.status_event.wait(self._left()):
            raise TimeoutError
        if self._channel.exit_status == -1 and not self._connected():
            raise EOFError
        return self._channel.exit_status

    @contextlib.contextmanager
    def ending_on_trouble(self) -> Iterator[None]:
        """Any error inside ends the command: its input is incomplete, or nobody reads its output any more."""
        import paramiko

        try:
            yield
        except BaseException:
            self._end()
            raise
        finally:
            with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
                self._channel.close()

    # -- inside ------------------------------------------------------------------------------------------

    def _send(self, chunk: bytes) -> bool:
        """False when the command accepts no more, or has printed too much."""
        view = memoryview(chunk)
        while view and not self.too_much:
            self._left()
            try:
                sent = self._channel.send(bytes(view[:PACKET_BYTES]))
            except TimeoutError:
                continue
            except OSError:
                sent = 0
            if sent == 0:
                if not self._connected():
                    raise EOFError
                return False
            view = view[sent:]
        return not self.too_much

    def _read(self) -> None:
        """Read until both streams have ended."""
        import paramiko

        while not self._stopping and not self._ended():
            with contextlib.suppress(OSError, ValueError):
                select.select([self._channel], [], [], _LOOK_SECONDS)
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                self._drain()

    def _drain(self) -> None:
        """What was received. Above the limit it is still read, and thrown away."""
        while self._channel.recv_ready() and not self._stopping:
            self._keep(self.stdout, self._channel.recv(READ_BYTES))
        while self._channel.recv_stderr_ready() and not self._stopping:
            self._keep(self.stderr, self._channel.recv_stderr(READ_BYTES))

    def _keep(self, kept: bytearray, came: bytes) -> None:
        self.too_much = self.too_much or len(self.stdout) + len(self.stderr) + len(came) > self._max_bytes
        if not self.too_much:
            kept += came

    def _ended(self) -> bool:
        over = self._channel.eof_received or self._channel.closed or not self._connected()
        return bool(over) and not self._channel.recv_ready() and not self._channel.recv_stderr_ready()

    def _connected(self) -> bool:
        return self._channel.get_transport().is_active()

    def _left(self) -> float:
        left = self._until - self._monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _end(self) -> None:
        """Ask the server to end the command (RFC 4254, 6.9); closing alone would look like the end of its input."""
        import paramiko
        from paramiko.common import cMSG_CHANNEL_REQUEST

        self._stopping = True
        if self._reader.is_alive():
            self._reader.join(_STOP_SECONDS)
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(self._channel.remote_chanid)
        message.add_string("signal")
        message.add_boolean(False)
        message.add_string("TERM")
        transport: Any = self._channel.get_transport()  # paramiko has no public way to send this request
        # Hold the channel's lock, which paramiko needs to close: a message on a closed channel breaks the connection.
        with self._channel.lock, contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            if not self._channel.closed:
                transport._send_user_message(message)


def _pulled(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """``chunks``; what they raise is kept apart from what the connection raises."""
    try:
        yield from chunks
    except Exception as trouble:  # noqa: BLE001 - whatever it is, it is passed on
        raise InputFailedError(trouble) from None
