"""What a real client says when Lightsail refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError


@dataclass(frozen=True)
class Refusal:
    """The exception's name, its message, and the HTTP status."""

    code: str
    message: str
    status: int


def refusal(call: Callable[..., Any], **parameters: Any) -> Refusal:
    """How ``call`` is refused; a call that is not refused fails the test."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    error = answer["Error"]
    return Refusal(error.get("Code", ""), error.get("Message", ""), answer["ResponseMetadata"]["HTTPStatusCode"])
