"""What is read from pg_restore's log, and what of it is told: names from the catalogue, never a row or a line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.heroku_postgres.facts import Facts
from raxx_bcp.drills.heroku_postgres.restore_log import Complaint, Thing, complaints
from raxx_bcp.drills.heroku_postgres.restore_warnings import judged
from raxx_bcp.evidence.row import CheckStatus

PASS, FAIL, NOT_RUN = CheckStatus.PASS, CheckStatus.FAIL, CheckStatus.NOT_RUN
SECRET = "rxs_row_content"

PUBLISHED = """
 pg_restore: creating EXTENSION "plpgsql"
 pg_restore: creating COMMENT "EXTENSION "plpgsql""
 pg_restore: while PROCESSING TOC:
 pg_restore: from TOC entry 4148; 0 0 COMMENT EXTENSION "plpgsql"
 pg_restore: error: could not execute query: ERROR:  must be owner of extension plpgsql
 Command was: COMMENT ON EXTENSION "plpgsql" IS 'PL/pgSQL procedural language';
 pg_restore: creating SCHEMA "public"
 pg_restore: from TOC entry 5; 2615 2200 SCHEMA public postgres
 pg_restore: error: could not execute query: ERROR:  schema "public" already exists
 Command was: CREATE SCHEMA public;
 pg_restore: creating COMMENT "SCHEMA public"
 pg_restore: from TOC entry 2174; 0 0 COMMENT SCHEMA public postgres
 pg_restore: error: could not execute query: ERROR:  must be owner of schema public
 Command was: COMMENT ON SCHEMA public IS 'standard public schema';
 pg_restore: warning: errors ignored on restore: 3
"""
"""As public reports have it (contract, Heroku, 10 and 11)."""

WITH_ROWS = f"""
pg_restore: processing data for table "public.people"
pg_restore: from TOC entry 2911; 0 16808 TABLE DATA people u5hogsu21e7xw1
pg_restore: error: COPY failed for table "people": ERROR:  invalid input syntax for type integer: "{SECRET}"
CONTEXT:  COPY people, line 1, column age: "{SECRET}"
pg_restore: creating INDEX "public.people_email"
pg_restore: from TOC entry 2733; 1259 16833 INDEX people_email u5hogsu21e7xw1
pg_restore: error: could not execute query: ERROR:  could not create unique index "people_email"
DETAIL:  Key (email)=({SECRET}) is duplicated.
Command was: CREATE UNIQUE INDEX people_email ON public.people USING btree (email);
pg_restore: creating TRIGGER "public.people checked"
pg_restore: from TOC entry 2734; 1259 16834 TRIGGER people checked u5hogsu21e7xw1
pg_restore: error: could not execute query: ERROR:  {SECRET} is not welcome
CONTEXT:  PL/pgSQL function public.check() line 4 at RAISE
pg_restore: warning: errors ignored on restore: 3
"""


def read(text: str) -> tuple[Complaint, ...]:
    return complaints(text.splitlines())


def facts(**changed: Any) -> Facts:
    made = Facts(
        server_version=170004,
        as_of=datetime(2024, 6, 1, tzinfo=UTC),
        revisions=None,
        tables={},
        extensions={"plpgsql": "1.0", "hstore": "1.8"},
        extension_schemas={"plpgsql": "pg_catalog", "hstore": "heroku_ext"},
        schemas=frozenset({"public", "heroku_ext", "audit"}),
        event_triggers=frozenset({"log_create_ext"}),
    )
    return replace(made, **changed)


def judge(text: str, counted: int, actual: Facts | None = None) -> CheckResult:
    return judged(counted, read(text), facts(), actual or facts())


def one(entry: str, error: str) -> str:
    commented = entry.startswith("COMMENT ")
    kind, _space, name = entry.partition(" ") if commented else entry.rpartition(" ")
    return f'pg_restore: creating {kind} "{name}"\npg_restore: error: could not execute query: ERROR:  {error}'


def test_what_public_reports_show_is_known() -> None:
    assert [(str(found), found.about) for found in read(PUBLISHED)] == [
        ("COMMENT EXTENSION plpgsql (must be owner)", Thing("extension", "plpgsql")),
        ("SCHEMA public (already exists)", Thing("schema", "public")),
        ("COMMENT SCHEMA public (must be owner)", Thing("schema", "public")),
    ]
    found = judge(PUBLISHED, 3)
    assert (found.status, found.reason) == (PASS, "")
    assert found.actual == (
        "3, 3 of them known: COMMENT EXTENSION plpgsql (1.0 is in pg_catalog), SCHEMA public (is there), "
        "COMMENT SCHEMA public (is there)"
    )


def test_rows_and_words_of_the_log_are_never_told() -> None:
    found = judge(WITH_ROWS, 3)
    assert found.reason == (
        "pg_restore went on after errors that are not harmless: TABLE DATA public.people (invalid input syntax), "
        "INDEX public.people_email (could not create unique index), "
        "TRIGGER public.people checked (an error that its log tells)"
    )
    assert SECRET not in repr((read(WITH_ROWS), found))


@pytest.mark.parametrize("wanted", ["creating", "from TOC entry", "while PROCESSING"])
def test_a_log_that_names_its_entries_in_one_way_only_is_read_too(wanted: str) -> None:
    shorter = "\n".join(line for line in PUBLISHED.splitlines() if wanted not in line)
    assert [found.about for found in read(shorter)] == [found.about for found in read(PUBLISHED)]


def test_an_entry_that_is_not_announced_is_not_taken_for_the_one_before() -> None:
    attached = "pg_restore: from TOC entry 9; 0 0 TABLE ATTACH events_2024 u5hogsu21e7xw1"
    text = f"{PUBLISHED}{attached}\npg_restore: error: could not execute query: ERROR:  out of memory"
    assert [(found.kind, found.name) for found in read(text)][2:] == [
        ("COMMENT", "SCHEMA public"),
        ("TABLE ATTACH", "events_2024"),
    ]


def test_a_message_of_several_lines_is_read_as_its_lines() -> None:
    assert complaints([PUBLISHED]) == read(PUBLISHED)


def test_without_any_entry_the_statement_tells() -> None:
    bare = "\n".join(line for line in PUBLISHED.splitlines() if "creating" not in line and "from TOC entry" not in line)
    assert [found.about for found in read(bare)] == [found.about for found in read(PUBLISHED)]
    mute = "\n".join(line for line in bare.splitlines() if "Command was" not in line)
    assert [found.about for found in read(mute)] == [None, None, None]
    assert judge(mute, 3).status is FAIL


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ("EXTENSION hstore", "must be owner of extension hstore"),
        ("SCHEMA public", "permission denied for database d"),
        ("TABLE public.people", 'schema "public" already exists'),
        ("TYPE public.mood", 'type "mood" already exists'),
        ("TABLE public.people", 'type "heroku_ext.citext" does not exist'),
        ("FUNCTION public.f()", "permission denied for language internal"),
        ("COMMENT public.people", "must be owner of table people"),
        ("COMMENT EXTENSION hstore", "a trigger said: must be owner of extension hstore"),
    ],
)
def test_anything_else_fails_by_its_name(entry: str, error: str) -> None:
    found = judge(one(entry, error), 1)
    assert found.status is FAIL
    assert f"{entry} (" in found.reason
    assert judge(f"{PUBLISHED}{one(entry, error)}", 4).status is FAIL, "harmless ones beside it change nothing"


@pytest.mark.parametrize(
    ("text", "actual", "reason"),
    [
        (
            one("COMMENT EXTENSION hstore", "must be owner of extension hstore"),
            facts(extensions={"plpgsql": "1.0"}),
            "the extension hstore is not there",
        ),
        (
            one("COMMENT EXTENSION hstore", "must be owner of extension hstore"),
            facts(extensions={"plpgsql": "1.0", "hstore": "1.7"}),
            "hstore is 1.7 instead of 1.8",
        ),
        (
            one("COMMENT EXTENSION hstore", "must be owner of extension hstore"),
            facts(extension_schemas={"plpgsql": "pg_catalog", "hstore": "audit"}),
            "hstore is in schema audit instead of heroku_ext",
        ),
        (
            one("COMMENT SCHEMA public", "must be owner of schema public"),
            facts(schemas=frozenset()),
            "the schema public is not there",
        ),
        (
            one("SCHEMA audit", 'schema "audit" already exists'),
            facts(),
            "the schema audit was there before the restore",
        ),
        (
            one("EVENT TRIGGER log_create_ext", 'permission denied to create event trigger "log_create_ext"'),
            facts(event_triggers=frozenset()),
            "the event trigger log_create_ext is not there",
        ),
    ],
)
def test_a_known_one_is_harmless_only_where_its_thing_is_in_place(text: str, actual: Facts, reason: str) -> None:
    found = judge(text, 1, actual)
    assert found.status is FAIL
    assert reason in found.reason


def test_a_schema_that_was_made_for_an_extension_may_be_there_already() -> None:
    here = facts(extension_schemas={"plpgsql": "pg_catalog", "hstore": "audit"})
    text = one("SCHEMA audit", 'schema "audit" already exists')
    assert judged(1, read(text), here, here).status is PASS


@pytest.mark.parametrize(
    ("text", "counted", "status"),
    [("", 0, PASS), ("", 1, NOT_RUN), (PUBLISHED, 4, NOT_RUN), (PUBLISHED, 0, PASS), (WITH_ROWS, 9, FAIL)],
)
def test_a_count_alone_proves_nothing_either_way(text: str, counted: int, status: CheckStatus) -> None:
    """More errors than are named: nobody knows what the others were, unless one of the named is bad enough."""
    assert judge(text, counted).status is status
