"""From an entry to bytes and back: every change shows, every version stays readable."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from raxx_bcp.evidence import row_hash, schemas
from raxx_bcp.evidence.canonical import canonical, digest
from raxx_bcp.evidence.row import GENESIS_SHA256, SCHEMA_ID, DrillEntry, Entry, ReviewEntry, Verdict
from raxx_bcp.evidence.row_hash import AlteredError, NewerRowError, NotARowError, link_of, row_of, seal
from raxx_bcp_tests.conftest import NOW
from raxx_bcp_tests.evidence.world import APP, LEFT, drill, review

FIXTURES = Path(__file__).parent / "fixtures"


def sealed(entry: Entry | None = None) -> bytes:
    return seal(entry or drill(), sequence=1, previous_sha256=GENESIS_SHA256, written=NOW)[1]


def content_of(body: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(body)
    return content


def rehashed(content: dict[str, Any]) -> bytes:
    content.pop("sha256", None)
    return canonical({**content, "sha256": digest(content)})


ENTRIES = {
    "pass": drill(),
    "fail": drill(verdict=Verdict.FAIL, resources=(APP, LEFT), findings=("größer 😀",)),
    "unknown": drill(verdict=Verdict.COULD_NOT_VERIFY, rto_seconds=None, rpo_seconds=None, checks=(), resources=()),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_what_is_sealed_is_read_back_alike(name: str) -> None:
    row, body = seal(ENTRIES[name], sequence=7, previous_sha256="ab" * 32, written=NOW)
    assert row_of(link_of(body)) == row
    assert row.entry == ENTRIES[name]
    assert (row.sequence, row.previous_sha256, row.written_utc) == (7, "ab" * 32, NOW)
    assert content_of(body)["written_utc"] == "2031-03-14T09:00:00Z"


def test_the_hash_is_over_everything_but_itself() -> None:
    content = content_of(sealed())
    own = content.pop("sha256")
    assert digest(content) == own


@given(st.data())
def test_every_changed_byte_shows(data: st.DataObject) -> None:
    body = bytearray(sealed())
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises((AlteredError, NotARowError)):
        link_of(bytes(body))


@pytest.mark.parametrize(
    "change", [lambda body: body + b"\n", lambda body: b" " + body, lambda body: json.dumps(json.loads(body)).encode()]
)
def test_the_same_content_in_another_layout_is_altered(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(AlteredError, match="not the canonical form"):
        link_of(change(sealed()))


def test_a_key_that_stands_twice_is_altered() -> None:
    body = sealed().replace(b'"verdict":"PASS"', b'"verdict":"FAIL","verdict":"PASS"')
    with pytest.raises(AlteredError, match="not the canonical form"):
        link_of(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"<html></html>",
        b"\xff\xfe",
        b'{"error":"401"}',
        b'{"kind":"raxx-bcp/evidence-row"}',
        b'{"kind":"raxx-bcp/evidence-row","sequence":true}',
        b'{"kind":"raxx-bcp/evidence-row","sequence":1.5}',
        b'{"kind":"raxx-bcp/evidence-row","sequence":1,"previous_sha256":null,"sha256":""}',
        b'{"kind":"\\ud800"}',
        b"[" * 100_000,
    ],
)
def test_anything_else_is_no_row(body: bytes) -> None:
    with pytest.raises(NotARowError):
        link_of(body)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda row: row.update(schema_version=0), "its schema version 0 was never written"),
        (lambda row: row.update(schema_version="1"), "its schema version '1' was never written"),
        (lambda row: row.update(schema_version=True), "rules of a row: Expected `int`, got `bool`"),
        (lambda row: row.pop("schema_version"), "its schema version None was never written"),
        (lambda row: row.update(unheard_of=1), "breaks the rules of a row: Object contains unknown field"),
        (lambda row: row["entry"].update(verdict="SURE"), "breaks the rules of a row: Invalid enum value"),
        (
            lambda row: row["entry"].update(checks=[]),
            "rules of a row: PASS without a single mandatory check",
        ),
        (lambda row: row["entry"].update(type="other"), "breaks the rules of a row: Invalid value"),
        (
            lambda row: row["entry"]["timing"].update(ended_utc="yesterday"),
            "rules of a row: Invalid RFC3339",
        ),
    ],
)
def test_a_row_with_a_good_hash_that_breaks_the_rules_is_no_row(
    change: Callable[[dict[str, Any]], Any], why: str
) -> None:
    content = content_of(sealed())
    change(content)
    link = link_of(rehashed(content))
    with pytest.raises(NotARowError, match=why):
        row_of(link)


def test_a_row_of_a_later_program_keeps_its_place_in_the_chain_and_is_not_guessed_at() -> None:
    content = content_of(sealed()) | {"schema_version": 2, "something": "new"}
    link = link_of(rehashed(content))
    assert link.sequence == 1
    with pytest.raises(NewerRowError, match="schema version 2 is newer than this program"):
        row_of(link)


def test_a_row_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 1048576 are allowed"):
        sealed(drill(findings=("x" * row_hash.SIZE_LIMIT_BYTES,)))


def test_a_row_with_a_secret_is_refused() -> None:
    with pytest.raises(ValueError, match=r"people\.operator looks like a connection string"):
        sealed(drill(operator="postgres://a:b@c/d"))


def test_rows_of_schema_version_1_stay_readable() -> None:
    read = {}
    for path in sorted(FIXTURES.glob("row-v1-*.json")):
        row = row_of(link_of(path.read_bytes()))
        assert row.schema_version == 1
        read[path.stem] = row
    first, second = read["row-v1-drill"], read["row-v1-review"]
    assert isinstance(first.entry, DrillEntry)
    assert isinstance(second.entry, ReviewEntry)
    assert first.entry.identity.drill_id == "heroku_postgres-20310314T085000Z-1a2b3c"
    assert first.entry.timing.rto.measured_seconds == 432
    assert second.previous_sha256 == second.entry.row_sha256 == first.sha256


class TestThePublishedSchema:
    NAME = "evidence-row.schema.json"

    def published(self) -> dict[str, Any]:
        return content_of((schemas.FOLDER / self.NAME).read_bytes())

    def test_it_is_the_generated_one(self) -> None:
        assert list(schemas.PUBLISHED) == [self.NAME] == [path.name for path in schemas.FOLDER.glob("*.schema.json")]
        text = (schemas.FOLDER / self.NAME).read_text(encoding="utf-8")
        assert text == schemas.text_of(self.NAME), "run: python -m raxx_bcp.evidence.schemas"

    def test_it_is_valid_and_has_an_identity(self) -> None:
        Draft202012Validator.check_schema(self.published())
        assert self.published()["$id"] == SCHEMA_ID

    @pytest.mark.parametrize("name", ENTRIES)
    def test_rows_fit_it(self, name: str) -> None:
        row, body = seal(ENTRIES[name], sequence=1, previous_sha256=GENESIS_SHA256, written=NOW)
        validator = Draft202012Validator(self.published())
        validator.validate(content_of(body))
        reviewed = seal(review(row), sequence=2, previous_sha256=row.sha256, written=NOW)[1]
        validator.validate(content_of(reviewed))

    @pytest.mark.parametrize(
        "change", [{"kind": "x"}, {"schema_version": 2}, {"sequence": 0}, {"sha256": "x"}, {"extra": 1}, {"entry": {}}]
    )
    def test_what_is_no_row_does_not(self, change: dict[str, Any]) -> None:
        validator = Draft202012Validator(self.published())
        assert not validator.is_valid(content_of(sealed()) | change)


def test_every_field_group_of_a_drill_is_there() -> None:
    groups = set(msgspec.to_builtins(drill()))
    assert groups >= {
        "identity",
        "source",
        "target",
        "timing",
        "checks",
        "verdict",
        "findings",
        "teardown",
        "people",
        "follow_up",
    }
