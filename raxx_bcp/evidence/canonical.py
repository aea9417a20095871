"""One JSON text for one value, so that a hash depends on the content and not on the way it was written.

RFC 8785 (JSON Canonicalization Scheme) without its one difficult part: fractions are refused, since two
writers may print them differently. A fractional measurement is stored as a whole number of a smaller unit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

LARGEST_INTEGER: Final = 2**53 - 1
"""Beyond this a JavaScript reader would see another number (RFC 7493, 2.2)."""


def canonical(value: Any) -> bytes:
    """``value`` (JSON's types only) as canonical UTF-8: keys sorted as RFC 8785 asks, no spaces.

    Raises ``ValueError`` for a fraction, an integer beyond 2**53-1, a key that is not text, half a surrogate pair,
    and anything that JSON does not have.
    """
    return printed(ordered(value))


def printed(value: Any) -> bytes:
    """The text of the result of ``ordered``. Raises ``ValueError`` for half a surrogate pair."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def parse(body: bytes) -> Any:
    """The value of a JSON text without fractions and without numbers beyond JSON's own.

    Raises ``ValueError`` where ``body`` is not such a text, also when it is nested too deeply to be read.
    """
    try:
        return json.loads(body, parse_float=_refuse, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def digest(value: Any) -> str:
    """SHA-256 over the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def ordered(value: Any) -> Any:
    """``value`` with the keys of every object sorted. Raises ``ValueError`` as ``canonical`` does."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in _sorted(value)}
    if isinstance(value, list | tuple):
        return [ordered(item) for item in value]
    if not isinstance(value, int):
        raise ValueError(f"a canonical row holds no {type(value).__name__}")  # noqa: TRY004 - one kind of refusal
    if abs(value) > LARGEST_INTEGER:
        raise ValueError(f"{value} is too large a number to be read alike everywhere")
    return value


def _sorted(keys: Iterable[Any]) -> list[str]:
    """RFC 8785, 3.2.3: by UTF-16 code units, which for ASCII is Python's own order."""
    texts = list(keys)
    for key in texts:
        if not isinstance(key, str):
            raise ValueError(f"a key is text, not {type(key).__name__}")  # noqa: TRY004 - one kind of refusal
    if "".join(texts).isascii():
        return sorted(texts)
    return sorted(texts, key=lambda key: key.encode("utf-16-be"))


def _refuse(number: str) -> Any:
    raise ValueError(f"{number} is not a whole number")
