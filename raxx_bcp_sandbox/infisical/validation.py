"""Request checks that answer 422 with the messages of the real server's validator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raxx_bcp_sandbox.infisical.errors import invalid

Issue = dict[str, Any]


def kind_of(value: object) -> str:
    """The JSON type of ``value`` as the validator names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


class Checked:
    """Reads fields from a body or a query, gathers every issue, and raises them all in ``done``."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields
        self.issues: list[Issue] = []

    def done(self) -> None:
        """Raise the 422 answer if anything was wrong."""
        if self.issues:
            raise invalid(self.issues)

    def _typed(self, name: str, expected: str, *, required: bool) -> Any:
        if name not in self.fields:
            if required:
                self._wrong_type(name, expected, "undefined", "Required")
            return None
        value = self.fields[name]
        received = kind_of(value)
        if received == expected or (value is None and not required):
            return value
        self._wrong_type(name, expected, received, f"Expected {expected}, received {received}")
        return None

    def _wrong_type(self, name: str, expected: str, received: str, message: str) -> None:
        issue = {"code": "invalid_type", "expected": expected, "received": received, "path": [name]}
        self.issues.append({**issue, "message": message})

    def text(self, name: str, *, least: int = 0, most: int | None = None) -> str:
        """A required string (captures 24c and 40c), optionally with bounds on its length."""
        value = self._typed(name, "string", required=True)
        if value is None:
            return ""
        self._length(name, value, least, most)
        return str(value)

    def optional_text(self, name: str, *, least: int = 0, most: int | None = None) -> str | None:
        """A string that may be left out or null."""
        value = self._typed(name, "string", required=False)
        if value is not None:
            self._length(name, value, least, most)
        return value if value is None else str(value)

    def _length(self, name: str, value: str, least: int, most: int | None) -> None:
        bounds = {"type": "string", "inclusive": True, "exact": False}
        if len(value) < least:
            message = f"String must contain at least {least} character(s)"
            self.issues.append({"code": "too_small", "minimum": least, **bounds, "message": message, "path": [name]})
        if most is not None and len(value) > most:
            message = f"String must contain at most {most} character(s)"
            self.issues.append({"code": "too_big", "maximum": most, **bounds, "message": message, "path": [name]})

    def flag(self, name: str, *, default: bool) -> bool:
        """A query flag: the literals ``true`` and ``false`` only (capture 45h)."""
        value = self.fields.get(name)
        if value is None:
            return default
        if value in ("true", "false"):
            return bool(value == "true")
        message = f"Invalid enum value. Expected 'true' | 'false', received '{value}'"
        self.issues.append(
            {
                "received": value,
                "code": "invalid_enum_value",
                "options": ["true", "false"],
                "path": [name],
                "message": message,
            }
        )
        return default

    def boolean(self, name: str, *, default: bool) -> bool:
        """A JSON boolean in a body."""
        value = self._typed(name, "boolean", required=False)
        return default if value is None else bool(value)

    def items(self, name: str, *, of: str | None = None, required: bool = False) -> list[Any]:
        """A JSON array in a body, optionally of items of one type."""
        value = self._typed(name, "array", required=required)
        items = value if isinstance(value, list) else []
        for at, item in enumerate(items):
            received = kind_of(item)
            if of is not None and received != of:
                issue = {"code": "invalid_type", "expected": of, "received": received, "path": [name, at]}
                self.issues.append({**issue, "message": f"Expected {of}, received {received}"})
        return items

    def mapping(self, name: str) -> dict[str, Any]:
        """A required JSON object in a body."""
        value = self._typed(name, "object", required=True)
        return value if isinstance(value, dict) else {}

    def number(self, name: str, *, default: int | None = None) -> int | None:
        """A whole number in a body or, as digits, in a query."""
        value = self.fields.get(name)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lstrip("-").isdigit():
            return int(value)
        received = "nan" if isinstance(value, str) else kind_of(value)
        self._wrong_type(name, "number", received, f"Expected number, received {received}")
        return default

    def bounded(self, name: str, *, default: int, least: int, most: int | None = None) -> int:
        """A whole number with bounds (capture 23g)."""
        value = self.number(name, default=default)
        if value is None:
            return default
        bounds = {"type": "number", "inclusive": True, "exact": False}
        if most is not None and value > most:
            message = f"Number must be less than or equal to {most}"
            self.issues.append({"code": "too_big", "maximum": most, **bounds, "message": message, "path": [name]})
        if value < least:
            message = f"Number must be greater than or equal to {least}"
            self.issues.append({"code": "too_small", "minimum": least, **bounds, "message": message, "path": [name]})
        return value

    def refuse(self, name: str, message: str) -> None:
        """Add an issue of the application's own (capture 13d)."""
        self.issues.append({"code": "custom", "message": message, "path": [name]})
