"""One rule for all drills: FAIL for what was seen to be wrong with the backup, COULD_NOT_VERIFY for the way to it.

The page ``docs/decisions/0016-verdicts.md`` has the verdict of each type of error, and every place that says that a
backup is wrong. Both are walked here against the code.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from raxx_bcp import drills
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.errors import BackupWrongError, BcpError
from raxx_bcp.evidence.row import Verdict
from raxx_bcp_tests.drills.engine.doubles import StillClock, order

HERE = Path(next(iter(drills.__path__)))
PAGE = Path(__file__).resolve().parents[2] / "docs" / "decisions" / "0016-verdicts.md"
KIND = re.compile(r"^\| `(\w+)` \| (FAIL|COULD_NOT_VERIFY) \| .+ \|$", re.MULTILINE)
PLACE = re.compile(r"^\| `([\w./]+)` \| `(\w+)` \| `(\w+)` \| .+ \|$", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Site:
    """A place in a drill where an error of ours is made."""

    module: str
    function: str
    error: str


def _classes(path: Path) -> dict[str, type[BcpError]]:
    """The errors of ours that a module knows by a plain name."""
    relative = path.relative_to(HERE.parent.parent).with_suffix("")
    known = vars(importlib.import_module(".".join(relative.parts)))
    return {name: one for name, one in known.items() if isinstance(one, type) and issubclass(one, BcpError)}


def _made(path: Path) -> Iterator[tuple[Site, type[BcpError]]]:
    classes = _classes(path)
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef):
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in classes:
                yield Site(str(path.relative_to(HERE)), function.name, call.func.id), classes[call.func.id]


def _sites() -> dict[Site, type[BcpError]]:
    """Every place, without what runs on the restored host, where this program's errors are not known."""
    paths = (path for path in sorted(HERE.rglob("*.py")) if "host_side" not in path.parts)
    return dict(found for path in paths for found in _made(path))


SITES = _sites()
KINDS: dict[str, str] = dict(KIND.findall(PAGE.read_text()))
PLACES = {Site(*place) for place in PLACE.findall(PAGE.read_text())}


def _verdict_of_the_page(kind: type[BcpError]) -> str:
    return next(KINDS[one.__name__] for one in kind.__mro__ if one.__name__ in KINDS)


def test_the_walk_finds_the_errors() -> None:
    """Errors of each kind, in helpers and in methods too."""
    assert Site("heroku_postgres/restore_drill.py", "_select", "BackupWrongError") in SITES
    assert Site("hosts/isolation.py", "not_isolated", "NotIsolatedError") in SITES
    assert Site("hosts/shell.py", "_database_error", "DatabaseError") in SITES
    assert len(SITES) > 40


@pytest.mark.parametrize("site", sorted(SITES), ids=lambda site: f"{site.module}:{site.function}:{site.error}")
def test_the_engine_judges_each_error_as_the_page_says(site: Site) -> None:
    clock = StillClock()
    drill = Drill(order("revision"), clock, clock.sleep, lambda _message: None)
    drill.check("revision", expected="abc", actual="abc")
    drill.broke(SITES[site]("What it was.", "What to do."))
    assert str(drill.verdict) == _verdict_of_the_page(SITES[site])
    assert drill.verdict is not Verdict.PASS


def test_every_place_that_says_that_a_backup_is_wrong_is_in_the_page_and_no_other() -> None:
    failing = {site for site, kind in SITES.items() if issubclass(kind, BackupWrongError)}
    assert sorted(failing - PLACES) == [], "these have no row in the page"
    assert sorted(PLACES - failing) == [], "these rows have no error in the code"
