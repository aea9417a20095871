"""Where a policy value was written, for errors that name the line, and the environment's overrides."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from raxx_bcp.errors import UsageError

_OVERRIDE: Final = re.compile(r"^RAXX_BCP_([A-Z0-9]+(?:_[A-Z0-9]+)*(?:__[A-Z0-9_]+)+)$")
_UNIT: Final = re.compile(r"_(seconds|minutes|hours|days|ratio|percent|bytes)$")


def environment_overrides(environ: Mapping[str, str], model: type[BaseModel]) -> dict[str, Any]:
    """``RAXX_BCP_VAULT_EXPORT__CONCURRENCY=8`` as ``{"vault_export": {"concurrency": 8}}``.

    A value is read as TOML where it is valid TOML for a number, a boolean or an array, else as text.
    Raises ``UsageError`` for a variable that names no key of the policy.
    """
    overrides: dict[str, Any] = {}
    for name, value in sorted(environ.items()):
        match = _OVERRIDE.match(name)
        if not match:
            continue
        path = match.group(1).lower().split("__")
        field = _field(model, path)
        if field is None:
            raise _no_such_variable(name, _variables(model))
        node = overrides
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value if field is str else _toml_value(value)
    return overrides


def complain(
    error: ValidationError, source: Path, text: str, overrides: Mapping[str, Any], model: type[BaseModel]
) -> UsageError:
    """The first error in the policy as one sentence with file, line, key and reason."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"] if not isinstance(part, int)]
    dotted = ".".join(path) or "the whole file"
    if _is_in(overrides, path):
        place = f"the environment ({', '.join(_set_below(overrides, path))})"
    else:
        place = f"{source}, line {line_of(text, path) or 1}"
    reason, remedy = _reason(dict(first), path, model)
    others = error.error_count() - 1
    more = f" ({others} more after this one)" if others else ""
    return UsageError(
        f"The policy is refused: {place}: {dotted}: {reason}{more}{'' if reason.endswith('?') and not more else '.'}",
        f"{remedy} Then start again.",
    )


def line_of(text: str, path: list[str]) -> int | None:
    """The 1-based line on which ``path`` is written, or of the nearest table above it; None if nowhere."""
    table: list[str] = []
    nearest: int | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        header = re.match(r"^\[\s*([^\[\]]+?)\s*\]", stripped)
        if header:
            table = [part.strip().strip("\"'") for part in header.group(1).split(".")]
            if table == path[: len(table)]:
                nearest = number
                if table == path:
                    return number
            continue
        key = re.match(r"^([A-Za-z0-9_.\"'-]+)\s*=", stripped)
        if key:
            full = table + [part.strip("\"'") for part in key.group(1).split(".")]
            if full == path:
                return number
    return nearest


def _reason(error: dict[str, Any], path: list[str], model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong, for the middle of a sentence, and what to write instead, as a sentence."""
    if error["type"] == "extra_forbidden":
        return _unknown_key(path, model)
    key, given = (path[-1] if path else "it"), error.get("input")
    if key.endswith("_ratio") and isinstance(given, int | float) and given > 1:
        share = f"{given / 100:g}"
        looks = f"a ratio is between 0 and 1, and {given:g} looks like a percentage: write {share}"
        return looks, f"Write {key} = {share}."
    message = _plain(error)
    unit = _UNIT.search(key)
    hint = f" (the value is a plain number of {unit.group(1)})" if unit and isinstance(given, str) else ""
    what = f"what it names in [{'.'.join(path)}]" if path and _fields(model, path) else f"the value of {key}"
    return message + hint, f"Correct {what}; {_EXAMPLES}."


_EXAMPLES: Final = "the shipped bcp.toml shows each key with a value that is taken"


def _plain(error: dict[str, Any]) -> str:
    """Pydantic's message in TOML's terms, with the given value where it says more than its type."""
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message.replace("a valid tuple", 'a valid array, such as ["one", "two"]').replace("Input", "the value")
    if error["type"] == "string_pattern_mismatch":
        return f"{error.get('input')!r} does not match pattern {error['ctx']['pattern']}"
    return message if error["type"] == "value_error" else message[:1].lower() + message[1:]  # our own are ready to use


def _unknown_key(path: list[str], model: type[BaseModel]) -> tuple[str, str]:
    known, key = sorted(_fields(model, path[:-1])), path[-1]
    same_but_unit = [one for one in known if _UNIT.sub("", one) == _UNIT.sub("", key)]
    if same_but_unit:
        other = same_but_unit[0]
        return f"unknown key; this policy writes it in another unit: {other}", f"Write {other}, in its unit."
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"unknown key; did you mean {close[0]}?", f"Write {close[0]} instead of {key}."
    where = f"[{'.'.join(path[:-1])}]" if path[:-1] else "the file"
    return f"unknown key; known here: {', '.join(known)}", f"Take {key} out of {where}, or write a key that is known."


def _no_such_variable(name: str, known: list[str]) -> UsageError:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return UsageError(
            f"The environment variable {name} names no key of the policy; did you mean {close[0]}?",
            f"Set {close[0]} instead, and unset {name}.",
        )
    return UsageError(
        f"The environment variable {name} names no key of the policy.",
        f"Unset it. What overrides a key is called RAXX_BCP_<SECTION>__<KEY>, such as {known[0]}.",
    )


def _set_below(overrides: Mapping[str, Any], path: list[str]) -> list[str]:
    """The variables that are set for the key ``path``, or for keys of the table ``path``."""
    node: Any = overrides
    for part in path:
        node = node[part]
    if not isinstance(node, Mapping):
        return [f"RAXX_BCP_{'__'.join(path).upper()}"]
    return [name for key in node for name in _set_below(overrides, [*path, key])]


def _is_in(overrides: Mapping[str, Any], path: list[str]) -> bool:
    node: Any = overrides
    for part in path:
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return bool(path)


def _toml_value(value: str) -> Any:
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def _fields(model: type[BaseModel], path: list[str]) -> dict[str, Any]:
    for part in path:
        below = model.model_fields.get(part)
        if below is None or not (isinstance(below.annotation, type) and issubclass(below.annotation, BaseModel)):
            return {}
        model = below.annotation
    return {name: info.annotation for name, info in model.model_fields.items()}


def _field(model: type[BaseModel], path: list[str]) -> Any:
    annotation = _fields(model, path[:-1]).get(path[-1])
    is_table = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return None if is_table else annotation


def _variables(model: type[BaseModel], prefix: str = "RAXX_BCP_") -> list[str]:
    names = []
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            names += _variables(annotation, f"{prefix}{name.upper()}__")
        elif prefix != "RAXX_BCP_":
            names.append(f"{prefix}{name.upper()}")
    return names
