"""The last guard before a row is stored for years: nothing that looks like a credential gets into it.

Rows hold no secrets because nothing puts one in. This catches the day when something does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

WITHHELD: Final = "(withheld)"

_PATTERNS: Final = {
    "a connection string with a password": r"://[^\s/?#@:]*:[^\s/?#@]+@",
    "a signed URL": r"\b(?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|sig)=[^\s&]+",
    "a password": r'\b(?:passw(?:or)?d|pwd|client_secret|secret_key|access_token|api_key)(?:\s*=\s*|"\s*:\s*")[^\s,;]+',
    "an authorization header": r"\b(?:Bearer|Basic)\s+(?=\S*\d)[A-Za-z0-9._~+/-]{16,}=*",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "an access key": r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b|\bHRKU-[A-Za-z0-9-]{16,}|\bxox[abprs]-[A-Za-z0-9-]{10,}",
}
_LOOKS_LIKE: Final = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _PATTERNS.items()}


def refuse_secrets(value: Any) -> None:
    """Check every text in ``value`` (JSON's types), keys too.

    Raises ``ValueError`` naming the place and the kind of secret, never the text itself.
    """
    for place, text in _texts(value, ""):
        for kind, pattern in _LOOKS_LIKE.items():
            if pattern.search(text):
                raise ValueError(f"{place or 'the value'} looks like {kind}, which a row never holds")


def withhold_secrets(text: str) -> str:
    """``text`` with everything replaced that ``refuse_secrets`` would refuse: for free texts such as findings."""
    for pattern in _LOOKS_LIKE.values():
        text = pattern.sub(WITHHELD, text)
    return text


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"a key of {place or 'the value'}", key
            yield from _texts(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _texts(item, f"{place}[{number}]")
