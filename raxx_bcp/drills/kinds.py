"""The drills that Dagster offers: what each is called, what an operator may say, and what it restores.

A new drill is one entry in ``KINDS``, its function in ``starts.py``, and the module that does the work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg

from raxx_bcp.drills import heroku_postgres, starts, state_recovery
from raxx_bcp.drills.conduct import Conducted
from raxx_bcp.drills.starts import Asked
from raxx_bcp.patience import Progress
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx


class DrillConfig(dg.Config):
    """What an operator says when starting any drill."""

    operator: str
    """Who you are; it goes on record."""
    keep: bool = False
    """Leave what the drill made for inspection until its lease ends; such a drill closes no card."""


class HerokuDrillConfig(DrillConfig):
    """What an operator may choose of the Heroku drill."""

    backup: str = heroku_postgres.NEWEST
    """newest, random-older, or a backup's label such as b003."""
    plan: str = ""
    """Heroku's plan for the throwaway database; empty: the smallest that fits."""
    row_tolerance_ratio: float = -1.0
    """By how much of production's rows a table may differ; below 0: what the policy says."""
    revision: str = ""
    """The Alembic revision to expect; empty: production's."""


Start = Callable[[Raxx, Asked, Any, Progress], Conducted]
"""The third argument is the kind's own config."""


@dataclass(frozen=True)
class Kind:
    """One drill. ``name`` is what its rows are called, ``pool`` what must never run at the same time."""

    name: str
    restores: tuple[str, ...]
    """Asset keys of what it proves."""
    systems: frozenset[str]
    """Dagster's ``kinds``: the icons in the catalog."""
    checks: tuple[str, ...]
    config: type[DrillConfig]
    start: Start
    title: Callable[[Policy], str]
    """What is restored, into what, and what it is compared with."""
    pool: str

    @property
    def asset(self) -> str:
        return f"{self.name}_drill"

    @property
    def job(self) -> str:
        return f"drill_{self.name}"


def _heroku(raxx: Raxx, asked: Asked, config: HerokuDrillConfig, progress: Progress) -> Conducted:
    tolerance = config.row_tolerance_ratio if config.row_tolerance_ratio >= 0 else None
    wanted = heroku_postgres.Wanted(config.backup, config.plan, tolerance, config.revision)
    return starts.start_heroku_postgres(raxx, asked, wanted, progress)


def _state_recovery(raxx: Raxx, asked: Asked, _config: DrillConfig, progress: Progress) -> Conducted:
    return starts.start_state_recovery(raxx, asked, state_recovery.Wanted(), progress)


KINDS: Final = (
    Kind(
        name=heroku_postgres.KIND,
        restores=("heroku_postgres_database",),
        systems=frozenset({"postgres", "heroku"}),
        checks=heroku_postgres.CHECKS,
        config=HerokuDrillConfig,
        start=_heroku,
        title=lambda policy: (
            f"a backup of `{policy.heroku_postgres.app}` restored into a throwaway app and compared with production"
        ),
        pool="heroku_postgres_drill",
    ),
    Kind(
        name=state_recovery.KIND,
        restores=("terraform_state_bucket",),
        systems=frozenset({"s3", "terraform"}),
        checks=state_recovery.CHECKS,
        config=DrillConfig,
        start=_state_recovery,
        title=lambda policy: (
            f"a state object below `{policy.state_recovery.scratch_prefix}` overwritten, deleted, and recovered from "
            "its versions, byte by byte; real states are only listed"
        ),
        pool="state_recovery_drill",
    ),
)
DRILLS: Final = tuple(kind.asset for kind in KINDS)
DRILL_JOBS: Final = tuple(kind.job for kind in KINDS)
