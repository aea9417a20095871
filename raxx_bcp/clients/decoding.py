"""Where bytes from outside become values: the one place for JSON, and what libraries' exceptions are emptied by.

A decoder's exception can hold the bytes that it stumbled on, a secret's among them. Whatever is raised while it is
handled carries it along as its context, into every log and tracker. So none leaves this module.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from raxx_bcp.errors import UnreadableAnswerError

T = TypeVar("T")
UNPARSABLE: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What is raised where an answer lacks something, or has another kind of thing there."""
_PLACE: Final = re.compile(r"`(\$[\w.\[\]]*)`")
_UNDECODABLE: Final = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""No JSON, or another shape; no UTF-8, a time that is none; a number or a time out of range; nested without end."""


def decoded(body: bytes | bytearray | str | msgspec.Raw, kind: type[T]) -> T | None:
    """``body`` as ``kind``, or None when it is anything else: HTML, cut off, no UTF-8, too deep, another shape."""
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNDECODABLE:
        return None


def misfit(body: bytes | bytearray | str | msgspec.Raw, kind: type[object]) -> str:
    """Why ``body`` is no ``kind``, without anything that it holds; empty where it is one."""
    try:
        msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        return _without_content(str(error))
    except _UNDECODABLE:
        return "it is not valid UTF-8 JSON"
    return ""


def _without_content(said: str) -> str:
    """msgspec quotes a value that is none of an enumeration, and the name of a field that it does not know."""
    if said.startswith(("Expected", "Object missing")):
        return said
    place = _PLACE.search(said)
    return f"something else than is documented{f' at {place[1]}' if place else ''}"


@contextlib.contextmanager
def understood(what: str, remedy: str) -> Iterator[None]:
    """Raise ``UnreadableAnswerError`` where ``what`` lacks what the block needs, or has it of another kind."""
    try:
        yield
    except UNPARSABLE as error:
        raise UnreadableAnswerError(f"{what} cannot be understood ({emptied(error)}).", remedy) from None


def from_base64url(text: str) -> bytes:
    """What ``text`` stands for, without padding as in a JSON web token (RFC 7515); nothing where it is none."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def emptied(error: BaseException) -> str:
    """The name of a library's exception, after everything was taken out of it that it holds of an answer.

    For an exception that stays behind another one as its context, which Python decides and nobody can prevent: in a
    ``with`` block the exception that ended it is the context of what ``__exit__`` raises.
    """
    if isinstance(error, UnicodeDecodeError):
        error.object, error.start, error.end = b"", 0, 0
    if isinstance(error, UnicodeEncodeError):
        error.object, error.start, error.end = "", 0, 0
    for name in list(vars(error)):
        delattr(error, name)
    error.args = ()
    error.__cause__ = error.__context__ = error.__traceback__ = None
    return type(error).__name__
