"""Who may see which rows of a database: row-level security and its policies.

A restore that lost its policies has every row, and opens each tenant's to all others. Comments and privileges on
columns are only recorded: no restore of a drill brings them back (``--no-acl``) and no row depends on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from raxx_bcp.clients.postgres import Reader
from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.heroku_postgres.catalogue import essence, label
from raxx_bcp.drills.heroku_postgres.catalogue_queries import ours
from raxx_bcp.drills.heroku_postgres.messages import checked, objects
from raxx_bcp.evidence.row import CheckStatus

SECURITY: Final = "row security"
REMARKS: Final = "comments and column privileges"
CHECKS: Final = (SECURITY, REMARKS)

_TABLES: Final = ours("""
SELECT n.nspname, c.relname, c.relforcerowsecurity
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.relrowsecurity AND OURS(pg_class, c)""")
_POLICIES: Final = ours("""
SELECT n.nspname, c.relname, p.polname, p.polcmd::text, p.polpermissive,
       ARRAY(SELECT CASE u.role WHEN 0 THEN 'public' WHEN c.relowner THEN 'the owner' ELSE pg_get_userbyid(u.role) END
             FROM unnest(p.polroles) u (role) ORDER BY 1)::text,
       pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE OURS(pg_class, c)""")
_COMMENTS: Final = ours("""
SELECT n.nspname, c.relname, a.attname, encode(sha256(convert_to(d.description, 'UTF8')), 'hex')
FROM pg_description d JOIN pg_class c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
WHERE OURS(pg_class, c)""")
_PRIVILEGES: Final = ours("""
SELECT n.nspname, c.relname, a.attname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND OURS(pg_class, c)""")


@dataclass(frozen=True)
class Protection:
    """By table."""

    tables: Mapping[str, str] = field(default_factory=dict)
    """Tables on which row-level security is on."""
    policies: Mapping[str, Mapping[str, str]] = field(repr=False, default_factory=dict)
    """Of each table each policy and its definition; also where row-level security is off."""
    comments: Mapping[str, str] = field(repr=False, default_factory=dict)
    """``table.column`` or table to a hash of what is said of it."""
    column_privileges: tuple[str, ...] = ()
    """``table.column``."""


def read_protection(reader: Reader) -> Protection:
    """Raises what ``Reader.rows`` raises."""
    policies: dict[str, dict[str, str]] = {}
    for schema, table, name, what, permits, roles, seen, written in reader.rows(_POLICIES, "list the policies"):
        definition = " ".join([what, str(permits), roles, essence(seen), essence(written)])
        policies.setdefault(label(schema, table), {})[name] = definition
    return Protection(
        tables={
            label(schema, name): "forced" if forced else "on"
            for schema, name, forced in reader.rows(_TABLES, "list the tables with row security")
        },
        policies=policies,
        comments={
            ".".join(filter(None, (label(schema, name), column))): said
            for schema, name, column, said in reader.rows(_COMMENTS, "list the comments")
        },
        column_privileges=tuple(
            sorted(
                f"{label(schema, table)}.{column}"
                for schema, table, column in reader.rows(_PRIVILEGES, "list the privileges on columns")
            )
        ),
    )


def compare_protection(expected: Protection, actual: Protection, shared: Iterable[str]) -> list[CheckResult]:
    """The checks of ``CHECKS``. ``shared`` are the tables of both sides: another check reports a missing one."""
    return [_security(expected, actual, set(shared)), _remarks(expected, actual)]


def _security(expected: Protection, actual: Protection, shared: set[str]) -> CheckResult:
    if (expected.tables or expected.policies) and not shared & (expected.tables.keys() | expected.policies.keys()):
        reason = "the tables that have it are missing"
        return CheckResult(SECURITY, f"{len(expected.tables):,} tables", "", CheckStatus.NOT_RUN, reason)
    tables = objects(SECURITY, _of(expected.tables, shared), _of(actual.tables, shared))
    policies = objects(SECURITY, _by_name(expected, shared), _by_name(actual, shared))
    reasons = [
        f"row-level security, {tables.reason}" if tables.reason else "",
        f"policies, {policies.reason}" if policies.reason else "",
    ]
    told = "{} tables with row-level security, {} policies".format
    return checked(SECURITY, told(tables.expected, policies.expected), told(tables.actual, policies.actual), reasons)


def _of(tables: Mapping[str, str], shared: set[str]) -> dict[str, str]:
    return {name: one for name, one in tables.items() if name in shared}


def _by_name(protection: Protection, shared: set[str]) -> dict[str, str]:
    return {
        f"{table}.{name}": one
        for table, policies in protection.policies.items()
        if table in shared
        for name, one in policies.items()
    }


def _remarks(expected: Protection, actual: Protection) -> CheckResult:
    """Recorded, never a failure."""
    alike = sum(actual.comments.get(name) == said for name, said in expected.comments.items())
    kept = len(set(expected.column_privileges) & set(actual.column_privileges))
    return CheckResult(
        REMARKS,
        f"{len(expected.comments):,} comments, {len(expected.column_privileges):,} columns with own privileges",
        f"{alike:,} and {kept:,} came back; recorded only",
        CheckStatus.PASS,
    )
