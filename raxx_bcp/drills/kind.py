"""What a drill is, written down once: docs/adding-a-drill.md.

Dagster's asset and form, the command and its options, the order of its row, ``doctor`` and the sweeper are made from
it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from raxx_bcp.drills.engine.drill import Drill, Order
from raxx_bcp.drills.engine.run import FinishedDrill, run_drill
from raxx_bcp.drills.engine.sweeper import Place
from raxx_bcp.drills.kinds import asset_of, job_of
from raxx_bcp.policy import Policy
from raxx_bcp.waiting import Progress

if TYPE_CHECKING:
    from raxx_bcp.resources import Raxx

W = TypeVar("W")

Body = Callable[[Drill], None]
"""The drill itself: what it does between its start and its teardown."""
Leftovers = Callable[[Policy], AbstractContextManager[Place | None]]
"""Where drills of this kind can have left something; None: none ever ran from this machine."""


@dataclass(frozen=True)
class Asked:
    """Who asks for a drill, and how it came about."""

    operator: str
    keep: bool = False
    """Keep everything until its lease ends; such a drill closes no card."""
    trigger: str = "manual"
    run_id: str = ""
    run_url: str = ""


@dataclass(frozen=True)
class Promise:
    """What the policy promises of a restore, and after how long the sweeper deletes what is left."""

    rto_minutes: int
    rpo_hours: int
    lease_hours: int


@dataclass(frozen=True)
class Requirement:
    """A setting without which a drill cannot start. ``value``: empty where it is not set."""

    setting: str
    value: Callable[[Policy], str]
    remedy: str


@dataclass(frozen=True)
class Kind(Generic[W]):
    """One drill. ``wanted`` is the dataclass of what an operator may choose (``engine/choices.py``)."""

    name: str
    """The name in its rows, such as ``heroku_postgres``."""
    system: str
    """What is restored, such as ``heroku-postgres``: the evidence and its gate use it."""
    summary: str
    """One sentence: the command's help."""
    title: Callable[[Policy], str]
    """What is restored, into what, and what it is compared with: the asset's description."""
    scenario: Callable[[Policy, W], str]
    """What this one restores: for its row."""
    promise: Callable[[Policy], Promise]
    checks: tuple[str, ...]
    """Every check that a pass needs."""
    wanted: type[W]
    connect: Callable[[Raxx, W], AbstractContextManager[Body]]
    """Open its clients. Raises ``UsageError`` for a missing setting: the drill has not started then."""
    leftovers: Leftovers
    restores: tuple[str, ...]
    """Asset keys of what it proves."""
    icons: frozenset[str]
    """Dagster's ``kinds``: the icons in the catalog."""
    pool: str
    """Drills of one pool never run at the same time."""
    tier: str = ""
    requires: Requirement | None = None
    needs_private_key: bool = False
    """Without the operator's private key, which a schedule does not have, it proves nothing."""

    @property
    def asset(self) -> str:
        return asset_of(self.name)

    @property
    def job(self) -> str:
        return job_of(self.name)

    def order(self, policy: Policy, asked: Asked, wanted: W) -> Order:
        """What is promised of this drill, and who asks for it."""
        promised = self.promise(policy)
        return Order(
            kind=self.name,
            system=self.system,
            tier=self.tier,
            operator=asked.operator,
            scenario=self.scenario(policy, wanted),
            rto_target_seconds=promised.rto_minutes * 60,
            rpo_target_seconds=promised.rpo_hours * 3600,
            lease=timedelta(hours=promised.lease_hours),
            checks=self.checks,
            trigger=asked.trigger,
            run_id=asked.run_id,
            run_url=asked.run_url,
            keep=asked.keep,
        )

    def start(self, raxx: Raxx, asked: Asked, wanted: W, progress: Progress) -> FinishedDrill:
        """Run it to its end, the same for Dagster and for the command line. Raises what ``connect`` raises."""
        order = self.order(raxx.policy, asked, wanted)
        with self.connect(raxx, wanted) as body:
            recorder = raxx.record().recorder()
            return run_drill(order, body, recorder, clock=raxx.clock, sleep=raxx.sleep, progress=progress)
