"""Facts of production at a backup's own moment: what the drill of that backup is measured by."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from pydantic import SecretStr

from raxx_bcp import environment
from raxx_bcp.checks import Status
from raxx_bcp.clients.heroku_shapes import Transfer
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.drills.heroku_postgres.database import Allowance, Facts, compare, expected_from
from raxx_bcp.drills.heroku_postgres.facts_asset import facts_of, newest_backup, soon
from raxx_bcp.drills.heroku_postgres.keyed_facts import FactsKey, keyed
from raxx_bcp.drills.heroku_postgres.stored_facts import (
    FactsStore,
    TakenFacts,
    UnusableFactsError,
    begun,
    from_facts,
    take_facts,
)
from raxx_bcp.drills.heroku_postgres.wanted import FRESH, Wanted
from raxx_bcp.errors import CouldNotVerifyError, TransientError
from raxx_bcp.evidence.row import Verdict
from raxx_bcp.policy import Policy
from raxx_bcp_sandbox.heroku.app import DATA
from raxx_bcp_tests.drills.heroku_postgres.contents import Contents, contents
from raxx_bcp_tests.drills.heroku_postgres.test_restore_drill import POLICY, Stage, failed, said, status
from raxx_bcp_tests.sandbox.heroku.lab import Lab, heroku_lab

APP = "raxx-app-prod"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with heroku_lab(rows=2000) as made:
        yield made


@pytest.fixture
def store(policy: Policy) -> FactsStore:
    return FactsStore(environment.state_bucket(policy), f"test-{uuid.uuid4().hex}/")


@pytest.fixture
def stage(lab: Lab, store: FactsStore) -> Iterator[Stage]:
    made = Stage(lab, facts=store)
    try:
        yield made
    finally:
        lab.mend_all()
        for name in made.apps():
            made.heroku().delete_app(name)


def taken(stage: Stage) -> tuple[Transfer, TakenFacts]:
    """The facts of the newest backup, stored."""
    assert stage.facts is not None
    with stage.heroku() as heroku:
        backup = newest_backup(heroku, stage.policy)
        facts, size_bytes = facts_of(heroku, stage.policy, stage.facts, backup, stage.lab.now)
    assert size_bytes > 0
    return backup, facts


def key_of(stage: Stage) -> FactsKey:
    with stage.heroku() as heroku:
        return FactsKey.of(heroku.database_url(APP))


# -- the drill -------------------------------------------------------------------------------------------


def test_a_drill_compares_with_the_facts_of_its_backup_and_else_with_production(stage: Stage) -> None:
    without = stage.drill()
    assert without.verdict is Verdict.PASS, said(without)
    assert without.drill.target["compared_with"].startswith("production at ")
    assert without.drill.target["compared_with"].endswith("there are no facts of this backup")
    taken(stage)
    done = stage.drill()
    assert done.verdict is Verdict.PASS, said(done)
    assert done.drill.target["compared_with"].startswith("facts of ")


def test_what_happens_to_production_after_the_facts_does_not_shut_the_gate(stage: Stage) -> None:
    """Every amount has changed without a word of when, and a table has been emptied: only facts can tell."""
    taken(stage)
    keep = "CREATE TABLE kept AS SELECT id, total_cents FROM invoices"
    with stage.lab.connect() as production:
        production.execute(keep.encode())
        production.execute(b"UPDATE invoices SET total_cents = total_cents + 1")
    try:
        done = stage.drill()
        alone = replace(stage, facts=None).drill()
    finally:
        with stage.lab.connect() as production:
            back = "UPDATE invoices i SET total_cents = k.total_cents FROM kept k WHERE k.id = i.id"
            production.execute(back.encode())
            production.execute(b"DROP TABLE kept")
    assert done.verdict is Verdict.PASS, said(done)
    assert failed(alone) == {"row content", "tables"}


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("heroku-backup-names-blanked", "row content"),
        ("heroku-backup-cent-off", "row content"),
        ("heroku-backup-no-row-security", "row security"),
        ("heroku-backup-lookup-short", "row counts"),
        ("heroku-backup-partition-lost", "partitions"),
        ("heroku-backup-large-objects-lost", "large objects"),
        ("heroku-backup-missing-table", "tables"),
    ],
)
def test_a_broken_backup_fails_by_its_facts_too(stage: Stage, fault: str, check: str) -> None:
    taken(stage)
    stage.lab.fault(fault)
    done = stage.drill()
    assert done.drill.target["compared_with"].startswith("facts of ")
    assert check in failed(done), said(done)


def test_one_changed_row_of_hundreds_fails_by_facts_and_is_excused_by_production_of_today(stage: Stage) -> None:
    """The facts are those of production with one amount changed: what a backup that lost it would look like."""
    begun_now = stage.lab.post(f"{DATA}/databases/{stage.lab.addon().id}/backups")
    stage.lab.world.jobs.wait(begun_now["uuid"])
    backup = newest_backup(stage.heroku(), stage.policy)
    one = "UPDATE invoices SET total_cents = total_cents {} 7 WHERE id = 3"
    with stage.lab.connect() as production:
        production.execute(one.format("+").encode())
    try:
        taken(stage)
        done = stage.drill(Wanted(backup.label))
        alone = replace(stage, facts=None).drill(Wanted(backup.label))
    finally:
        with stage.lab.connect() as production:
            production.execute(one.format("-").encode())
    assert failed(done) == {"row content"}
    assert "invoices: 1 of " in said(done)
    assert alone.verdict is Verdict.PASS, said(alone)


# -- facts that cannot be used ---------------------------------------------------------------------------


def damage(store: FactsStore, backup: Transfer, change: Callable[[bytes], bytes]) -> None:
    key = f"{store.prefix}{backup.uuid}.json"
    body = change(store.bucket.get(key))
    store.bucket.put(key, body, content_type="application/json", metadata={})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda body: body.replace(b'"rows":', b'"rows": ', 1), "they are not as they were written"),
        (lambda body: body[:-40], "they cannot be read"),
        (lambda _body: b"\xff\xfe", "they cannot be read"),
        (lambda _body: b"{}", "they cannot be read"),
        (lambda body: body.replace(b'"compared":"', b'"compared":"f', 1), "which compared other things, made them"),
        (lambda body: body.replace(b'"key_name":"', b'"key_name":"f', 1), "password has changed since"),
    ],
)
def test_facts_that_cannot_be_used_are_told_and_production_is_compared_with(
    stage: Stage, change: Callable[[bytes], bytes], why: str
) -> None:
    backup, _facts = taken(stage)
    assert stage.facts is not None
    damage(stage.facts, backup, change)
    with pytest.raises(UnusableFactsError, match=why):
        stage.facts.find(APP, backup, key_of(stage))
    if why == "they are not as they were written":
        done = stage.drill()
        assert done.verdict is Verdict.PASS, said(done)
        assert why in done.drill.target["compared_with"]


def test_facts_of_another_backup_under_this_ones_name_are_refused(stage: Stage) -> None:
    _backup, facts = taken(stage)
    assert stage.facts is not None
    others = [one for one in stage.heroku().transfers(APP) if one.restorable and one.uuid != facts.backup_uuid]
    body = stage.facts.bucket.get(f"{stage.facts.prefix}{facts.backup_uuid}.json")
    key = f"{stage.facts.prefix}{others[0].uuid}.json"
    stage.facts.bucket.put(key, body, content_type="application/json", metadata={})
    with pytest.raises(UnusableFactsError, match="of another backup"):
        stage.facts.find(APP, others[0], key_of(stage))


def test_with_s3_away_the_drill_says_so_and_compares_with_production(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: object, **_named: object) -> object:
        raise TransientError("S3 is away.", "Wait.")

    monkeypatch.setattr(Bucket, "head", away)
    done = stage.drill()
    assert done.verdict is Verdict.PASS, said(done)
    assert done.drill.target["compared_with"].endswith("S3 is away.")


def test_facts_are_written_once(stage: Stage) -> None:
    backup, first = taken(stage)
    assert stage.facts is not None
    later = msgspec.structs.replace(first, taken_utc=first.taken_utc + timedelta(hours=1))
    assert stage.facts.put(later, key_of(stage)) == 0
    assert stage.facts.find(APP, backup, key_of(stage)) == first


# -- what is in them -------------------------------------------------------------------------------------


def test_nothing_of_a_row_nor_what_could_be_guessed_is_stored(stage: Stage) -> None:
    backup, facts = taken(stage)
    assert stage.facts is not None
    stored = stage.facts.bucket.get(f"{stage.facts.prefix}{backup.uuid}.json")
    with stage.heroku() as heroku:
        address = heroku.database_url(APP)
    plain = expected_from(address, backup_created=begun(backup))
    assert plain.contents["customers"].rows
    for content in plain.contents.values():
        for key, row in [*content.rows.items(), *content.ends.items()]:
            assert msgspec.json.encode(row)[1:-3] not in stored
            assert msgspec.json.encode(key)[1:-3] not in stored
    for secret in (b"example.invalid", b"Position", b"Germany", address.get_secret_value().encode(), b"postgresql://"):
        assert secret not in stored
    assert b"total_cents" in stored, "names of columns are there"
    assert facts.facts.contents["customers"].nulls == plain.contents["customers"].nulls
    assert key_of(stage).secret.hex() not in repr(key_of(stage))


@pytest.fixture(scope="module")
def world() -> Iterator[Contents]:
    schema = """
    CREATE TABLE people (email text PRIMARY KEY, kind text CHECK (kind <> 'x'), updated_at timestamptz);
    INSERT INTO people SELECT n || '@example.com', 'a', '2024-05-01' FROM generate_series(1, 100) n;
    CREATE TABLE twins (kind text NOT NULL) PARTITION BY LIST (kind);
    CREATE TABLE twins_a PARTITION OF twins FOR VALUES IN ('rxs_a');
    INSERT INTO twins SELECT 'rxs_a' FROM generate_series(1, 20);
    CREATE INDEX people_kind ON people (kind) WHERE kind = 'rxs_kind';
    """
    with contents(schema) as made:
        yield made


def test_what_is_veiled_alike_compares_as_before(world: Contents) -> None:
    key, other = FactsKey.of(SecretStr("postgresql://a:b@c/d")), FactsKey.of(SecretStr("postgresql://a:x@c/d"))
    damages = (
        (),
        ("UPDATE people SET kind = 'b' WHERE email < '3'", "DROP INDEX people_kind", "DELETE FROM twins"),
        ("ALTER TABLE people DROP CONSTRAINT people_kind_check", "INSERT INTO twins VALUES ('rxs_a')"),
    )
    for damage in damages:
        expected, actual = world.found(damage)
        plain = compare(expected, actual, tolerance_ratio=0.0, allowance=Allowance())
        hidden = compare(keyed(expected, key), keyed(actual, key), tolerance_ratio=0.0, allowance=Allowance())
        assert hidden == plain
    assert keyed(expected, key) != keyed(expected, other)
    assert key.name != other.name
    assert "rxs_" not in repr(msgspec.json.encode(keyed(expected, key)))


def test_an_hour_at_least_is_taken_for_what_went_on_until_the_look() -> None:
    key = FactsKey.of(SecretStr("postgresql://a:b@c/d"))
    at = datetime(2026, 11, 28, 5, 0, tzinfo=UTC)
    facts = TakenFacts(APP, "u", "b007", at, at + timedelta(minutes=3), _no_facts())
    policy = POLICY.model_copy(update={"changes_per_day_ratio": 0.24})
    assert from_facts(facts, policy, key).allowance.ratio == pytest.approx(0.01)
    late = msgspec.structs.replace(facts, taken_utc=at + timedelta(hours=6))
    assert from_facts(late, policy, key).allowance.ratio == pytest.approx(0.06)
    assert (soon(facts).status, soon(late).status) == (Status.PASS, Status.WARN)


def _no_facts() -> Facts:
    return Facts(server_version=170004, as_of=datetime(2026, 11, 28, tzinfo=UTC), revisions=None, tables={})


# -- fresh -----------------------------------------------------------------------------------------------


def test_fresh_makes_a_backup_and_its_facts_in_one_go_and_restores_it(stage: Stage) -> None:
    before = {one.uuid for one in stage.heroku().transfers(APP)}
    done = stage.drill(Wanted(FRESH))
    assert done.verdict is Verdict.PASS, said(done)
    (made,) = [one for one in stage.heroku().transfers(APP) if one.uuid not in before]
    assert done.drill.source_backup is not None
    assert done.drill.source_backup.backup_id == f"{APP} {made.label}"
    assert done.drill.source_backup.selected_because == "made by this drill"
    assert done.drill.target["compared_with"].startswith("facts of ")
    assert (done.drill.rpo_seconds or 0) < 2, "Heroku tells whole seconds"
    assert stage.facts is not None
    assert stage.facts.find(APP, made, key_of(stage)) is not None
    again = stage.drill(Wanted(made.label))
    assert again.drill.target["compared_with"] == done.drill.target["compared_with"]


def test_a_fresh_backup_hides_nothing_of_the_schedules(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup too old stays too old, although the drill made a new one."""
    heroku = stage.heroku()
    listed, long_ago = heroku.transfers(APP), stage.lab.now() - timedelta(days=3)
    old = [one for one in listed if one.finished_utc and one.finished_utc < long_ago]
    for known, found in ((old, "hours"), ([], "none")):
        monkeypatch.setattr(heroku, "transfers", lambda app, known=known: known if app == APP else [])
        done = stage.drill(Wanted(FRESH), heroku=heroku)
        assert failed(done) == {"backup age"}
        (age,) = [one for one in done.drill.results if one.name == "backup age"]
        assert age.actual.endswith(found)


def test_a_fresh_backup_that_does_not_end_or_fails_is_no_pass(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    heroku = stage.heroku()
    capture = heroku.capture
    one = next(one for one in heroku.transfers(APP) if one.is_backup)
    still = replace(one, finished_utc=None, succeeded=None)

    def running(database_id: str) -> Transfer:
        return replace(capture(database_id), finished_utc=None, succeeded=None)

    monkeypatch.setattr(heroku, "capture", running)
    monkeypatch.setattr(heroku, "transfer", lambda *_arguments, **_named: still)
    done = stage.drill(Wanted(FRESH), heroku=heroku)
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert "was not over after" in said(done)
    failing = stage.heroku()
    bad = replace(one, succeeded=False, finished_utc=one.created_utc)
    monkeypatch.setattr(failing, "capture", lambda _database: bad)
    monkeypatch.setattr(failing, "transfer", lambda *_arguments, **_named: bad)
    done = stage.drill(Wanted(FRESH), heroku=failing)
    assert done.verdict is Verdict.COULD_NOT_VERIFY, "it says nothing about the backups that there are"
    assert "could not back raxx-app-prod up" in said(done)
    assert stage.apps() == []


def test_facts_of_a_fresh_backup_that_cannot_be_stored_are_used_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_arguments: object, **_named: object) -> object:
        raise CouldNotVerifyError("S3 denies it.", "Ask.")

    monkeypatch.setattr(Bucket, "put", denied)
    done = stage.drill(Wanted(FRESH))
    assert done.verdict is Verdict.PASS, said(done)
    assert done.drill.target["compared_with"].startswith("facts of ")
    assert status(done)["row content"].value == "PASS"


def test_taking_facts_only_reads_production(stage: Stage) -> None:
    query = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
    with stage.lab.connect() as production, stage.heroku() as heroku:
        before = production.execute(query.encode()).fetchone()
        take_facts(heroku, stage.policy, newest_backup(heroku, stage.policy), stage.lab.now)
        assert production.execute(query.encode()).fetchone() == before
