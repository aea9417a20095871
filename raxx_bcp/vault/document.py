"""The export document: one JSON object that holds all that the API gives, object by object, unaltered.

Every project, folder, secret, import and tag is the vendor's own JSON, byte for byte, in a frame of ours.
So a field that Infisical adds tomorrow is in tomorrow's backup. ``ExportDocument`` is the published
type; ``export-document.schema.json`` beside this module is its JSON Schema, made by ``make schemas``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from raxx_bcp import __version__
from raxx_bcp.clients.infisical import Environment, Folder, Role, Secret, SecretImport, Tag
from raxx_bcp.vault.survey import EnvironmentSurvey, FolderSurvey, ProjectSurvey, Survey

KIND: Final = "raxx-bcp/vault-export"
SCHEMA_VERSION: Final = 1
SCHEMA_ID: Final = "urn:raxx-bcp:vault-export:1"

UtcText = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$")]
DateText = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d$")]


class FolderPart(msgspec.Struct):
    """One folder. ``folder`` is null for the root, which the API never lists."""

    path: str
    folder: Folder | None
    imports: list[SecretImport]
    secrets: list[Secret]


class EnvironmentPart(msgspec.Struct):
    """One environment; ``position`` counts from 1 in the project's own order."""

    environment: Environment
    position: int
    folders: list[FolderPart]


class ProjectFields(msgspec.Struct, rename="camel"):
    """What a restore needs of the vendor's project object; all its other fields are kept too."""

    id: str
    name: str
    slug: str
    type: str
    description: str | None = None


class ProjectPart(msgspec.Struct):
    """One project with the exporter's own roles in it at that time."""

    project: ProjectFields
    own_roles: list[Role]
    tags: list[Tag]
    environments: list[EnvironmentPart]


class Source(msgspec.Struct):
    """Where the vault was read, and by which identity."""

    url: str
    org_id: str
    identity_id: str


class ExportDocument(msgspec.Struct):
    """The whole document. ``atomic`` is false: the API has no snapshot across calls."""

    kind: Literal["raxx-bcp/vault-export"]
    schema_version: Literal[1]
    exporter: str
    export_date: DateText
    started_utc: UtcText
    read_until_utc: UtcText
    atomic: bool
    source: Source
    projects: list[ProjectPart]


def json_schema() -> dict[str, Any]:
    """The published JSON Schema (2020-12). Unknown fields are allowed: the vendor's are all kept."""
    (schema,), definitions = msgspec.json.schema_components([ExportDocument], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "raxx-bcp vault export",
        **schema,
        "$defs": definitions,
    }


def pieces(survey: Survey, export_date: str, started: datetime, read_until: datetime) -> Iterator[bytes]:
    """The document in pieces. It **empties** ``survey`` as it goes, so that nothing is kept once it is sent."""
    yield _opening(survey, export_date, started, read_until)
    separator = b""
    while survey.projects:
        yield separator
        yield from _project(survey.projects.pop(0))
        separator = b","
    yield b"]}\n"


def _opening(survey: Survey, export_date: str, started: datetime, read_until: datetime) -> bytes:
    header = msgspec.json.encode(
        {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "exporter": f"raxx-bcp {__version__}",
            "export_date": export_date,
            "started_utc": started.isoformat(),
            "read_until_utc": read_until.isoformat(),
            "atomic": False,
            "source": {
                "url": survey.url,
                "org_id": survey.identity.org_id,
                "identity_id": survey.identity.identity_id,
            },
        }
    )
    return header[:-1] + b',"projects":['


def _project(project: ProjectSurvey) -> Iterator[bytes]:
    yield b'{"project":' + bytes(project.raw) + b',"own_roles":' + msgspec.json.encode(project.roles)
    yield b',"tags":' + msgspec.json.encode(project.tags) + b',"environments":['
    for position in range(1, len(project.environments) + 1):
        yield b"," if position > 1 else b""
        yield from _environment(project.environments.pop(0), position)
    yield b"]}"


def _environment(environment: EnvironmentSurvey, position: int) -> Iterator[bytes]:
    yield b'{"environment":' + msgspec.json.encode(environment.environment) + b',"position":%d' % position
    yield b',"folders":['
    separator = b""
    for path in sorted(environment.folders):
        yield separator
        yield from _folder(environment.folders.pop(path))
        separator = b","
    yield b"]}"


def _folder(folder: FolderSurvey) -> Iterator[bytes]:
    yield b'{"path":' + msgspec.json.encode(folder.path)
    yield b',"folder":' + (msgspec.json.encode(folder.raw) if folder.raw is not None else b"null")
    yield b',"imports":' + msgspec.json.encode(folder.imports) + b',"secrets":['
    yield b",".join(folder.secrets)
    folder.secrets.clear()
    yield b"]}"


class PieceReader:
    """``pieces`` as a readable binary stream, counting the bytes that were read in ``size_bytes``."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._rest = b""
        self.size_bytes = 0

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes (all, when negative); empty at the end."""
        taken = [self._rest]
        held = len(self._rest)
        while size < 0 or held < size:
            piece = next(self._source, None)
            if piece is None:
                break
            taken.append(piece)
            held += len(piece)
        whole = b"".join(taken)
        part, self._rest = (whole, b"") if size < 0 else (whole[:size], whole[size:])
        self.size_bytes += len(part)
        return part
