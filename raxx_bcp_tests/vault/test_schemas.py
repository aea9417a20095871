"""The published JSON Schemas: valid, current, and strict where it matters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from raxx_bcp.vault import schemas
from raxx_bcp.vault.document import SCHEMA_ID
from raxx_bcp.vault.manifest import SCHEMA_ID as MANIFEST_SCHEMA_ID
from raxx_bcp.vault.manifest import encode
from raxx_bcp_tests.vault.test_manifest import MANIFEST

NAMES = sorted(schemas.PUBLISHED)


def published(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((schemas.FOLDER / name).read_text(encoding="utf-8"))
    return schema


@pytest.mark.parametrize("name", NAMES)
def test_the_published_file_is_the_generated_one(name: str) -> None:
    assert (schemas.FOLDER / name).read_text(encoding="utf-8") == schemas.text_of(name), "run: make schemas"


def test_every_schema_file_is_generated() -> None:
    assert sorted(path.name for path in schemas.FOLDER.glob("*.schema.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_valid_json_schema(name: str) -> None:
    schema = published(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


def test_each_has_an_identity_of_its_own() -> None:
    assert {published(name)["$id"] for name in NAMES} == {SCHEMA_ID, MANIFEST_SCHEMA_ID}


def test_a_manifest_fits_its_schema() -> None:
    validator = Draft202012Validator(published("export-manifest.schema.json"))
    validator.validate(json.loads(encode(MANIFEST)))


@pytest.mark.parametrize(
    "change", [{"kind": "x"}, {"schema_version": 2}, {"secret_count": "7"}, {"unheard_of": 1}, {"checks": [{}]}]
)
def test_a_wrong_manifest_does_not(change: dict[str, Any]) -> None:
    validator = Draft202012Validator(published("export-manifest.schema.json"))
    assert not validator.is_valid({**json.loads(encode(MANIFEST)), **change})


@pytest.mark.parametrize("wrong", [{}, {"error": "401"}, [], None])
def test_what_is_no_export_does_not_fit_the_exports_schema(wrong: object) -> None:
    assert not Draft202012Validator(published("export-document.schema.json")).is_valid(wrong)
