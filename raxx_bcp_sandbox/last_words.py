"""A program's last log message: a person who reads that it stopped should not need its log to learn why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_TAIL_BYTES: Final = 64 * 1024
_LONGEST: Final = 400
_WHEN: Final = re.compile(
    r"^\[?\d{4}-\d\d-\d\d[ T] ?\d{1,2}:\d\d:\d\d[.,\d]*(?: UTC| [+-]\d{4}|Z)?\]?(?: \[?\d+\]?)?[ :-]*"
)
_PANIC: Final = re.compile(r"^(?:panic|fatal error): ")
# Lines after the reason: servers report their shutdown, and some explain how to read their log.
_AFTERTHOUGHT: Final = re.compile(
    r"^(?:LOG|INFO|DEBUG|NOTICE|HINT|DETAIL|CONTEXT|STATEMENT):"  # PostgreSQL, uvicorn
    r"|^\[Note\]|^\[ERROR\] (?:Aborting$|Unknown/unsupported storage engine|.*Plugin .*(?:aborted|failed))"  # MariaDB
    r"|^I\d{4} |^\s"  # SeaweedFS; the inside of a traceback
)


def log_size(log: Path) -> int:
    """The size of ``log`` now, in bytes: what follows belongs to the program that starts next."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def last_words(log: Path, since: int = 0, hidden: Iterable[str] = ()) -> str:
    """The last meaningful line of ``log``, without its time; empty when there is none.

    Only what follows the first ``since`` bytes counts: a log continues from one start to the next.
    ``hidden`` are secrets, which are removed.
    """
    lines = [line.rstrip() for line in _tail(log, since).splitlines()]
    told = [_WHEN.sub("", line) for line in lines if line.strip()]
    panics = [line for line in told if _PANIC.match(line)]
    reasons = panics or [line for line in told if not _AFTERTHOUGHT.search(line)] or told
    if not reasons:
        return ""
    words = "".join(each if each.isprintable() else " " for each in reasons[-1])
    for secret in filter(None, hidden):
        words = words.replace(secret, "…")
    words = " ".join(words.split())
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"


def with_last_words(sentence: str, words: str) -> str:
    """``sentence``, followed by the last message, if there is one."""
    if not words:
        return sentence
    return f"{sentence} Its last words: {words}{'' if words.endswith(('.', '!', '?', '…')) else '.'}"


def _tail(log: Path, since: int) -> str:
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            begin = since if since <= size else 0  # the log was emptied meanwhile: all of it is new
            file.seek(max(begin, size - _TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
