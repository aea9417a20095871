"""Why a drill did not pass, as short as possible: each first cause once, with its consequences folded under it."""

from __future__ import annotations

from typing import Final

from raxx_bcp.drills.engine.drill import NOT_REACHED, CheckResult, Drill
from raxx_bcp.evidence.row import CheckStatus

_NAMED: Final = 3


def why(drill: Drill) -> list[str]:
    """Findings, then causes, then how many checks were not reached."""
    told = [one for one in drill.results if one.status is not CheckStatus.PASS and one.reason]
    unreached = [one for one in told if one.reason == NOT_REACHED]
    causes = [one for one in told if not one.follows and one.reason != NOT_REACHED]
    lines = [*drill.findings, *(_cause(one, drill.results) for one in causes)]
    return [*lines, f"{_counted(unreached)} not reached: {_names(unreached)}."] if unreached else lines


def _cause(one: CheckResult, results: list[CheckResult]) -> str:
    below = [other for other in results if other.follows == one.name]
    return f"{one.name}: {one.reason}" + (f" ({_counted(below)} explained by it: {_names(below)})" if below else "")


def _counted(some: list[CheckResult]) -> str:
    return "1 check is" if len(some) == 1 else f"{len(some)} checks are"


def _names(some: list[CheckResult]) -> str:
    more = f" and {len(some) - _NAMED} more" if len(some) > _NAMED else ""
    return ", ".join(one.name for one in some[:_NAMED]) + more
