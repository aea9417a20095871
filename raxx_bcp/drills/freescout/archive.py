"""Can an archive of a dump set be read to its end? Asked where a host could not unpack it."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from typing import cast

_BLOCK_BYTES = 1024 * 1024


class Pieces(io.RawIOBase):
    """An iterator over pieces as something to read from, in flat memory."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        into = memoryview(cast("bytearray", buffer))
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        taken = self._rest[: len(into)]
        into[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def problem(pieces: Iterator[bytes]) -> str:
    """What is wrong with the gzipped tar archive that ``pieces`` are, in a few words; empty where it is complete.

    Unpacks nothing and returns no name of a file. Raises what iterating ``pieces`` raises.
    """
    whole = gzip.GzipFile(fileobj=io.BufferedReader(Pieces(pieces), _BLOCK_BYTES))
    try:
        with tarfile.open(fileobj=whole, mode="r|") as archive:
            for member in archive:
                if member.isfile() and (content := archive.extractfile(member)):
                    while content.read(_BLOCK_BYTES):
                        pass
        while whole.read(_BLOCK_BYTES):
            pass
    except (gzip.BadGzipFile, zlib.error):
        return "it is not gzip, or damaged"
    except (tarfile.TarError, EOFError):
        return "it ends early, or is no archive"
    return ""
