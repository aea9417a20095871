"""The messages that arrived: one JSON object a line, appended and flushed to disk before Slack's "ok"."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Store:
    """An append-only file of messages; a line torn by a crash is skipped. Only one process at a time may use it."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._messages = _read(path)

    def messages(self) -> list[dict[str, Any]]:
        """All messages, oldest first."""
        return list(self._messages)

    def add(self, channel: str, content: dict[str, Any]) -> dict[str, Any]:
        """Store a message. Its ``ts`` is unique and increasing, as Slack's are: it is a message's id."""
        now = self._now()
        last = float(self._messages[-1]["ts"]) if self._messages else 0.0
        ts = f"{max(now, last + 0.000002):.6f}"
        received = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
        message = {"ts": ts, "channel": channel, "received_utc": received, **content}
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._messages.append(message)
        return message

    def clear(self) -> None:
        """Delete all messages."""
        self._path.unlink(missing_ok=True)
        self._messages.clear()


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    if content and not content.endswith(b"\n"):  # torn by a crash: the next message starts on a new line
        with path.open("ab") as file:
            file.write(b"\n")
    messages = []
    for line in content.splitlines():
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict) and {"ts", "channel", "received_utc"} <= message.keys():
            messages.append(message)
    return messages
