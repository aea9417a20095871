"""Counts are not content: rows that came back in number but not as they were fail, and an ordinary day does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raxx_bcp.drills.heroku_postgres.database import Allowance, compare, refuse_unknown_tables
from raxx_bcp.errors import UsageError
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp_tests.drills.heroku_postgres.contents import EXACTLY, TOLERANCE, Contents, contents, failed

MARK = "rxs_row_content"
SCHEMA = """
CREATE TABLE people (
    id bigserial PRIMARY KEY, name text NOT NULL, about text, cents bigint NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL);
INSERT INTO people (name, about, cents, created_at, updated_at)
SELECT 'rxs_row_content ' || n, CASE WHEN n % 10 > 0 THEN repeat(md5(n::text), 3) END, n,
       timestamptz '2024-06-01 05:00Z' - (20000 - n) * interval '1 minute', '2024-05-30'
FROM generate_series(1, 20000) n;
CREATE TABLE prices (id uuid PRIMARY KEY, cents int, label text, created_at timestamp NOT NULL);
INSERT INTO prices SELECT md5(n::text)::uuid, n, repeat(md5(n::text), 2),
       timestamp '2024-06-01 05:00' - n * interval '1 minute' FROM generate_series(1, 12000) n;
CREATE INDEX prices_created ON prices (created_at);
CREATE TABLE countries (code varchar(2) PRIMARY KEY, name text NOT NULL);
INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France'), ('nl', 'Netherlands');
CREATE TABLE tags (person bigint, tag text);
INSERT INTO tags SELECT n % 100, 'tag' || n % 3 FROM generate_series(1, 400) n;
CREATE TABLE visits (place int, note text);
INSERT INTO visits SELECT n % 3000, repeat(md5(n::text), 4) FROM generate_series(1, 12000) n;
CREATE TABLE files (first int, second int, body bytea NOT NULL, said jsonb, PRIMARY KEY (first, second));
INSERT INTO files SELECT n, n % 7, decode(md5(n::text), 'hex'), '{"a": 1}' FROM generate_series(1, 300) n;
"""


@pytest.fixture(scope="module")
def world() -> Iterator[Contents]:
    with contents(SCHEMA) as made:
        yield made


def test_a_healthy_restore_is_the_same_row_by_row(world: Contents) -> None:
    checks = world.checks(allowance=EXACTLY)
    assert failed(checks) == {}
    rows, values = checks["row content"], checks["null and empty values"]
    assert rows.status is CheckStatus.PASS
    assert rows.expected.endswith("by their keys: all rows of 3 tables, a sample of 3")
    compared = int(rows.expected.split(" ", 1)[0].replace(",", ""))
    assert 703 + 3 * 500 < compared < 10_000, "small tables whole, of large ones a part"
    assert rows.actual.startswith(f"{compared:,} the same; excused: 0 by their own times after the backup, 0 by")
    assert (values.expected, values.actual) == ("16 columns of 6 tables", "16 columns alike")


BROKEN: dict[str, tuple[str, dict[str, str]]] = {
    "every name blanked": (
        "UPDATE people SET name = ''",
        {"null and empty values": "people.name is empty in 20,000 rows instead of 0", "row content": "people: "},
    ),
    "every third text lost": (
        "UPDATE people SET about = NULL WHERE id % 3 = 0",
        {"null and empty values": "people.about is NULL in 8,000 rows instead of 2,000", "row content": "people: "},
    ),
    "every amount one cent off": ("UPDATE people SET cents = cents + 1", {"row content": "people: "}),
    "amounts by random keys off": ("UPDATE prices SET cents = cents + 1", {"row content": "prices: "}),
    "a row of three lost": (
        "DELETE FROM countries WHERE code = 'fr'",
        {"row counts": "countries has 2 rows instead of 3", "row content": "countries: 1 are missing"},
    ),
    "a row of three changed": (
        "UPDATE countries SET name = 'Frace' WHERE code = 'fr'",
        {"row content": "countries: 1 of 3 rows differ"},
    ),
    "a row of three is another": (
        "UPDATE countries SET code = 'xx' WHERE code = 'fr'",
        {"row content": "countries: 1 are missing, 1 are not production's"},
    ),
    "rows without a key changed": (
        "UPDATE tags SET tag = upper(tag)",
        {"row content": "tags: 400 are missing, 400 are not production's"},
    ),
    "many rows without a key changed": ("UPDATE visits SET note = md5(note)", {"row content": "visits: "}),
    "contents of files lost": (
        "UPDATE files SET body = ''",
        {
            "null and empty values": "files.body is empty in 300 rows instead of 0",
            "row content": "files: 300 of 300 rows differ",
        },
    ),
    "documents emptied": (
        "UPDATE files SET said = '{}' WHERE first > 200",
        {"row content": "files: 100 of 300 rows differ"},
    ),
    "two columns exchanged": (
        "UPDATE people SET created_at = updated_at, updated_at = created_at",
        {"row content": "people: ", "newest row": ""},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_rows_that_are_there_but_not_as_they_were_fail_by_name(world: Contents, name: str) -> None:
    damage, wrong = BROKEN[name]
    found = failed(world.checks([damage]))
    for check in found:
        assert check in wrong, found[check]
    assert "row content" in found
    assert {check for check, reason in wrong.items() if reason} <= found.keys()
    assert all(found[check].startswith(reason) for check, reason in wrong.items() if reason), found


LATER = """INSERT INTO people (name, cents, created_at, updated_at)
SELECT 'new', 1, '2024-06-01 08:00Z', '2024-06-01 08:00Z' FROM generate_series(1, 3000)"""
ORDINARY_DAY = (
    LATER,
    "UPDATE people SET name = name || ' II', cents = cents + 5, updated_at = '2024-06-01 07:00Z' WHERE id % 4 = 0",
    "UPDATE people SET about = NULL, updated_at = '2024-06-01 07:00Z' WHERE id % 8 = 0",
    "UPDATE people SET about = 'now', updated_at = created_at + interval '30 days' WHERE created_at > '2024-05-31'",
    "DELETE FROM people WHERE id % 100 = 7",
    "INSERT INTO prices SELECT gen_random_uuid(), 1, NULL, '2024-06-01 09:00' FROM generate_series(1, 500)",
    "UPDATE prices SET cents = 0 WHERE cents % 50 = 0",
    "INSERT INTO tags SELECT n, 'new' FROM generate_series(1, 15) n",
    "UPDATE visits SET note = 'other' WHERE place % 50 = 0",
)


def test_an_ordinary_day_after_the_backup_passes_and_is_told(world: Contents) -> None:
    checks = world.checks(since=ORDINARY_DAY)
    assert failed(checks) == {}
    assert "excused: 0 by their own times" not in checks["row content"].actual
    assert "day changes (up to 5.0% of a table), 0 by the policy" in checks["row content"].actual


def test_what_was_damaged_is_not_excused_by_an_ordinary_day(world: Contents) -> None:
    found = failed(world.checks(["UPDATE people SET cents = cents + 1", "UPDATE tags SET tag = ''"], ORDINARY_DAY))
    assert found["row content"].startswith("people: ")
    assert "; tags: 415 are missing" in found["row content"]


def test_a_row_is_excused_by_productions_own_time_and_not_by_the_restored_ones(world: Contents) -> None:
    touched = "UPDATE people SET cents = cents + 1, updated_at = '2024-06-01 07:00Z'"
    assert "people: " in failed(world.checks([touched]))["row content"]
    assert failed(world.checks(since=[touched], allowance=EXACTLY)) == {}


def test_what_a_transaction_wrote_while_the_backup_began_is_excused(world: Contents) -> None:
    early = "UPDATE people SET cents = 0, updated_at = '2024-06-01 05:{}Z' WHERE id <= 2000"
    assert "row content" not in failed(world.checks(since=[early.format("56")], allowance=EXACTLY))
    assert "people: " in failed(world.checks(since=[early.format("54")], allowance=EXACTLY))["row content"]


def test_the_policy_for_a_table_excuses_it_and_only_it(world: Contents) -> None:
    changed = ["UPDATE countries SET name = upper(name)", "DELETE FROM countries WHERE code = 'fr'"]
    policy = Allowance(TOLERANCE, by_table={"countries": 1.0})
    checks = world.checks(changed, allowance=policy)
    assert failed(checks) == {}
    assert "3 by the policy for their tables" in checks["row content"].actual
    also = world.checks([*changed, "UPDATE tags SET tag = ''"], allowance=policy)
    assert failed(also)["row content"] == "tags: 400 are missing, 400 are not production's"


def test_the_newest_and_the_oldest_rows_of_a_large_table_are_always_compared(world: Contents) -> None:
    expected, healthy = world.found()
    for table, newest in (("people", "id > 19975"), ("people", "id <= 25"), ("prices", "cents <= 25")):
        assert expected.contents[table].shape.one_in > 1
        there, here = world.found([f"UPDATE {table} SET cents = -1 WHERE {newest}"])  # noqa: S608 - names of ours
        ends = there.contents[table].ends
        assert sum(here.contents[table].ends.get(key) != found for key, found in ends.items()) >= 25
        found = {one.name: one for one in compare(there, here, tolerance_ratio=TOLERANCE)}
        assert found["row content"].reason.startswith(f"{table}: 25 of "), found["row content"].reason
    assert all(healthy.contents[table].ends == one.ends for table, one in expected.contents.items())


def test_the_newest_rows_are_those_of_the_backup_although_production_went_on(world: Contents) -> None:
    later = (
        "INSERT INTO people (name, cents, created_at, updated_at) SELECT 'a', 1, {0}, {0} FROM generate_series(1, 99)"
    )
    expected, actual = world.found(since=[later.format("timestamptz '2024-06-01 08:00Z'")])
    assert expected.contents["people"].ends == actual.contents["people"].ends


def test_a_backup_that_is_older_may_differ_by_more_but_never_by_more_than_a_quarter() -> None:
    assert Allowance(0.05, 1.0).rows("t", 100) == 5
    assert Allowance(0.05, 3.0).rows("t", 100) == 15
    assert Allowance(0.05, 900.0).rows("t", 100) == 25
    assert Allowance(0.05).rows("t", 19) == 0
    assert Allowance(0.05, by_table={"t": 0.5}).rows("t", 19) == 9
    assert Allowance(0.29).rows("t", 100) == 25
    assert Allowance(0.1, by_table={"t": 0.29}).rows("t", 100) == 29


def test_a_table_with_other_columns_is_told_by_its_columns_and_not_compared(world: Contents) -> None:
    checks = world.checks(["ALTER TABLE tags DROP COLUMN tag"])
    assert failed(checks).keys() == {"columns"}
    assert checks["row content"].actual.endswith("not compared, since their columns differ: tags")


def test_a_policy_for_a_table_that_is_not_there_is_refused(world: Contents) -> None:
    expected, _actual = world.found()
    refuse_unknown_tables(["countries"], expected)
    with pytest.raises(UsageError, match="no table called contries"):
        refuse_unknown_tables(["countries", "contries"], expected)


def test_no_hash_and_no_row_is_ever_shown(world: Contents) -> None:
    expected, actual = world.found(["UPDATE people SET name = ''"])
    shown = repr((expected, actual, expected.contents, compare(expected, actual, tolerance_ratio=0.0)))
    assert MARK not in shown
    some = next(iter(expected.contents["people"].rows.items()))
    for secret in some:
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
