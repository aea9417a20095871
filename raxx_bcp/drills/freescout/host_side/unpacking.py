"""Unpacks a dump's text. The first bytes show the form: gzip, xz, bzip2, zstd, or none.

Block by block, in flat memory. Python 3.9 has no zstd of its own: the program of that name unpacks it. Sources: RFC
1952, RFC 8878, the xz file format, section 2.1.1.1.
"""

from __future__ import annotations

import bz2
import lzma
import re
import subprocess
import threading
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

BLOCK_BYTES = 1 << 20
WHOLE, EMPTY, TRUNCATED, CORRUPT = "whole", "empty", "truncated", "corrupt"
FOLLOWED = "followed by something else"
UNKNOWN = "in no form that is known (gzip, xz, bzip2, zstd, plain SQL)"
NO_ZSTD = "zstd, and the program zstd is not on the host"
_ZSTD = b"\x28\xb5\x2f\xfd"
_FORMS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2", _ZSTD: "zstd"}
_SQL = re.compile(rb"\s*(?:--|/\*|#|[A-Za-z]{3,}\s)")


class Packed:
    """One packed dump. ``form`` and ``state`` say afterwards what form it had and how it ended."""

    def __init__(self) -> None:
        self.form = ""
        self.state = EMPTY

    def blocks(self, stream: BinaryIO) -> Iterator[bytes]:
        """The text. What follows a finished member must start as it did, as several gzips in a row do."""
        raw = stream.read(BLOCK_BYTES // 4)
        if not raw:
            return
        self.form = _form(raw)
        if not self.form:
            self.state = UNKNOWN
        elif self.form == "plain":
            yield from self._plain(raw, stream)
        elif self.form == "zstd":
            yield from self._zstd(raw, stream)
        else:
            yield from self._members(raw, stream)

    def _plain(self, raw: bytes, stream: BinaryIO) -> Iterator[bytes]:
        """Only the last line shows that plain text is complete: the trailer's check."""
        self.state = WHOLE
        while raw:
            yield raw
            raw = stream.read(BLOCK_BYTES // 4)

    def _members(self, raw: bytes, stream: BinaryIO) -> Iterator[bytes]:
        engine, magic = _engine(self.form), raw[:2]
        while True:
            try:
                block = engine.decompress(raw, BLOCK_BYTES)
            except (zlib.error, lzma.LZMAError, OSError):
                self.state = CORRUPT
                return
            self.state = TRUNCATED
            yield block
            if engine.eof:
                self.state = WHOLE
                raw = engine.unused_data or stream.read(BLOCK_BYTES // 4)
                if not raw:
                    return
                if not raw.startswith(magic):
                    self.state = FOLLOWED
                    return
                engine = _engine(self.form)
                continue
            raw, waits = _held(engine)
            if waits:
                raw = stream.read(BLOCK_BYTES // 4)
                if not raw:
                    return

    def _zstd(self, raw: bytes, stream: BinaryIO) -> Iterator[bytes]:
        self.state = NO_ZSTD
        try:
            program = subprocess.Popen(
                ["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError:
            return
        self.state = TRUNCATED
        feeder = threading.Thread(target=_feed, args=(program, raw, stream), daemon=True)
        feeder.start()
        with program:
            while program.stdout is not None:
                block = program.stdout.read(BLOCK_BYTES)
                if not block:
                    break
                yield block
            feeder.join()
        self.state = WHOLE if program.returncode == 0 else "truncated or corrupt"


def _form(raw: bytes) -> str:
    for magic, form in _FORMS.items():
        if raw.startswith(magic):
            return form
    return "plain" if _SQL.match(raw) and b"\0" not in raw[:512] else ""


def _engine(form: str) -> Any:
    if form == "gzip":
        return zlib.decompressobj(31)
    return bz2.BZ2Decompressor() if form == "bzip2" else lzma.LZMADecompressor(lzma.FORMAT_XZ)


def _held(engine: Any) -> tuple[bytes, bool]:
    """What the engine must get again, and whether it waits for more. bz2 and lzma keep what they were given."""
    if isinstance(engine, (bz2.BZ2Decompressor, lzma.LZMADecompressor)):
        return b"", engine.needs_input
    tail: bytes = engine.unconsumed_tail
    return tail, not tail


def _feed(program: subprocess.Popen[bytes], raw: bytes, stream: BinaryIO) -> None:
    if program.stdin is None:
        return
    try:
        with program.stdin:
            while raw:
                program.stdin.write(raw)
                raw = stream.read(BLOCK_BYTES // 4)
    except BrokenPipeError:
        pass
