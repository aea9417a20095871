"""The export document: item by item what the vault holds, in the vendor's own bytes, at any reading size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from raxx_bcp import __version__
from raxx_bcp.clients.infisical import Environment, Identity, Project
from raxx_bcp.vault import schemas, walk
from raxx_bcp.vault.document import ExportDocument, PieceReader, pieces
from raxx_bcp.vault.survey import EnvironmentSurvey, FolderSurvey, ProjectSurvey, Survey
from raxx_bcp_sandbox.infisical.seed import expected_items, marker
from raxx_bcp_sandbox.infisical.shapes import encoded_secret
from raxx_bcp_tests.clients.vaults import WatchedVault, watched_vault

PLATFORM, PAYMENTS, OPS = "raxx-platform", "raxx-payments", "raxx-ops"
DAY = "2026-02-03"
STARTED = datetime(2026, 2, 3, 7, 0, 0, 123_456, tzinfo=UTC)
READ_UNTIL = datetime(2026, 2, 3, 7, 0, 9, tzinfo=UTC)
Json = dict[str, Any]


@pytest.fixture
def vault() -> Iterator[WatchedVault]:
    with watched_vault() as served:
        yield served


@pytest.fixture(scope="module")
def unbroken() -> Iterator[WatchedVault]:
    """A vault that no test of this module changes."""
    with watched_vault() as served:
        yield served


@pytest.fixture(scope="module")
def exported(unbroken: WatchedVault) -> bytes:
    return export(unbroken)


@pytest.fixture(scope="module")
def document(exported: bytes) -> Json:
    data: Json = json.loads(exported)
    return data


def surveyed(vault: WatchedVault, concurrency: int = 4) -> Survey:
    with vault.client() as client:
        return walk.survey(client, walk.memberships(client), concurrency=concurrency, progress=lambda _: None)


def export(vault: WatchedVault, concurrency: int = 4) -> bytes:
    return b"".join(pieces(surveyed(vault, concurrency), DAY, STARTED, READ_UNTIL))


def items_of(document: Json) -> list[Json]:
    """The document in the plain words of ``expected_items``."""
    return [
        {
            "name": part["project"]["name"],
            "slug": part["project"]["slug"],
            "description": part["project"]["description"],
            "tags": [{"slug": tag["slug"], "color": tag["color"]} for tag in part["tags"]],
            "environments": [_environment(one) for one in part["environments"]],
        }
        for part in document["projects"]
    ]


def _environment(part: Json) -> Json:
    return {
        "name": part["environment"]["name"],
        "slug": part["environment"]["slug"],
        "position": part["position"],
        "folders": [
            {"path": one["path"], "description": one["folder"]["description"]}
            for one in part["folders"]
            if one["path"] != "/"
        ],
        "secrets": [
            _secret(secret)
            for folder in part["folders"]
            for secret in sorted(folder["secrets"], key=lambda row: str(row["secretKey"]))
        ],
        "imports": [
            {
                "path": folder["path"],
                "position": link["position"],
                "source_environment": link["importEnv"]["slug"],
                "source_path": link["importPath"],
            }
            for folder in part["folders"]
            for link in folder["imports"]
        ],
    }


def _secret(row: Json) -> Json:
    return {
        "path": row["secretPath"],
        "key": row["secretKey"],
        "value": row["secretValue"],
        "comment": row["secretComment"],
        "skip_multiline_encoding": row["skipMultilineEncoding"],
        "tags": [tag["slug"] for tag in row["tags"]],
        "metadata": row["secretMetadata"],
        "reminder_note": row["secretReminderNote"],
        "reminder_repeat_days": row["secretReminderRepeatDays"],
        "is_rotated": row["isRotatedSecret"],
    }


def folder_of(document: Json, project: str, environment: str, path: str) -> Json:
    found: Json = next(
        folder
        for part in document["projects"]
        if part["project"]["slug"] == project
        for one in part["environments"]
        if one["environment"]["slug"] == environment
        for folder in one["folders"]
        if folder["path"] == path
    )
    return found


def secret_of(document: Json, project: str, environment: str, key: str, path: str = "/") -> Json:
    rows = folder_of(document, project, environment, path)["secrets"]
    found: Json = next(row for row in rows if row["secretKey"] == key)
    return found


def test_the_document_is_the_vault_item_by_item(unbroken: WatchedVault, document: Json) -> None:
    expected = expected_items(unbroken.world)
    found = items_of(document)
    assert [project["slug"] for project in found] == [project["slug"] for project in expected]
    for project, wanted in zip(found, expected, strict=True):
        for environment, hoped in zip(project["environments"], wanted["environments"], strict=True):
            for name in ("folders", "imports", "secrets"):
                assert environment[name] == hoped[name], f"{name} of {wanted['slug']}/{hoped['slug']}"
    assert found == expected


def test_the_document_fits_the_published_schema(document: Json) -> None:
    schema = json.loads((schemas.FOLDER / "export-document.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(document)


def test_the_schema_refuses_a_document_that_lacks_something(document: Json) -> None:
    schema = json.loads((schemas.FOLDER / "export-document.schema.json").read_text(encoding="utf-8"))
    validator = Draft202012Validator(schema)
    for field in document:
        assert not validator.is_valid({name: value for name, value in document.items() if name != field})
    assert not validator.is_valid({**document, "schema_version": 2})


def test_the_document_decodes_into_the_published_type(exported: bytes) -> None:
    decoded = msgspec.json.decode(exported, type=ExportDocument)
    assert [part.project.slug for part in decoded.projects] == [OPS, PAYMENTS, PLATFORM]


def test_the_head_says_what_this_is_and_that_it_is_not_atomic(unbroken: WatchedVault, document: Json) -> None:
    head = {name: value for name, value in document.items() if name != "projects"}
    assert head == {
        "kind": "raxx-bcp/vault-export",
        "schema_version": 1,
        "exporter": f"raxx-bcp {__version__}",
        "export_date": DAY,
        "started_utc": "2026-02-03T07:00:00.123456+00:00",
        "read_until_utc": "2026-02-03T07:00:09+00:00",
        "atomic": False,
        "source": {
            "url": unbroken.address,
            "org_id": unbroken.world.org_id,
            "identity_id": unbroken.world.exporter_id,
        },
    }


def test_every_secret_is_in_there_in_the_vendors_own_bytes(unbroken: WatchedVault, exported: bytes) -> None:
    missing = [secret.key for secret in unbroken.world.secrets.values() if encoded_secret(secret) not in exported]
    assert missing == []


def test_references_stay_unexpanded_also_the_broken_one(document: Json) -> None:
    value = secret_of(document, OPS, "prod", "DB_URL")["secretValue"]
    assert value.startswith("postgres://raxx:${DB_PASSWORD}@${DB_HOST}:5432/")
    broken = secret_of(document, PLATFORM, "dev", "BROKEN_REFERENCE")["secretValue"]
    assert broken == "${NOT_THERE}/" + marker(PLATFORM, "dev", "special", "BROKEN_REFERENCE")
    assert secret_of(document, OPS, "staging", "FROM_DEV")["secretValue"].startswith("${dev.backups.API_TOKEN}#")
    assert "$HOME ${ not a reference } $$ %d" in secret_of(document, OPS, "dev", "SHELL_TEXT")["secretValue"]


def test_imports_keep_their_order_and_their_dangling_source(document: Json) -> None:
    links = folder_of(document, PAYMENTS, "prod", "/")["imports"]
    assert [(link["position"], link["importEnv"]["slug"], link["importPath"]) for link in links] == [
        (1, "staging", "/"),
        (2, "prod", "/cards"),
        (3, "dev", "/does-not-exist"),
    ]
    assert [row for row in folder_of(document, PAYMENTS, "prod", "/")["secrets"] if row["secretPath"] != "/"] == []


@pytest.mark.parametrize(
    ("project", "path"), [(PLATFORM, "/archive/2024"), (PLATFORM, "/archive"), (PAYMENTS, "/sandbox-cards")]
)
def test_empty_folders_are_kept(document: Json, project: str, path: str) -> None:
    folder = folder_of(document, project, "prod", path)
    assert (folder["secrets"], folder["imports"]) == ([], [])
    assert folder["folder"]["relativePath"] == path


def test_the_root_has_no_folder_of_its_own(document: Json) -> None:
    roots = [one["folders"][0] for part in document["projects"] for one in part["environments"]]
    assert [(root["path"], root["folder"]) for root in roots] == [("/", None)] * 10


def test_environments_are_numbered_in_their_own_order(document: Json) -> None:
    platform = document["projects"][2]["environments"]
    assert [(one["position"], one["environment"]["slug"]) for one in platform] == [
        (1, "dev"),
        (2, "staging"),
        (3, "prod"),
        (4, "preview"),
    ]


def test_tags_metadata_and_reminders_are_kept(document: Json) -> None:
    root_key = secret_of(document, OPS, "prod", "ROOT_KEY")
    assert [tag["slug"] for tag in root_key["tags"]] == ["critical", "rotate-quarterly"]
    assert [(row["key"], row["isEncrypted"]) for row in root_key["secretMetadata"]] == [
        ("break-glass", True),
        ("owner", False),
    ]
    assert root_key["secretComment"] == "first line\nsecond line – ünïcode"
    reminded = secret_of(document, OPS, "staging", "WITH_REMINDER")
    assert (reminded["secretReminderNote"], reminded["secretReminderRepeatDays"]) == (
        "Ask the acquirer two weeks ahead",
        90,
    )
    assert secret_of(document, OPS, "prod", "ROTATED_DB_PASSWORD")["isRotatedSecret"] is True
    assert [tag["color"] for tag in document["projects"][0]["tags"]] == ["#e03131", "#f08c00", "#1971c2"]


def test_own_roles_are_on_record(document: Json) -> None:
    assert [[role["role"] for role in part["own_roles"]] for part in document["projects"]] == [["viewer"]] * 3


def test_unicode_line_breaks_and_emptiness_survive(exported: bytes, document: Json) -> None:
    greeting = secret_of(document, OPS, "dev", "GRÜSSE_日本語")
    assert greeting["secretValue"].startswith("Grüße 🌍 日本語 rxs_")
    assert "Grüße 🌍 日本語".encode() in exported
    pem = secret_of(document, OPS, "dev", "TLS_PRIVATE_KEY")["secretValue"]
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert pem.endswith("\n-----END PRIVATE KEY-----\n")
    assert pem.count("\n") == 5
    assert secret_of(document, OPS, "dev", "EMPTY")["secretValue"] == ""


def test_a_field_that_the_vendor_adds_tomorrow_is_in_tomorrows_backup(vault: WatchedVault) -> None:
    project = vault.world.project_by_slug(OPS)
    assert project is not None
    secret = project.environments["prod"].folders["/"].secrets["ROOT_KEY"]
    secret.encoded = encoded_secret(secret)[:-1] + b',"tomorrow":{"n":1.10,"deep":[{"x":"\\u00e9"}]}}'
    exported = export(vault)
    assert secret.encoded in exported
    assert secret_of(json.loads(exported), OPS, "prod", "ROOT_KEY")["tomorrow"] == {"n": 1.1, "deep": [{"x": "é"}]}


def test_fields_beside_the_types_of_projects_folders_tags_and_imports_are_kept_too(document: Json) -> None:
    part = document["projects"][0]
    assert part["project"]["pitVersionLimit"] == 10
    assert part["project"]["deletedEnvironments"] == []
    assert part["tags"][0]["createdByActorType"] == "user"
    assert folder_of(document, OPS, "prod", "/backups")["folder"]["parentId"]
    assert folder_of(document, OPS, "prod", "/")["imports"][0]["sourceProjectName"] == "Raxx Ops – Betrieb"
    assert secret_of(document, OPS, "prod", "ROTATED_DB_PASSWORD")["rotationId"]


def test_the_number_of_requests_in_flight_changes_nothing(unbroken: WatchedVault, exported: bytes) -> None:
    assert export(unbroken, concurrency=1) == export(unbroken, concurrency=8) == exported


def test_a_vault_without_projects_makes_a_whole_document() -> None:
    made = json.loads(b"".join(pieces(Survey("u", Identity("i", "o"), []), DAY, STARTED, READ_UNTIL)))
    assert made["projects"] == []
    msgspec.json.decode(json.dumps(made).encode(), type=ExportDocument)


def test_the_survey_is_empty_once_its_pieces_are_sent(unbroken: WatchedVault) -> None:
    survey = surveyed(unbroken)
    kept = list(survey.projects)
    folders = [folder for project in kept for one in project.environments for folder in one.folders.values()]
    assert sum(len(folder.secrets) for folder in folders) == len(unbroken.world.secrets)
    for _ in pieces(survey, DAY, STARTED, READ_UNTIL):
        pass
    assert survey.projects == []
    assert [project.environments for project in kept] == [[]] * 3
    assert [folder.secrets for folder in folders if folder.secrets] == []


def small_survey() -> Survey:
    def raw(data: object) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode(data))

    folders = {
        path: FolderSurvey(path, raw({"p": path}), True, secrets=[raw({"k": f"{path}{n}"}) for n in range(3)])
        for path in ("/b", "/a", "/a/ü")
    }
    environments = [EnvironmentSurvey(Environment("e", "E", slug), dict(folders)) for slug in ("dev", "prod")]
    projects = [
        ProjectSurvey(Project("p", "P", "p", ()), raw({"id": "p"}), environments=environments),
        ProjectSurvey(Project("q", "Q", "q", ()), raw({"id": "q"})),
    ]
    return Survey("https://vault", Identity("i", "o"), projects)


def small_pieces() -> Iterator[bytes]:
    return pieces(small_survey(), DAY, STARTED, READ_UNTIL)


def read_all(reader: PieceReader, size: int) -> bytes:
    parts = []
    while part := reader.read(size):
        assert size < 0 or len(part) <= size
        parts.append(part)
    return b"".join(parts)


def test_folders_are_sorted_and_commas_stand_between() -> None:
    (first, second) = json.loads(b"".join(small_pieces()))["projects"]
    assert [folder["path"] for folder in first["environments"][0]["folders"]] == ["/a", "/a/ü", "/b"]
    assert (second["environments"], second["tags"], second["own_roles"]) == ([], [], [])


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20, -1])
def test_every_reading_size_gives_the_same_bytes(size: int) -> None:
    reader = PieceReader(small_pieces())
    whole = b"".join(small_pieces())
    assert read_all(reader, size) == whole
    assert reader.size_bytes == len(whole)
    assert reader.read(size) == b""


@given(
    parts=st.lists(st.binary(max_size=20), max_size=20),
    sizes=st.lists(st.integers(-1, 50), max_size=30),
    last=st.sampled_from([1, 7, 4096, -1]),
)
@settings(max_examples=200, deadline=None)
def test_any_pieces_are_read_whole_at_any_sizes(parts: list[bytes], sizes: list[int], last: int) -> None:
    reader = PieceReader(iter(parts))
    read = b"".join(reader.read(size) for size in sizes) + read_all(reader, last)
    assert read == b"".join(parts)
    assert reader.size_bytes == len(read)


@given(parts=st.lists(st.binary(max_size=20), max_size=10), size=st.integers(1, 15))
@settings(max_examples=100, deadline=None)
def test_a_short_read_means_the_end_and_nothing_else(parts: list[bytes], size: int) -> None:
    reader = PieceReader(iter(parts))
    lengths = []
    while part := reader.read(size):
        lengths.append(len(part))
    assert all(length == size for length in lengths[:-1])


def test_a_source_that_breaks_off_breaks_the_reading_off() -> None:
    def broken() -> Iterator[bytes]:
        yield b"abc"
        raise OSError("gone")

    reader = PieceReader(broken())
    assert reader.read(2) == b"ab"
    with pytest.raises(OSError, match="gone"):
        reader.read(2)
