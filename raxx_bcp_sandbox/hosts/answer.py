"""The output and exit status of one of an instance's own programs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """Output, errors and exit status of a program."""

    out: bytes = b""
    err: bytes = b""
    status: int = 0


def said(out: str, status: int = 0) -> Answer:
    """A line on standard output."""
    return Answer(out=_line(out), status=status)


def failed(err: str, status: int = 1) -> Answer:
    """A line on standard error."""
    return Answer(err=_line(err), status=status)


def _line(text: str) -> bytes:
    return text.encode() + b"\n" if text and not text.endswith("\n") else text.encode()
