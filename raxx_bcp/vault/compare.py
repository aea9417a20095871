"""Compares two vaults item by item: what is equal, what differs, and in which respect. Never a value.

Values go through the server's own normalisation before they are compared (``as_stored``): it trims them and
keeps one newline at the end (Infisical's write API, measured). It counts how often that changed something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from raxx_bcp.clients.infisical import Secret, SecretImport, Tag
from raxx_bcp.vault.opening import OpenedEnvironment, OpenedFolder, OpenedProject, key_of, secret_of

KINDS: Final = ("project", "tag", "environment", "folder", "secret", "import")
ORDER: Final = "order"
MISSING: Final = "missing"
MISSING_BEFORE: Final = "missing, and others that come after it are there"
EXTRA: Final = "extra"
REMINDER_UNSET: Final = "reminder not set"
TRIMMED_VALUES: Final = "values that the server trims"
TRIMMED_COMMENTS: Final = "comments that the server trims"
_WHITESPACE: Final = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What JavaScript's ``trim()`` removes (ECMA-262, WhiteSpace and LineTerminator)."""


class Difference(NamedTuple):
    """One item that is not the same. ``where`` names it, such as ``raxx-ops/prod/backups/KEY``."""

    kind: str
    where: str
    why: str
    """``missing``, ``extra``, or the respects in which it differs."""


@dataclass
class Compared:
    """The result of a comparison. ``left_out`` is what was known beforehand to be impossible to restore."""

    equal: Counter[str] = field(default_factory=Counter)
    different: list[Difference] = field(default_factory=list)
    normalised: Counter[str] = field(default_factory=Counter)
    left_out: list[Difference] = field(default_factory=list)
    order: list[Difference] = field(default_factory=list)
    """Projects whose environments are in another order: reported, but never a reason to report something as missing."""

    @property
    def equal_count(self) -> int:
        return self.equal.total()

    @property
    def different_count(self) -> int:
        return len(self.different)

    def differing(self, kind: str) -> int:
        """How many items of ``kind`` are not the same."""
        return sum(one.kind == kind for one in self.different)

    def add(self, other: Compared) -> None:
        """Add the result of another comparison."""
        self.equal += other.equal
        self.normalised += other.normalised
        self.different += other.different
        self.left_out += other.left_out
        self.order += other.order

    def except_for(self, left_out: Iterable[Difference]) -> Compared:
        """Accept items of ``left_out`` that exist all the same: somebody set them by hand, and they do no harm."""
        by_hand = {(one.kind, one.where) for one in left_out}
        self.different = [one for one in self.different if one.why != EXTRA or (one.kind, one.where) not in by_hand]
        return self

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``: counts and names, no value."""
        return {
            "equal": {kind: self.equal[kind] for kind in KINDS},
            "different": [one._asdict() for one in self.different],
            "left_out": [one._asdict() for one in self.left_out],
            "order_differs": [one._asdict() for one in self.order],
            "normalised_by_the_server": dict(self.normalised),
        }


def as_stored(value: str) -> str:
    """The value as the server keeps it: trimmed, one newline at the end kept, blank becomes empty."""
    trimmed = value.strip(_WHITESPACE)
    return f"{trimmed}\n" if trimmed and value.endswith("\n") else trimmed


def comment_as_stored(comment: str) -> str:
    """The comment as the server keeps it: trimmed."""
    return comment.strip(_WHITESPACE)


def respects(expected: Secret, actual: Secret, *, stored: bool = True) -> tuple[str, ...]:
    """The respects in which the two differ; empty when they are equal.

    ``stored``: the server's form of the expected value and comment counts as equal to them.
    """
    differing = [name for name, same in _RESPECTS if not same(expected, actual)]
    if stored and "value" in differing and as_stored(expected.secret_value) == actual.secret_value:
        differing.remove("value")
    if stored and "comment" in differing and comment_as_stored(expected.secret_comment) == actual.secret_comment:
        differing.remove("comment")
    if differing == ["reminder"] and _reminder(actual) == (None, None):
        return (REMINDER_UNSET,)
    return tuple(differing)


def _tag_slugs(secret: Secret) -> list[str]:
    return sorted(tag.slug for tag in secret.tags)


def _metadata(secret: Secret) -> list[tuple[str, str, bool]]:
    """In no order: the server lists encrypted ones first."""
    return sorted((row.key, row.value, row.is_encrypted) for row in secret.secret_metadata)


def _reminder(secret: Secret) -> tuple[str | None, int | None]:
    return secret.secret_reminder_note or None, secret.secret_reminder_repeat_days


_RESPECTS: Final[tuple[tuple[str, Callable[[Secret, Secret], bool]], ...]] = (
    ("value", lambda one, other: one.secret_value == other.secret_value),
    ("comment", lambda one, other: one.secret_comment == other.secret_comment),
    (
        "multi-line encoding",
        lambda one, other: bool(one.skip_multiline_encoding) == bool(other.skip_multiline_encoding),
    ),
    ("tags", lambda one, other: _tag_slugs(one) == _tag_slugs(other)),
    ("metadata", lambda one, other: _metadata(one) == _metadata(other)),
    ("reminder", lambda one, other: _reminder(one) == _reminder(other)),
)
"""Everything that a restore brings back of a secret."""


def compare_heads(expected: OpenedProject, actual: OpenedProject) -> Compared:
    """The project itself, its tags, and the order of its environments."""
    found, slug = Compared(), expected.project.slug
    project = [
        why
        for why, left, right in (
            ("name", expected.project.name, actual.project.name),
            ("description", expected.project.description or "", actual.project.description or ""),
        )
        if left != right
    ]
    _note(found, "project", slug, project)
    _pairs(found, "tag", lambda tag_slug: f"{slug}#{tag_slug}", _tags(expected.tags), _tags(actual.tags))
    return found


def compare_order(expected: OpenedProject, actual: Sequence[str]) -> list[Difference]:
    """Are the environments that exist on both sides in the same order? ``actual`` are the slugs in the target.

    One entry of its own kind: each environment is equal or not by its content, at any position.
    """
    wanted = [environment.environment.slug for environment in expected.environments]
    common = [slug for slug in wanted if slug in actual]
    there = [slug for slug in actual if slug in common]
    if there == common:
        return []
    return [
        Difference(ORDER, expected.project.slug, f"environments are {', '.join(there)}; wanted {', '.join(common)}")
    ]


def _tags(tags: Iterable[Tag]) -> dict[str, str]:
    return {tag.slug: tag.color or "" for tag in tags}


def compare_environment(
    slug: str, expected: OpenedEnvironment | None, actual: OpenedEnvironment | None, *, stored: bool = True
) -> Compared:
    """One environment of the project ``slug``: itself, its folders, secrets and imports."""
    found = Compared()
    either = expected or actual
    if either is None:
        return found
    where = f"{slug}/{either.environment.slug}"
    if expected is None or actual is None:
        found.different += _whole(where, either, MISSING if actual is None else EXTRA)
        return found
    _note(found, "environment", where, ["name"] if expected.environment.name != actual.environment.name else [])
    folders = {folder.path: folder for folder in expected.folders}
    there = {folder.path: folder for folder in actual.folders}
    for path in sorted(folders.keys() | there.keys()):
        one, other = folders.get(path), there.get(path)
        if one is None or other is None:
            folder = one or other or OpenedFolder(path, None, [], [])
            found.different += _whole_folder(where, folder, MISSING if other is None else EXTRA)
            continue
        _folder(found, where, one, other, stored=stored)
    return found


def _whole(where: str, environment: OpenedEnvironment, why: str) -> Iterator[Difference]:
    yield Difference("environment", where, why)
    for folder in environment.folders:
        yield from _whole_folder(where, folder, why)


def _whole_folder(where: str, folder: OpenedFolder, why: str) -> Iterator[Difference]:
    if folder.folder is not None:
        yield Difference("folder", f"{where}{folder.path}", why)
    for raw in folder.secrets:
        yield Difference("secret", secret_place(where, folder.path, key_of(raw)), why)
    for link in folder.imports:
        yield Difference("import", import_place(where, folder.path, link), why)


def _folder(found: Compared, where: str, expected: OpenedFolder, actual: OpenedFolder, *, stored: bool) -> None:
    path = expected.path
    if expected.folder is not None and actual.folder is not None:
        same = (expected.folder.description or "") == (actual.folder.description or "")
        _note(found, "folder", f"{where}{path}", [] if same else ["description"])
    there = by_key(actual.secrets)
    for raw in expected.secrets:
        secret = secret_of(raw)
        place = secret_place(where, path, secret.secret_key)
        other = there.pop(secret.secret_key, None)
        if other is None:
            found.different.append(Difference("secret", place, MISSING))
            continue
        actual_secret = secret_of(other)
        differing = respects(secret, actual_secret, stored=stored)
        if stored:
            _count_trimmed(found, secret, actual_secret, differing)
        _note(found, "secret", place, differing)
    found.different += [Difference("secret", secret_place(where, path, key), EXTRA) for key in there]
    _imports(found, where, path, expected.imports, actual.imports)


def _count_trimmed(found: Compared, expected: Secret, actual: Secret, differing: Sequence[str]) -> None:
    """Count what is equal only because the server trims it."""
    if expected.secret_value != actual.secret_value and "value" not in differing:
        found.normalised[TRIMMED_VALUES] += 1
    if expected.secret_comment != actual.secret_comment and "comment" not in differing:
        found.normalised[TRIMMED_COMMENTS] += 1


def by_key(secrets: Iterable[msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Secrets by their key."""
    return {key_of(raw): raw for raw in secrets}


def import_source(link: SecretImport) -> tuple[str, str]:
    """What an import reads from: environment and path."""
    return link.import_env.slug, link.import_path


def in_order(imports: Iterable[SecretImport]) -> list[SecretImport]:
    """By position: later ones win."""
    return sorted(imports, key=lambda link: link.position)


def _imports(
    found: Compared, where: str, path: str, expected: Sequence[SecretImport], actual: Sequence[SecretImport]
) -> None:
    """Each import once; duplicates count one by one. Those on both sides must also be in the same order."""
    wanted, there = in_order(expected), in_order(actual)
    left = Counter(map(import_source, there))
    tail_only = list(map(import_source, there)) == list(map(import_source, wanted))[: len(there)]
    both = []
    for link in wanted:
        if left[import_source(link)]:
            left[import_source(link)] -= 1
            both.append(link)
        else:
            why = MISSING if tail_only else MISSING_BEFORE
            found.different.append(Difference("import", import_place(where, path, link), why))
    remaining = Counter(left)
    shared = []
    for link in reversed(there):
        if remaining[import_source(link)]:
            remaining[import_source(link)] -= 1
            found.different.append(Difference("import", import_place(where, path, link), EXTRA))
        else:
            shared.append(link)
    for link, other in zip(both, reversed(shared), strict=True):
        moved = import_source(link) != import_source(other)
        _note(found, "import", import_place(where, path, link), ["position"] if moved else [])


def _pairs(
    found: Compared, kind: str, place: Callable[[str], str], expected: dict[str, str], actual: dict[str, str]
) -> None:
    for name in sorted(expected.keys() | actual.keys()):
        if name not in actual or name not in expected:
            found.different.append(Difference(kind, place(name), MISSING if name in expected else EXTRA))
        else:
            _note(found, kind, place(name), ["color"] if expected[name] != actual[name] else [])


def _note(found: Compared, kind: str, where: str, differing: Sequence[str]) -> None:
    if differing:
        found.different.append(Difference(kind, where, ", ".join(differing)))
    else:
        found.equal[kind] += 1


def secret_place(where: str, path: str, key: str) -> str:
    """``raxx-ops/prod`` and ``/backups`` and ``KEY`` as ``raxx-ops/prod/backups/KEY``."""
    return f"{where}{path.rstrip('/')}/{key}"


def import_place(where: str, path: str, link: SecretImport) -> str:
    """``raxx-ops/prod/backups <- dev:/shared``."""
    environment, taken = import_source(link)
    return f"{where}{path} <- {environment}:{taken}"
