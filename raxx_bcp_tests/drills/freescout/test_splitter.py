"""Cutting SQL into statements: no byte is lost, no order changed, and no value is taken for the end of a statement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raxx_bcp.drills.freescout.host_side.splitter import Splitter, count_rows

HEADER = b"-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)\n--\n"
NASTY = st.text(alphabet="ab'\"`;\\\n\r-#/*! (),é😀", max_size=30)


def split(text: bytes, block: int = 1 << 16) -> list[bytes]:
    splitter = Splitter()
    found = [one for at in range(0, len(text), block) for one in splitter.feed(text[at : at + block])]
    return [*found, *splitter.feed(b"", last=True)]


def escaped(value: str) -> bytes:
    """As the dumpers of MySQL and MariaDB write it (mysql_real_escape_string)."""
    for plain, written in (("\\", "\\\\"), ("'", "\\'"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(plain, written)
    return b"'" + value.encode() + b"'"


def doubled(value: str) -> bytes:
    """As other programs write it: line breaks as they are, quotes twice."""
    return b"'" + value.replace("\\", "\\\\").replace("'", "''").encode() + b"'"


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_byte_is_lost_whatever_it_is(text: bytes, block: int) -> None:
    assert b"".join(split(text, block)) == text
    assert b"".join(split(HEADER + text, block)) == HEADER + text


@given(st.lists(st.lists(NASTY, min_size=1, max_size=4), min_size=1, max_size=6), st.integers(1, 400), st.booleans())
def test_a_dump_of_mariadb_is_cut_at_its_statements(tables: list[list[str]], block: int, own_line: bool) -> None:  # noqa: FBT001
    gap = b"\n" if own_line else b" "
    statements = []
    for number, values in enumerate(tables):
        rows = (b"," + gap if own_line else b",").join(b"(%d,%b)" % (at, escaped(v)) for at, v in enumerate(values))
        statements += [
            b"CREATE TABLE `t%d` (a int);\n" % number,
            b"INSERT INTO `t%d` VALUES%b%b;\n" % (number, gap, rows),
        ]
    text = HEADER + b"".join(statements) + b"-- Dump completed\n"
    found = split(text, block)
    assert b"".join(found) == text
    assert [one.removeprefix(HEADER) for one in found[:-1]] == statements
    assert [count_rows(one, 0, own_lines=True) for one in statements[1::2]] == list(map(len, tables))


@given(st.lists(st.lists(NASTY, min_size=1, max_size=4), min_size=1, max_size=6), st.integers(1, 400))
def test_any_other_text_is_read_quote_by_quote(tables: list[list[str]], block: int) -> None:
    statements = []
    for number, values in enumerate(tables):
        rows = b", ".join(b"(%d,%b)" % (at, doubled(v)) for at, v in enumerate(values))
        comment = b"/* it's; a `comment` */ -- and ' this;\n# and \" this;\n"
        statements.append(comment + b"INSERT INTO `t;%d` VALUES %b;\n" % (number, rows))
    assert split(b"".join(statements), block) == statements
    bodies = [one.rpartition(b"this;\n")[2] for one in statements]
    assert [count_rows(one, 0, own_lines=False) for one in bodies] == list(map(len, tables))


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        (b"/*!40101 SET NAMES utf8 */;\nSELECT 1;\n", [b"/*!40101 SET NAMES utf8 */;\n", b"SELECT 1;\n"]),
        (b"SELECT 1; SELECT 2;", [b"SELECT 1;", b" SELECT 2;"]),
        (
            b"DELIMITER ;;\nCREATE TRIGGER t BEGIN SET @a=1; SET @b=2; END ;;\nDELIMITER ;\nSELECT 1;\n",
            [
                b"DELIMITER ;;\n",
                b"CREATE TRIGGER t BEGIN SET @a=1; SET @b=2; END ;;\n",
                b"DELIMITER ;\n",
                b"SELECT 1;\n",
            ],
        ),
        (b"SELECT 5--1;\nSELECT 2;\n", [b"SELECT 5--1;\n", b"SELECT 2;\n"]),
        (b"SELECT 'open; and never closed", [b"SELECT 'open; and never closed"]),
        (b"", []),
    ],
)
def test_what_else_stands_in_dumps(text: bytes, statements: list[bytes]) -> None:
    for block in (1, 2, 3, 7, 1000):
        assert split(text, block) == statements


def test_a_header_with_line_breaks_of_windows_is_read_quote_by_quote() -> None:
    text = (HEADER + b"INSERT INTO `t` VALUES (1,'a');\nINSERT INTO `t` VALUES (2,'b');\n").replace(b"\n", b"\r\n")
    assert len(split(text)) == 3
