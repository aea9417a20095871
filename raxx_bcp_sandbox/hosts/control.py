"""Where a machine listens to its own programs: a Unix socket, one request and one answer a connection."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from raxx_bcp_sandbox.hosts.answer import Answer, failed
from raxx_bcp_sandbox.hosts.commands import Request

_LIMIT: Final = 64 * 1024 * 1024
_log = logging.getLogger(__name__)


class Control:
    """The socket of one machine, in a directory of its own. ``run`` is called in a thread."""

    def __init__(self, path: Path, run: Callable[[Request], Answer]) -> None:
        self._path = path
        self._run = run
        self._server: asyncio.AbstractServer | None = None
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="host-command")

    async def open(self) -> None:
        """Listen; remove what a killed process left there."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=_LIMIT)

    async def close(self) -> None:
        """Stop listening."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(self._path.parent, ignore_errors=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError, asyncio.IncompleteReadError):
            request = _read(json.loads(await reader.readline()))
            writer.write(_written(await self._answer(request)))
            await writer.drain()
        writer.close()

    async def _answer(self, request: Request) -> Answer:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, request)
        except Exception:  # noqa: BLE001 - after any error the program must get an answer
            _log.exception("%s failed on an instance.", request.name)
            return failed(f"{request.name}: the sandbox's own mistake, see its log", 70)


def _read(sent: dict[str, Any]) -> Request:
    return Request(
        name=str(sent["name"]),
        arguments=[str(each) for each in sent["arguments"]],
        directory=Path(sent["directory"]),
        pid=int(sent["pid"]),
        input=base64.b64decode(sent["input"]),
    )


def _written(answer: Answer) -> bytes:
    shown = {
        "out": base64.b64encode(answer.out).decode(),
        "err": base64.b64encode(answer.err).decode(),
        "status": answer.status,
    }
    return json.dumps(shown).encode() + b"\n"
