"""How Laravel, which FreeScout is built on, uses APP_KEY: for encrypted values and the tokens of attachment links.

Encryption is that of ``Illuminate\\Encryption\\Encrypter`` with the cipher AES-256-CBC: base64 of the JSON object
``{iv, value, mac}``, whose ``mac`` is HMAC-SHA256 over ``iv + value``. A value is serialised as PHP does before that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Final

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_PREFIX: Final = "base64:"
_KEY_BYTES: Final = 32
TOKEN_HMAC: Final = 3
"""``attachments.token_type`` of the newer tokens."""


def app_key(secret: bytes) -> str:
    """A key as ``artisan key:generate`` writes it, made from ``secret``."""
    return _PREFIX + base64.b64encode(hashlib.sha256(secret).digest()).decode()


def key_bytes(key: str) -> bytes:
    """The 32 bytes of an APP_KEY. Raises ``ValueError`` for one that Laravel does not start with."""
    try:
        raw = base64.b64decode(key.removeprefix(_PREFIX), validate=True) if key.startswith(_PREFIX) else key.encode()
    except binascii.Error:
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise ValueError("the cipher takes a key of 32 bytes")
    return raw


def encrypt(key: str, text: str, iv: bytes) -> str:
    """``encrypt($text)`` with an ``iv`` of 16 bytes, so that the same seed gives the same row."""
    plain = f's:{len(text.encode())}:"{text}";'.encode()
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key_bytes(key)), modes.CBC(iv)).encryptor()
    value = base64.b64encode(encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()).decode()
    vector = base64.b64encode(iv).decode()
    payload = {"iv": vector, "value": value, "mac": _mac(key, vector + value)}
    return base64.b64encode(json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode()).decode()


def is_of_key(key: str, encrypted: str) -> bool:
    """Was ``encrypted`` made with ``key``? Its mac decides; nothing is decrypted."""
    try:
        payload = json.loads(base64.b64decode(encrypted, validate=True))
        return hmac.compare_digest(_mac(key, payload["iv"] + payload["value"]), payload["mac"])
    except (ValueError, KeyError, TypeError):
        return False


def token(key: str, attachment_id: int, size: int, file_name: str, token_type: int | None) -> str:
    """The ``token`` of an attachment's link; ``key`` is the whole text of APP_KEY, ``base64:`` included."""
    if token_type == TOKEN_HMAC:
        return hmac.new(key.encode(), f"{attachment_id}{size}{file_name}".encode(), hashlib.sha256).hexdigest()
    return hashlib.md5(f"{key}{attachment_id}{size}".encode(), usedforsecurity=False).hexdigest()


def attachment_directory(attachment_id: int) -> str:
    """Where FreeScout keeps an attachment, below ``storage/app/attachment/``: two digits of its id's md5, and ``1``."""
    digits = [
        each
        for each in hashlib.md5(str(attachment_id).encode(), usedforsecurity=False).hexdigest()
        if each in "0123456789"
    ]
    first, second = [*digits, "0", "0"][:2]
    return f"{first}/{second}/1/"


def queued_reply(conversation_id: int, thread_id: int, customer_id: int) -> str:
    """``jobs.payload`` of a reply that waits to be sent to a customer."""
    job = "App\\Jobs\\SendReplyToCustomer"
    models = (
        _model("conversation", "App\\Conversation", f"i:{conversation_id};"),
        _model("threads", "App\\Thread", f"a:1:{{i:0;i:{thread_id};}}"),
        _model("customer", "App\\Customer", f"i:{customer_id};"),
    )
    command = f'O:{len(job)}:"{job}":3:{{{"".join(models)}}}'
    payload = {
        "displayName": job,
        "job": "Illuminate\\Queue\\CallQueuedHandler@call",
        "maxTries": 168,
        "timeout": 120,
        "timeoutAt": None,
        "data": {"commandName": job, "command": command},
    }
    return json.dumps(payload, separators=(",", ":"))


def _model(field: str, kind: str, identity: str) -> str:
    holder = "Illuminate\\Contracts\\Database\\ModelIdentifier"
    inside = f's:5:"class";s:{len(kind)}:"{kind}";s:2:"id";{identity}s:10:"connection";s:5:"mysql";'
    return f's:{len(field)}:"{field}";O:{len(holder)}:"{holder}":3:{{{inside}}}'


def _mac(key: str, text: str) -> str:
    return hmac.new(key_bytes(key), text.encode(), hashlib.sha256).hexdigest()
