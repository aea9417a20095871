"""Who may do what: organisation roles, project roles, additional privileges with conditions.

Read from captures 23, 44, 46, 48c, 50, 51 and 54. A check without fields ("may it describe any secret at all?") ignores
conditions; a check with fields does not.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raxx_bcp_sandbox.infisical.errors import denied
from raxx_bcp_sandbox.infisical.state import Membership

ANY = "*"
OF_ONE_SECRET = frozenset({"secretName", "secretTags"})
Values = str | tuple[str, ...]
READABLE = (
    "audit-logs",
    "environments",
    "identity",
    "role",
    "secret-folders",
    "secret-imports",
    "secret-rotation",
    "secret-syncs",
    "settings",
    "tags",
    "webhooks",
    "workspace",
)
WRITABLE = ("environments", "secret-folders", "secret-imports", "tags", "webhooks")


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission rule; ``conditions`` maps a field to its operators."""

    subject: str
    actions: frozenset[str]
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    inverted: bool = False

    def speaks_of(self, action: str, subject: str) -> bool:
        """Does this rule apply to ``action`` on ``subject``, ignoring its conditions?"""
        return self.subject in (subject, ANY) and (action in self.actions or ANY in self.actions)

    def holds_for(self, fields: Mapping[str, Values]) -> bool:
        """Are all conditions met? A field with several values (tags) meets a condition when any value does."""
        return all(_met_by(fields.get(name, ""), operators) for name, operators in self.conditions.items())

    def as_detail(self) -> dict[str, Any]:
        """As ``details`` of a 403 shows it (capture 51_shared)."""
        return {
            "action": sorted(self.actions),
            "inverted": self.inverted,
            "subject": [self.subject],
            "conditions": dict(self.conditions),
        }


@functools.lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    """``/api/**`` matches ``/api`` and everything below it (captures 50 and 51)."""
    pieces = re.findall(r"/\*\*$|\*\*|\*|\?|[^*?]", pattern)
    wild = {"/**": "(?:/.*)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(wild.get(piece, re.escape(piece)) for piece in pieces) + r"\Z", re.DOTALL)


OPERATORS: Mapping[str, Callable[[str, Any], bool]] = {
    "$eq": lambda value, wanted: bool(value == wanted),
    "$ne": lambda value, wanted: bool(value != wanted),
    "$in": lambda value, wanted: value in wanted,
    "$glob": lambda value, wanted: _glob(str(wanted)).match(value) is not None,
}


def _met_by(value: Values, operators: Mapping[str, Any]) -> bool:
    values = (value,) if isinstance(value, str) else value
    return any(_meets(one, operators) for one in values)


def _meets(value: str, operators: Mapping[str, Any]) -> bool:
    return all(name in OPERATORS and OPERATORS[name](value, wanted) for name, wanted in operators.items())


class Permission:
    """What one actor may do in one project. The last rule that applies decides."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = list(rules)

    @property
    def looks_at_each_secret(self) -> bool:
        """Does a rule apply to single secrets, by name or tag, and not only to whole folders?"""
        return any(OF_ONE_SECRET & rule.conditions.keys() for rule in self.rules)

    def can(self, action: str, subject: str, **fields: Values) -> bool:
        """May the actor do it? Without ``fields``: anywhere?"""
        for rule in reversed(self.rules):
            if not fields and rule.inverted and rule.conditions:
                continue  # a denial with conditions leaves something allowed
            if rule.speaks_of(action, subject) and (not fields or rule.holds_for(fields)):
                return not rule.inverted
        return False

    def require(self, action: str, subject: str, **fields: Values) -> None:
        """Raise the 403 answer unless the actor may; its details name the rules that nearly matched."""
        if not self.can(action, subject, **fields):
            near = [rule.as_detail() for rule in self.rules if rule.speaks_of(action, subject)]
            raise denied(action, subject, near)


def rules_of_role(role: str) -> list[Rule]:
    """The rules of a built-in project role; a custom role gets its rules from privileges."""
    read = [Rule(subject, frozenset({"read"})) for subject in READABLE]
    see_secrets = Rule("secrets", frozenset({"describeSecret", "readValue"}))
    write = frozenset({"create", "edit", "delete"})
    if role == "admin":
        return [Rule(ANY, frozenset({ANY}))]
    if role == "member":
        return [*read, see_secrets, Rule("secrets", write), *(Rule(subject, write) for subject in WRITABLE)]
    if role == "viewer":
        return [*read, see_secrets]
    return []


def rule_from_json(stored: Mapping[str, Any]) -> Rule:
    """A rule of an additional privilege, as it was posted (capture 50). Without a subject it applies to all."""
    action = stored["action"]
    return Rule(
        subject=stored.get("subject", ANY),
        actions=frozenset([action] if isinstance(action, str) else action),
        conditions=stored.get("conditions") or {},
        inverted=bool(stored.get("inverted")),
    )


def permission_of(membership: Membership) -> Permission:
    """The rules of all roles, then those of all additional privileges."""
    rules = [rule for role in membership.roles for rule in rules_of_role(role.slug)]
    for privilege in membership.privileges:
        rules.extend(rule_from_json(stored) for stored in privilege["permissions"])
    return Permission(rules)
