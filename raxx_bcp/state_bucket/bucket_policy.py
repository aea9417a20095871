"""What a bucket policy certainly denies, read from its text.

It errs on the safe side: a Deny counts only where it holds for every request in question. What this reading cannot
settle (policy variables, NotPrincipal, conditions, a whole account as principal) does not count. A bucket policy does
not show what else may block a request, such as the caller's own rights.
Rules: IAM User Guide, "JSON policy element reference".
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from raxx_bcp.errors import CouldNotVerifyError

EVERYONE: Final = "*"
_VARIABLE: Final = "${"


@dataclass(frozen=True)
class Scope:
    """The actions or the resources of a statement: those that match, or with ``negated`` all that do not."""

    patterns: tuple[str, ...]
    negated: bool = False

    def covers(self, name: str) -> bool:
        """Is ``name`` certainly included?"""
        if self.negated:
            return not any(_is_open(pattern) or matches(pattern, name) for pattern in self.patterns)
        return any(not _is_open(pattern) and matches(pattern, name) for pattern in self.patterns)

    def covers_all(self, beginning: str) -> bool:
        """Is every name that begins with ``beginning`` certainly included?"""
        if self.negated:
            return not any(_is_open(pattern) or may_match(pattern, beginning) for pattern in self.patterns)
        return any(not _is_open(pattern) and matches_all(pattern, beginning) for pattern in self.patterns)


@dataclass(frozen=True)
class Denial:
    """One Deny statement. ``principals`` holds ``EVERYONE`` or the AWS principals that it names."""

    sid: str
    principals: frozenset[str]
    actions: Scope
    resources: Scope
    conditions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holds_for_everyone(self) -> bool:
        return EVERYONE in self.principals

    @property
    def only_without_tls(self) -> bool:
        """Is "came without TLS" its one and only condition?"""
        if set(self.conditions) not in ({"Bool"}, {"BoolIfExists"}):
            return False
        (keys,) = self.conditions.values()
        asked = {str(key).lower(): _texts(value) for key, value in keys.items()} if isinstance(keys, dict) else {}
        return {key: [text.lower() for text in texts] for key, texts in asked.items()} == {
            "aws:securetransport": ["false"]
        }

    def names(self, principal_arn: str) -> bool:
        """Does it name this very principal, or everyone? An account as principal does not count."""
        return self.holds_for_everyone or principal_arn in self.principals

    def covers_actions(self, actions: tuple[str, ...]) -> bool:
        """Are all of these included? IAM ignores case in actions."""
        return all(self.actions.covers(action.lower()) for action in actions)


def denials(document: str) -> tuple[Denial, ...]:
    """The Deny statements of a policy document. Raises ``CouldNotVerifyError`` where it is not one."""
    try:
        policy = json.loads(document)
        written = policy["Statement"]
        statements = written if isinstance(written, list) else [written]
        return tuple(_denial(one) for one in statements if one["Effect"] == "Deny")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CouldNotVerifyError(
            "The bucket's policy cannot be read: it is not a policy document as IAM describes it.",
            "Look at it: aws s3api get-bucket-policy --bucket NAME.",
        ) from None


def matches(pattern: str, name: str) -> bool:
    """IAM's wildcards: ``*`` is any run of characters, ``?`` is one; a bracket means itself."""
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def matches_all(pattern: str, beginning: str) -> bool:
    """Does ``pattern`` match every name that begins with ``beginning``?

    It does where it matches ``beginning`` itself and ends in a star, which then matches everything that follows.
    """
    end = pattern[len(pattern.rstrip("*?")) :]
    return "*" in end and matches(pattern, beginning)


def may_match(pattern: str, beginning: str) -> bool:
    """Does ``pattern`` match any name that begins with ``beginning``?

    It does where a first part of it matches ``beginning``: some name can always match the rest of a pattern.
    """
    return any(matches(pattern[:length], beginning) for length in range(len(pattern) + 1))


def _denial(statement: Mapping[str, Any]) -> Denial:
    return Denial(
        sid=str(statement.get("Sid", "")),
        principals=_principals(statement),
        actions=_scope(statement, "Action", lower=True),
        resources=_scope(statement, "Resource"),
        conditions=dict(statement.get("Condition") or {}),
    )


def _principals(statement: Mapping[str, Any]) -> frozenset[str]:
    """NotPrincipal names nobody here: whom it excludes depends on more than the text (accounts, sessions)."""
    principal = statement.get("Principal", {})
    return frozenset(_texts(principal if isinstance(principal, str) else principal.get("AWS", [])))


def _scope(statement: Mapping[str, Any], element: str, *, lower: bool = False) -> Scope:
    negated = element not in statement
    patterns = _texts(statement[f"Not{element}"] if negated else statement[element])
    return Scope(tuple(pattern.lower() if lower else pattern for pattern in patterns), negated)


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _is_open(pattern: str) -> bool:
    """A policy variable depends on something that only the request knows."""
    return _VARIABLE in pattern
