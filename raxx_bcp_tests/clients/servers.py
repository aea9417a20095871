"""A tiny scripted HTTP server: it says what it is told to, and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer. ``missing`` bytes of the promised body never come; ``hang_up`` closes without a word.

    An empty ``content_type`` is not sent, nor is a ``content-length`` where ``headers`` has one.
    """

    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    missing: int = 0
    chunked: bool = False
    hang_up: bool = False
    raw: bytes | None = None
    """Instead of an answer: these bytes, as they are."""


@dataclass(frozen=True)
class Asked:
    """One request as it came in; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Served:
    """A running server. The last of ``replies`` is given again and again."""

    url: str
    replies: list[Reply]
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_reply(self, asked: Asked) -> Reply:
        with self.lock:
            self.asked.append(asked)
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def _handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            with served.lock:
                served.connections += 1
            super().setup()

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = served.next_reply(Asked(self.command, self.path, headers, body))
            if reply.hang_up or reply.raw is not None:
                self.wfile.write(reply.raw or b"")
                self.close_connection = True
                return
            self.send_response(reply.status)
            if reply.content_type:
                self.send_header("content-type", reply.content_type)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.chunked:
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"%x\r\n" % len(reply.body) + reply.body[: len(reply.body) - reply.missing])
                self.wfile.write(b"" if reply.missing else b"\r\n0\r\n\r\n")
            else:
                if "content-length" not in reply.headers:
                    self.send_header("content-length", str(len(reply.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body[: len(reply.body) - reply.missing])
            odd = bool(reply.missing) or "content-length" in reply.headers
            self.close_connection = self.close_connection or odd

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server asks for these names

    return Handler


@contextmanager
def scripted(*replies: Reply, port: int = 0) -> Iterator[Served]:
    """Serve ``replies`` in order on ``port`` (0: a free one) of 127.0.0.1."""
    served = Served("", list(replies) or [Reply()])
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(served))
    server.daemon_threads = True
    server.handle_error = lambda *_request: None  # type: ignore[method-assign] # a client that hangs up is no news
    server.block_on_close = False
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
