"""The sidecar: what is written is read back alike, and anything else is no manifest."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from raxx_bcp import __version__
from raxx_bcp.vault import manifest as manifests
from raxx_bcp.vault.manifest import CheckRow, Manifest
from raxx_bcp.vault.survey import EnvironmentCount

MANIFEST = Manifest(
    kind="raxx-bcp/vault-export-manifest",
    schema_version=1,
    export_date="2026-02-03",
    bucket="raxx-iac-state-prod",
    key="vault-exports/2026-02-03.json.gpg",
    version_id=None,
    ciphertext_sha256="0" * 64,
    size_bytes=1_000,
    document_size_bytes=2_000,
    project_count=1,
    secret_count=7,
    folder_count=2,
    import_count=1,
    newest_change_utc="2026-02-02T10:00:00.000Z",
    environments=(EnvironmentCount("raxx-ops", "prod", 2, 7, 1),),
    recipients=("0123456789ABCDEF",),
    key_fingerprint="0123456789ABCDEF0123456789ABCDEF01234567",
    key_expires_utc=None,
    started_utc="2026-02-03T07:00:00+00:00",
    ended_utc="2026-02-03T07:00:09+00:00",
    atomic=False,
    accepted_shrink_reason="größer war besser",
    checks=(CheckRow("completeness", "PASS", "7 secrets"),),
    tools={"gpg": "2.2.40"},
)


def as_data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(manifests.encode(MANIFEST))
    return data


def encoded(data: object) -> bytes:
    return json.dumps(data).encode()


def test_what_is_written_is_read_back_alike() -> None:
    assert manifests.decode(manifests.encode(MANIFEST)) == MANIFEST
    full = msgspec.structs.replace(MANIFEST, version_id="v1", key_expires_utc="2099-12-31T12:00:00+00:00")
    assert manifests.decode(manifests.encode(full)) == full


def test_it_is_readable_by_people_and_ends_in_a_newline() -> None:
    text = manifests.encode(MANIFEST).decode()
    assert text.endswith("}\n")
    assert '\n  "secret_count": 7,\n' in text
    assert "größer war besser" in text


def test_it_says_what_it_complements() -> None:
    assert "pg_dump plus the ENCRYPTION_KEY" in as_data()["complements"]
    assert as_data()["atomic"] is False


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"null", b"[]", b'{"error":"401"}', b"<html></html>", b"\xff\xfe", manifests.encode(MANIFEST)[:-10]],
)
def test_anything_else_is_no_manifest(body: bytes) -> None:
    assert manifests.decode(body) is None


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "raxx-bcp/vault-export"},
        {"schema_version": 2},
        {"schema_version": "1"},
        {"secret_count": "7"},
        {"secret_count": None},
        {"unheard_of": 1},
        {"recipients": "0123456789ABCDEF"},
        {"environments": [{"project": "raxx-ops"}]},
    ],
)
def test_one_wrong_field_is_enough_to_be_no_manifest(change: dict[str, Any]) -> None:
    assert manifests.decode(encoded(as_data())) == MANIFEST
    assert manifests.decode(encoded({**as_data(), **change})) is None


ADDED_LATER = {"complements", "folder_secrets", "emptied_folders", "accepted_emptied_folders"}


def test_a_manifest_from_before_the_counts_of_folders_is_read_as_not_knowing_them() -> None:
    old = {name: value for name, value in as_data().items() if name not in ADDED_LATER}
    found = manifests.decode(encoded(old))
    assert found is not None
    assert (found.folder_secrets, found.emptied_folders, found.accepted_emptied_folders) == (None, (), ())


def test_the_counts_of_folders_are_read_back_alike() -> None:
    full = msgspec.structs.replace(
        MANIFEST,
        folder_secrets={"raxx-ops/prod/": 4, "raxx-ops/prod/ä b": 3},
        emptied_folders=("raxx-ops/prod/old",),
        accepted_emptied_folders=("raxx-ops/prod/old",),
    )
    assert manifests.decode(manifests.encode(full)) == full


@pytest.mark.parametrize("field", [name for name in MANIFEST.__struct_fields__ if name not in ADDED_LATER])
def test_one_missing_field_is_enough_to_be_no_manifest(field: str) -> None:
    data = as_data()
    del data[field]
    assert manifests.decode(encoded(data)) is None


def test_the_tools_are_named_with_their_versions() -> None:
    tools = manifests.tool_versions("2.2.40")
    assert (tools["raxx_bcp"], tools["gpg"]) == (__version__, "2.2.40")
    assert tools["python"].startswith("3.")


def test_a_moment_is_written_in_whole_seconds_of_utc() -> None:
    assert manifests.utc_text(datetime(2026, 2, 3, 7, 0, 3, 999_999, tzinfo=UTC)) == "2026-02-03T07:00:03+00:00"
