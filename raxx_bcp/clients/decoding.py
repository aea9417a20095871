"""Turns bytes from outside into values: the one place for JSON, and for emptying libraries' exceptions.

A decoder's exception can hold the bytes that it failed on, and a secret can be among them. An exception that is
raised while another is handled carries it as its context, into every log and tracker. So none leaves this module.
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
"""Raised where an answer lacks something, or holds another kind of value there."""
_PLACE: Final = re.compile(r"`(\$[\w.\[\]]*)`")
_UNDECODABLE: Final = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""Not JSON, or another shape; not UTF-8; an invalid time; a number or time out of range; nested too deeply."""


def decoded(body: bytes | bytearray | str | msgspec.Raw, kind: type[T]) -> T | None:
    """``body`` as ``kind``, or None when it is anything else: HTML, cut off, not UTF-8, too deep, another shape."""
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNDECODABLE:
        return None


def misfit(body: bytes | bytearray | str | msgspec.Raw, kind: type[object]) -> str:
    """Why ``body`` is not a ``kind``, without anything that it holds; empty where it is one."""
    try:
        msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        return _without_content(str(error))
    except _UNDECODABLE:
        return "it is not valid UTF-8 JSON"
    return ""


def _without_content(said: str) -> str:
    """msgspec quotes a value that is not in an enumeration, and the name of a field that it does not know."""
    if said.startswith(("Expected", "Object missing")):
        return said
    place = _PLACE.search(said)
    return f"something else than is documented{f' at {place[1]}' if place else ''}"


@contextlib.contextmanager
def understood(what: str, remedy: str) -> Iterator[None]:
    """Raise ``UnreadableAnswerError`` where ``what`` lacks what the block needs, or has another kind of value there."""
    try:
        yield
    except UNPARSABLE as error:
        raise UnreadableAnswerError(f"{what} cannot be understood ({emptied(error)}).", remedy) from None


def from_base64url(text: str) -> bytes:
    """Decode base64url ``text`` without padding, as in a JSON web token (RFC 7515); empty where it is invalid."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def emptied(error: BaseException) -> str:
    """The name of a library's exception, after everything that it holds of an answer was removed from it.

    For an exception that stays the context of another one. Python decides that and nobody can prevent it: in a
    ``with`` block, the exception that ended it is the context of what ``__exit__`` raises.
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
