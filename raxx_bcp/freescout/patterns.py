"""Patterns of keys by which another program's backups of FreeScout are found: ``backups/db-{date}.sql.gz``.

``{date}`` is a day in the name (2031-03-14, 20310314, 2031_03_14), ``{time}`` a time of day, ``*`` all but a slash.
Without ``{date}`` S3's own time of the object dates it. How a file is read is told by how the pattern ends; what cannot
be restored is refused by name.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import date
from typing import Final

DATABASE: Final = "database"
EVERYTHING: Final = "everything"
PARTS: Final = (DATABASE, EVERYTHING, "env", "attachments", "modules")
"""``everything``: one archive that holds the dump, and with it what else of a FreeScout was put into it."""

_DATE: Final = r"\d{4}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
_TIME: Final = r"(?:[01]\d|2[0-3])[-_.:h]?[0-5]\d(?:[-_.:m]?[0-5]\d)?"
_TOKEN: Final = re.compile(r"\{(\w*)\}|\*")
_GPG: Final = re.compile(r"\.(?:gpg|pgp)$")
_DUMP: Final = re.compile(r"\.sql(?:\.(?:gz|xz|bz2|zst))?$")
_TAR: Final = re.compile(r"\.(?:tar(?:\.(?:gz|xz|bz2))?|tgz|txz|tbz2?)$")
_REFUSED: Final = (
    (
        re.compile(r"xtrabackup|mariabackup|ibdata|\.(?:xb|xbstream|qp|ibd)\b", re.IGNORECASE),
        "a physical backup (xtrabackup, mariabackup), which holds a server's files and no SQL. Store a dump as well",
    ),
    (
        re.compile(r"\.(?:zip|7z|rar)$", re.IGNORECASE),
        "an archive that cannot be read as it comes, and may be locked by a password. Use .tar.gz, and GnuPG",
    ),
    (
        re.compile(r"\.(?:enc|age|aes|openssl|ccrypt|cpt)$", re.IGNORECASE),
        "encrypted by something other than GnuPG. Use gpg --encrypt to the operator's key",
    ),
    (re.compile(r"\.(?:tar\.zst|tzst)$"), "a tar archive in zstd, which is not read here. Use .tar.gz or .tar.xz"),
)
_MAGIC: Final = (
    (b"XBSTCK", "a physical backup (xbstream) whatever its name says: it holds a server's files and no SQL"),
    (b"PK\x03\x04", "a zip archive whatever its name says"),
    (b"Salted__", "encrypted by openssl whatever its name says"),
    (b"age-encryption", "encrypted by age whatever its name says"),
)


class Form(enum.Enum):
    """How the files of a pattern are read, once they are decrypted."""

    AS_IS = "as it is"
    ARCHIVE = "archive"
    """A tar archive, packed or not, that holds one part somewhere below its root."""


@dataclass(frozen=True)
class Pattern:
    """One part's keys. ``start`` is what every key begins with."""

    part: str
    text: str
    form: Form
    encrypted: bool
    dated: bool
    timed: bool
    start: str
    expression: re.Pattern[str]

    def match(self, key: str) -> Found | None:
        """When ``key`` is of, as far as its name tells; None for one that does not fit."""
        found = self.expression.fullmatch(key)
        if not found:
            return None
        if not self.dated:
            return Found("", "")
        digits = re.sub(r"\D", "", found["date"])
        try:
            day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).isoformat()
        except ValueError:
            return None
        return Found(day, re.sub(r"\D", "", found["time"]) if self.timed else "")


@dataclass(frozen=True)
class Found:
    """What a name tells: the day (``YYYY-MM-DD``) and the time of day as digits; empty where it tells none."""

    day: str
    time: str


def parse(part: str, text: str) -> Pattern:
    """Raises ``ValueError``, in words for an operator, for a pattern that means nothing or what cannot be restored."""
    if not text or text.startswith("/"):
        raise ValueError(f"{text!r} is no pattern of keys, such as backups/db-{{date}}.sql.gz")
    expression, named = "", set[str]()
    at = 0
    for token in _TOKEN.finditer(text):
        expression += re.escape(text[at : token.start()]) + _expression(token, named)
        at = token.end()
    expression += re.escape(text[at:])
    form = _form(part, _GPG.sub("", text))
    first = _TOKEN.search(text)
    return Pattern(
        part=part,
        text=text,
        form=form,
        encrypted=bool(_GPG.search(text)),
        dated="date" in named,
        timed="time" in named,
        start=text[: first.start()] if first else text,
        expression=re.compile(expression),
    )


def part_of(text: str) -> str:
    """Which part the keys of a bare pattern are, by its end. Raises ``ValueError`` where it does not tell."""
    plain = _GPG.sub("", text)
    _refuse(text, plain)
    if _DUMP.search(plain):
        return DATABASE
    if _TAR.search(plain):
        return EVERYTHING
    if re.search(r"(?:^|[./_-])env(?:[._{-]|$)", plain):
        return "env"
    raise ValueError(
        f"{text}: what it holds is not told by its end (known: .sql, .sql.gz, .sql.xz, .sql.bz2, .sql.zst, .tar, "
        f".tar.gz, .tar.xz, .tar.bz2, each also with .gpg). Write PART=PATTERN, with one of {', '.join(PARTS)}"
    )


def refuse_content(text: str, head: bytes) -> None:
    """Raises ``ValueError`` where the first bytes of a file of the pattern ``text`` are of what cannot be restored."""
    for magic, reason in _MAGIC:
        if head.startswith(magic):
            raise ValueError(f"{text}: {reason}")


def _expression(token: re.Match[str], named: set[str]) -> str:
    known = {"date": _DATE, "time": _TIME}
    name = token[1]
    if name is None:
        return "[^/]*"
    if name not in known:
        raise ValueError(f"{{{name}}} is not known in a pattern: {{date}}, {{time}} and * are")
    if name in named:
        return known[name]
    named.add(name)
    return f"(?P<{name}>{known[name]})"


def _refuse(text: str, plain: str) -> None:
    for expression, reason in _REFUSED:
        if expression.search(plain):
            raise ValueError(f"{text}: {reason}")


def _form(part: str, plain: str) -> Form:
    _refuse(plain, plain)
    if part == DATABASE:
        if _DUMP.search(plain):
            return Form.AS_IS
        raise ValueError(f"{plain}: no form of a dump that is known (.sql, .sql.gz, .sql.xz, .sql.bz2, .sql.zst)")
    if part == "env":
        return Form.AS_IS
    if _TAR.search(plain):
        return Form.ARCHIVE
    raise ValueError(f"{plain}: no form of an archive that is known (.tar, .tar.gz, .tgz, .tar.xz, .tar.bz2)")
