"""PostgreSQL's answers, damaged on the wire: one of our own errors without a row in it, or rows that could be read."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from raxx_bcp.clients.postgres import Limits, Reader
from raxx_bcp.errors import BcpError
from raxx_bcp_tests.clients.leaks import everything_held
from raxx_bcp_tests.clients.postgres_lab import PostgresLab, postgres_lab

MARK = b"planted-4f1d-content"
SEED = 20310314
QUICK = Limits(connect_seconds=3, statement_seconds=2, lock_seconds=1, grace_seconds=1)
QUERY = b"SELECT email, seen, id, amount FROM public.users ORDER BY id"
Change = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresLab]:
    with postgres_lab() as running:
        running.create("app")
        running.run(
            "app",
            "CREATE TABLE users (id int PRIMARY KEY, email text, seen timestamptz, amount numeric)",
            "INSERT INTO users SELECT n, 'planted-4f1d-content', '2031-03-14 06:30:00+00', 12.5"
            " FROM generate_series(1, 3) n",
        )
        yield running


@contextlib.contextmanager
def relayed(url: SecretStr, change: Change) -> Iterator[SecretStr]:
    """An address whose answers with the mark in them are changed on their way; after an empty one nothing comes."""
    parts = urlsplit(url.get_secret_value())
    target = (parts.hostname or "127.0.0.1", parts.port or 5432)
    listener = socket.create_server(("127.0.0.1", 0))
    open_sockets: list[socket.socket] = [listener]

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(target)
                open_sockets.extend((near, far))
                threading.Thread(target=pump, args=(near, far, lambda data: data), daemon=True).start()
                threading.Thread(target=pump, args=(far, near, changed), daemon=True).start()

    def changed(data: bytes) -> bytes:
        return change(data) if MARK in data else data

    def pump(source: socket.socket, sink: socket.socket, alter: Change) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sent = alter(data)
                sink.sendall(sent)
                if not sent:
                    break
            sink.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield SecretStr(url.get_secret_value().replace(f":{target[1]}/", f":{listener.getsockname()[1]}/"))
    finally:
        for one in open_sockets:
            one.close()


DAMAGES: dict[str, Change] = {
    "no UTF-8": lambda data: data.replace(MARK, b"planted\xff\xfe" + MARK[9:]),
    "cut": lambda data: data[: data.index(MARK) + 7] if not data.startswith(b"\0") else data,
    "gone": lambda _data: b"",
    "a page": lambda data: b"HTTP/1.1 200 OK\r\n\r\n<html>" + MARK + b"</html>" + data,
    "a time that is none": lambda data: data.replace(b"2031-03-14", b"planted-xx"),
    "a time before all time": lambda data: data.replace(b"2031-03-14 06:30:00+00", b"0001-01-01 00:00:00+00"),
    "a time after all time": lambda data: data.replace(b"2031-03-14 06:30:00+00", b"infinity-planted-2031-"),
    "no number": lambda data: data.replace(b"12.5", b"plan"),
    "a longer length": lambda data: data.replace(b"\0\0\0\x14" + MARK, b"\0\x7f\xff\xff" + MARK, 1),
    "a negative length": lambda data: data.replace(b"\0\0\0\x14" + MARK, b"\xff\xff\xff\xfe" + MARK, 1),
}


def finding(server: PostgresLab, change: Change) -> str:
    """What is wrong with what became of it; empty: nothing."""
    try:
        with relayed(server.url("app"), change) as url, Reader(url, QUICK) as reader:
            reader.rows(QUERY, "read the users")
    except BcpError as error:
        return "the content is held" if MARK.decode()[:7] in everything_held(error) else ""
    except Exception as error:  # noqa: BLE001 - what is looked for
        return f"{type(error).__name__} came through"
    return ""


def test_the_relay_itself_changes_nothing(server: PostgresLab) -> None:
    seen: list[bytes] = []

    def watch(data: bytes) -> bytes:
        seen.append(data)
        return data

    with relayed(server.url("app"), watch) as url, Reader(url, QUICK) as reader:
        assert len(reader.rows(QUERY, "read the users")) == 3
    assert len(seen) == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_answer(server: PostgresLab, damage: str) -> None:
    assert finding(server, DAMAGES[damage]) == ""


def test_a_byte_that_was_changed_anywhere(server: PostgresLab) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same damage each time

    def flipped(data: bytes) -> bytes:
        at = chance.randrange(len(data))
        return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]

    assert {finding(server, flipped) for _time in range(40)} == {""}
