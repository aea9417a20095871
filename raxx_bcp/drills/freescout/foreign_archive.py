"""One part out of another program's archive, as a dump set of ours would hold it: piece by piece, in flat memory.

Such an archive may hold the whole site below any root (``var/www/html/storage/app/attachment/…``), in gzip, xz, bzip2
or plain tar. It is always read to its end, so that its checksum is checked. None of it is written to a disk here.
"""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final, cast

from raxx_bcp.drills.freescout.archive import Pieces
from raxx_bcp.errors import BackupWrongError, CouldNotVerifyError

_BLOCK_BYTES: Final = 1024 * 1024
_ELSEWHERE: Final = re.compile(r"(?:^|/)(?:vendor|node_modules)/")
_DUMP: Final = re.compile(r"[^/]\.sql(?:\.(?:gz|xz|bz2|zst))?$")
_ENV: Final = re.compile(r"(?:^|/)\.?env$")
_ROOTS: Final = {
    "attachments": (
        "storage/app/attachment/",
        (
            re.compile(r"(?:^|/)storage/app/attachment/(.+)"),
            re.compile(r"(?:^|/)attachments?/(\d+/.+)"),
            re.compile(r"^(\d+/.+)"),
        ),
    ),
    "modules": ("Modules/", (re.compile(r"(?:^|/)Modules/(.+)"),)),
}
"""The place of a part's files on the site, and how to find it in an archive, the surest way first."""


@dataclass(frozen=True)
class Inside:
    """What one archive of everything holds: its dump, its ``.env`` (empty: none), and which parts are in it."""

    dump: str
    env: str
    parts: frozenset[str]


def look_inside(content: Iterator[bytes], name: str) -> Inside:
    """Read the archive called ``name`` once. Raises ``BackupWrongError`` for one that cannot be read to its end or has
    no dump, ``CouldNotVerifyError`` where it has several, and what iterating ``content`` raises.
    """
    dumps, envs, parts = [], [], set[str]()
    for member, _ in _members(content, name):
        place = _place(member)
        if _DUMP.search(place):
            dumps.append(member.name)
        elif _ENV.search(place):
            envs.append(member.name)
        parts |= {part for part, (_, roots) in _ROOTS.items() if roots[0].search(place)}
    if not dumps:
        raise BackupWrongError(f"The archive {name} holds no dump (.sql).", "Look at what writes it.")
    if len(dumps) > 1:
        raise CouldNotVerifyError(
            f"The archive {name} holds {len(dumps)} dumps (.sql): which is FreeScout's is not known.",
            "Let the backup store FreeScout's dump alone, or in an archive of its own.",
        )
    env = min(envs, key=lambda one: one.count("/"), default="")
    return Inside(dumps[0], env, frozenset(parts | ({"env"} if env else set())))


def one_file(content: Iterator[bytes], name: str, wanted: str) -> Iterator[bytes]:
    """The file ``wanted`` out of the archive called ``name``. Raises as ``look_inside``."""
    for member, file in _members(content, name):
        if member.name == wanted:
            while block := file.read(_BLOCK_BYTES):
                yield block


def rerooted(content: Iterator[bytes], name: str, part: str) -> Iterator[bytes]:
    """The files of ``part`` as a gzipped tar archive with the site as its root, whatever the archive's root is.

    Raises as ``look_inside``, and ``CouldNotVerifyError`` where no file of the part is found.
    """
    root, ways = _ROOTS[part]
    packed = zlib.compressobj(1, wbits=31)
    count = 0
    for member, file in _members(content, name):
        place = _place(member)
        found = next((match for way in ways if (match := way.search(place))), None)
        if found is None or ".." in place.split("/"):
            continue
        count += 1
        yield packed.compress(_header(root + found[1], member))
        while block := file.read(_BLOCK_BYTES):
            yield packed.compress(block)
        yield packed.compress(bytes(-member.size % tarfile.BLOCKSIZE))
    if not count:
        raise CouldNotVerifyError(
            f"In the archive {name} nothing is where a FreeScout's {part} would be.",
            f"Its files must lie below {root}: look into it (tar -t), and correct freescout.adopted in bcp.toml.",
        )
    yield packed.compress(bytes(2 * tarfile.BLOCKSIZE))
    yield packed.flush()


def _header(name: str, member: tarfile.TarInfo) -> bytes:
    made = tarfile.TarInfo(name)
    made.size, made.mtime, made.mode = member.size, member.mtime, 0o644
    return made.tobuf(tarfile.GNU_FORMAT)


def _place(member: tarfile.TarInfo) -> str:
    """Its path without what an archive may put before it; empty for what belongs to a library."""
    place = re.sub(r"^(?:\./)+|^/+", "", member.name)
    return "" if _ELSEWHERE.search(place) else place


def _members(content: Iterator[bytes], name: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Every regular file; reads the stream to its end. Raises ``BackupWrongError``."""
    try:
        whole = _unpacked(content)
        with tarfile.open(fileobj=whole, mode="r|") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                if file is not None:
                    yield member, file
        while whole.read(_BLOCK_BYTES):
            pass
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError):
        raise BackupWrongError(
            f"The archive {name} cannot be read to its end.", "It is damaged or cut: look at what writes it."
        ) from None


def _unpacked(content: Iterator[bytes]) -> IO[bytes]:
    head = b""
    while len(head) < len(b"\xfd7zXZ\0") and (piece := next(content, b"")):
        head += piece
    stream = io.BufferedReader(Pieces(itertools.chain([head] if head else [], content)), _BLOCK_BYTES)
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    if head.startswith(b"\xfd7zXZ\0"):
        return cast("IO[bytes]", lzma.LZMAFile(stream))
    if head.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.BZ2File(stream))
    return cast("IO[bytes]", stream)
