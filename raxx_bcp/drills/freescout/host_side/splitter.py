"""Cuts the text of an SQL dump into statements, and counts the rows that it inserts."""

from __future__ import annotations

import re
from collections.abc import Iterator

LEAD = re.compile(rb"(?:\s+|--(?=\s)[^\n]*\n|#[^\n]*\n|/\*(?!M?!).*?\*/|/\*M!\d*\\-.*?\*/)*", re.DOTALL)
"""What may precede a statement: comments, and the line by which a dump disables the client's own commands."""
_HEAD_BYTES = 4096
_DUMPER = re.compile(rb"-- (?:MySQL|MariaDB) dump [^\r\n]*\n")
_DELIMITER = re.compile(rb"DELIMITER[ \t]+(\S+)[^\n]*\n", re.IGNORECASE)
_STRINGS = re.compile(rb"'[^'\\]*(?:\\.[^'\\]*)*'|\"[^\"\\]*(?:\\.[^\"\\]*)*\"", re.DOTALL)
_NEXT_ROW = re.compile(rb"\)\s*,\s*\(")
_CLOSED = {
    b"'": re.compile(rb"'[^'\\]*(?:\\.[^'\\]*)*'", re.DOTALL),
    b'"': re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL),
    b"`": re.compile(rb"`[^`]*`"),
    b"/*": re.compile(rb"/\*.*?\*/", re.DOTALL),
    b"--": re.compile(rb"--[^\n]*\n"),
    b"#": re.compile(rb"#[^\n]*\n"),
}


class Splitter:
    """Cuts SQL into statements, each with what stands before it and its delimiter. No byte is lost or changed.

    The dumpers of MySQL and MariaDB write a line break in a value as ``\\n``, so an INSERT of theirs ends where a line
    ends in a semicolon; anything else is read quote by quote, as the client does.
    """

    def __init__(self) -> None:
        self.own_lines = False
        """Does the head say that the text is by a dumper whose values hold no line breaks?"""
        self._text = bytearray()
        self._at = 0
        """Where the scan of the statement continues, outside of quotes."""
        self._began = False
        self._set_delimiter(b";")

    def _set_delimiter(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        self._stops = re.compile(re.escape(delimiter) + rb"|['\"`#]|/\*(?!M?!)|--(?=\s)")

    def feed(self, block: bytes, *, last: bool = False) -> Iterator[bytes]:
        """Every statement that is complete now; ``last`` also returns what is left."""
        self._text += block
        if not self._began and (last or len(self._text) > _HEAD_BYTES):
            self._began = True
            self.own_lines = (
                _DUMPER.search(self._text, 0, _HEAD_BYTES) is not None and b"\r\n" not in self._text[:_HEAD_BYTES]
            )
        start = 0
        while self._began:
            end = self._end(start, last=last)
            if end is None:
                break
            yield bytes(memoryview(self._text)[start:end])
            start = self._at = end
        del self._text[:start]
        self._at -= start
        if last and self._text:
            yield bytes(self._text)
            self._text.clear()

    def _end(self, start: int, *, last: bool) -> int | None:
        """Where the statement from ``start`` on ends; None: its end has not arrived yet."""
        text = self._text
        lead = LEAD.match(text, start)
        first = lead.end() if lead else start
        if len(text) - first < 64 and not last:
            return None
        named = _DELIMITER.match(text, first)
        if named:
            self._set_delimiter(named[1])
            return named.end()
        if self.own_lines and self._delimiter == b";" and text.startswith(b"INSERT INTO ", first):
            found = text.find(b";\n", max(first, self._at))
            self._at = max(first, len(text) - 1)
            return found + 2 if found >= 0 else None
        return self._scanned(max(first, self._at), last=last)

    def _scanned(self, at: int, *, last: bool) -> int | None:
        text = self._text
        while True:
            self._at = at
            stop = self._stops.search(text, at)
            if stop is None:
                self._at = max(at, len(text) - len(self._delimiter) - 2)
                return None
            if stop[0] == self._delimiter:
                return stop.end() + 1 if text[stop.end() : stop.end() + 1] == b"\n" else stop.end()
            self._at = stop.start()
            if len(text) - stop.end() < 2 and not last:
                return None
            closed = _CLOSED[stop[0]].match(text, stop.start())
            if closed is None:
                return None
            at = closed.end()


def count_rows(statement: bytes, at: int, *, own_lines: bool) -> int:
    """The rows of one INSERT … VALUES statement that begins at ``at``.

    ``own_lines`` as of ``Splitter``: MariaDB's dumper then writes one row a line since 10.11, others one a statement's
    line. Both are counted without reading a value.
    """
    if own_lines and b"VALUES\n(" in statement[at : at + _HEAD_BYTES]:
        return statement.count(b"\n", at) - 1
    if own_lines:
        bare = statement[at:].replace(b"\\\\", b"").replace(b"\\'", b"")
        outside = b"".join(bare.split(b"'")[::2])
    else:
        outside = _STRINGS.sub(b"", statement[at:])
    return 1 + sum(1 for _row in _NEXT_ROW.finditer(outside))
