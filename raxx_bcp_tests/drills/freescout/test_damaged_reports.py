"""What MariaDB and our programs print on a restored host, damaged: not seen, and never a FAIL of the backup."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raxx_bcp.drills.freescout import facts
from raxx_bcp.drills.freescout.host_protocol import reported
from raxx_bcp.errors import UnreadableAnswerError
from raxx_bcp.freescout.backup_tool import TABLES
from raxx_bcp_tests.clients.leaks import everything_held

Rows = list[list[str]]


class Printed:
    """A database that has every table and column, and whose answers are changed on their way."""

    def __init__(self, change: Callable[[Rows], Rows]) -> None:
        self.change = change

    def sql(self, script: str, *, database: str = "", timeout_seconds: float | None = None) -> Rows:
        assert database
        assert timeout_seconds is None
        if "information_schema" in script:
            needed = {need.partition(".")[::2] for one in facts.QUESTIONS for need in one.needs}
            columns = needed | {(table, "id") for table in TABLES}
            return [["10.11.6"], *(list(one) for one in sorted(columns))]
        rows = [["rows", table, "3"] for table in TABLES]
        rows += [[one.name, *(["3", "3", "77"] if one.name == facts.THREADS else ["5"])] for one in facts.QUESTIONS]
        return self.change(rows)


DAMAGES: dict[str, Callable[[Rows], Rows]] = {
    "without its last line": lambda rows: rows[:-1],
    "half": lambda rows: rows[: len(rows) // 2],
    "nothing": lambda _rows: [],
    "texts for numbers": lambda rows: [[name, *["planted"] * len(rest)] for name, *rest in rows],
    "names alone": lambda rows: [row[:1] for row in rows],
    "blank lines": lambda rows: [[""] for _row in rows],
}


def test_the_whole_answer_is_taken() -> None:
    found = facts.ask(Printed(lambda rows: rows), "freescout")
    assert set(found.rows) == set(TABLES)
    assert len(found.answers) == len(facts.QUESTIONS)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_answer_is_not_seen(damage: str) -> None:
    with pytest.raises(UnreadableAnswerError, match="What MariaDB answered") as caught:
        facts.ask(Printed(DAMAGES[damage]), "freescout")
    assert "planted" not in everything_held(caught.value)


@pytest.mark.parametrize(
    "printed",
    [b"", b"planted", b'{"planted": ', b'["planted"]', b'{"planted": "\xff"}', b'{"planted":' * 100_000, b"null"],
    ids=["nothing", "text", "cut", "a list", "no UTF-8", "without end", "null"],
)
def test_what_is_no_report_is_one_sentence_without_it(printed: bytes) -> None:
    with pytest.raises(UnreadableAnswerError, match="What the loader printed") as caught:
        reported(printed, "the loader")
    assert "planted" not in everything_held(caught.value)


def test_a_report_is_read() -> None:
    assert reported(b'{"version": "1.8.145"}', "the loader") == {"version": "1.8.145"}
