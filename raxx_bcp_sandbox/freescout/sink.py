"""The outside world's mail server: accepts every message and keeps each as a file, which tests count.

``python -m raxx_bcp_sandbox.freescout.sink --address A --port P --directory D`` runs it as a separate process.
"""

from __future__ import annotations

import argparse
import asyncio
import email
import email.policy
import signal
import socket
import threading
import time
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from types import FrameType
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from raxx_bcp_sandbox.stand_in import LOOPBACK

_SUFFIX: Final = ".eml"


class _Keep:
    """Writes each message whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        with self._lock:
            path = self._directory / f"{time.time_ns():020d}{_SUFFIX}"
            unfinished = path.with_suffix(".new")
            unfinished.write_bytes(f"X-RcptTo: {', '.join(envelope.rcpt_tos)}\r\n".encode() + raw)
            unfinished.rename(path)
        return "250 2.0.0 Ok: queued"


class Sink:
    """A mail server on ``address``:``port`` (0: a free one) that keeps what it gets in ``directory``."""

    def __init__(self, directory: Path, port: int = 0, address: str = LOOPBACK) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mail sink", daemon=True)
        self._socket = socket.create_server((address, port))
        self.address = address
        self.port = int(self._socket.getsockname()[1])

    def __enter__(self) -> Sink:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._socket.close()
        self._loop.close()

    @property
    def hostport(self) -> str:
        """``address:port``."""
        return f"{self.address}:{self.port}"

    def received(self) -> list[EmailMessage]:
        """All messages, oldest first."""
        return received(self._directory)

    async def _serve(self) -> None:
        keep = _Keep(self._directory)
        await self._loop.create_server(lambda: SMTP(keep, hostname="mail.example"), sock=self._socket)


def received(directory: Path) -> list[EmailMessage]:
    """All messages in a sink's directory, oldest first; none when there is no such directory."""
    found: list[EmailMessage] = []
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        if isinstance(message, EmailMessage):
            found.append(message)
    return found


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m raxx_bcp_sandbox.freescout.sink", description="Take all mail.")
    command.add_argument("--address", default=LOOPBACK)
    command.add_argument("--port", type=int, required=True)
    command.add_argument("--directory", type=Path, required=True)
    return command


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until SIGINT or SIGTERM."""
    options = parser().parse_args(arguments)
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with Sink(options.directory, options.port, options.address):
        ended.wait()


if __name__ == "__main__":
    main()
