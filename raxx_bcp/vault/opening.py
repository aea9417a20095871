"""An export in memory: the contents of its plaintext, checked once, with every secret kept as its own bytes.

Secrets stay undecoded views into the plaintext until they are needed, so that a vault of 50,000 of them
takes little more memory than its document. Nothing in here shows a value in its ``repr``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from raxx_bcp.clients.decoding import decoded, misfit
from raxx_bcp.clients.infisical import Environment, Folder, Secret, SecretImport, Tag
from raxx_bcp.errors import PermanentError
from raxx_bcp.vault.document import KIND, SCHEMA_VERSION, ProjectFields, Source
from raxx_bcp.vault.survey import EnvironmentCount

ROOT: Final = "/"


class OpenedFolder(msgspec.Struct):
    """One folder. ``folder`` is None for the root, which the API never lists; imports are in their order."""

    path: str
    folder: Folder | None
    imports: list[SecretImport]
    secrets: list[msgspec.Raw]

    def __repr__(self) -> str:
        return f"OpenedFolder({self.path!r}, {len(self.secrets)} secrets)"


class OpenedEnvironment(msgspec.Struct):
    """One environment; ``position`` counts from 1."""

    environment: Environment
    position: int
    folders: list[OpenedFolder]


class OpenedProject(msgspec.Struct):
    """One project with its tags."""

    project: ProjectFields
    tags: list[Tag]
    environments: list[OpenedEnvironment]

    @property
    def secret_count(self) -> int:
        return sum(len(folder.secrets) for folder in self.folders())

    def folders(self) -> Iterator[OpenedFolder]:
        """Those of all environments."""
        for environment in self.environments:
            yield from environment.folders


class OpenedExport(msgspec.Struct):
    """A whole export. Dates and times as the document has them: ISO 8601, UTC."""

    kind: str
    schema_version: int
    exporter: str
    export_date: str
    started_utc: str
    read_until_utc: str
    source: Source
    projects: list[OpenedProject]

    @property
    def secret_count(self) -> int:
        return sum(project.secret_count for project in self.projects)

    def counts(self) -> tuple[EnvironmentCount, ...]:
        """A row for every environment, as in the manifest. ``folders`` does not count the root."""
        return tuple(
            EnvironmentCount(
                project=project.project.slug,
                environment=environment.environment.slug,
                folders=sum(folder.path != ROOT for folder in environment.folders),
                secrets=sum(len(folder.secrets) for folder in environment.folders),
                imports=sum(len(folder.imports) for folder in environment.folders),
            )
            for project in self.projects
            for environment in project.environments
        )


class _Heading(msgspec.Struct):
    kind: str = ""
    schema_version: int = 0


class _Named(msgspec.Struct, rename="camel"):
    secret_key: str


_SECRET: Final = msgspec.json.Decoder(Secret)
_NAMED: Final = msgspec.json.Decoder(_Named)


def secret_of(raw: msgspec.Raw) -> Secret:
    """One secret, decoded. Raises ``msgspec.ValidationError`` where it is not one."""
    return _SECRET.decode(raw)


def key_of(raw: msgspec.Raw) -> str:
    """A secret's key, without decoding the rest."""
    return _NAMED.decode(raw).secret_key


def open_document(plaintext: bytes | bytearray) -> OpenedExport:
    """The export in ``plaintext``, of any format version ever written; every secret in it is checked.

    Raises ``PermanentError``: foreign content, a future version, or an object that does not fit.
    """
    heading = _heading(plaintext)
    if heading.kind != KIND:
        raise PermanentError(
            "It opens, but what is inside is no vault export of this software.",
            "Look for the right file: exports are named YYYY-MM-DD.json.gpg.",
        )
    reader = _READERS.get(heading.schema_version)
    if reader is None:
        raise PermanentError(
            f"This export has the format version {heading.schema_version}, and this software reads versions up to "
            f"{SCHEMA_VERSION}.",
            "It was made by a newer raxx-bcp: check that version out, and open it with that.",
        )
    document = reader(plaintext)
    if isinstance(document, str):
        raise PermanentError(
            f"The export does not fit its own format version {heading.schema_version}: {document}.",
            "Take another day's export, an earlier version, or the second copy.",
        )
    return document


def _heading(plaintext: bytes | bytearray) -> _Heading:
    return decoded(plaintext, _Heading) or _Heading()


def _read_version_1(plaintext: bytes | bytearray) -> OpenedExport | str:
    """The export, or why it is not one, without anything that it holds."""
    document = decoded(plaintext, OpenedExport)
    if document is None:
        return misfit(plaintext, OpenedExport)
    secrets = (raw for project in document.projects for folder in project.folders() for raw in folder.secrets)
    return next((why for raw in secrets if (why := misfit(raw, Secret))), document)


_READERS: Final[dict[int, Callable[[Any], OpenedExport | str]]] = {1: _read_version_1}
"""One reader for each format version: an export must open for as long as it is kept."""
