"""What every restore drill shares: phases with their times, checks, leases, and a verdict.

A drill is a function that gets a ``Drill``. ``run_drill`` (in ``run.py``) runs it, releases its leases whatever
happens, and always leaves an evidence row.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from raxx_bcp.clock import Clock
from raxx_bcp.drills.engine.leases import Lease, Leases
from raxx_bcp.errors import BackupWrongError, BcpError, UsageError
from raxx_bcp.evidence.row import CheckStatus, Verdict
from raxx_bcp.waiting import Progress

T = TypeVar("T")
TEARDOWN: Final = "teardown"
VERIFY: Final = "verify"
"""The last phase of every drill; it looks at what was restored."""
RESTORE_TIME: Final = "restore time"
NOT_REACHED: Final = "the drill ended before it"


@dataclass(frozen=True)
class Order:
    """Who asks for which drill, and what it promises."""

    kind: str
    """The drill's name, such as ``heroku_postgres``."""
    system: str
    """What is restored, such as ``heroku-postgres``."""
    operator: str
    scenario: str
    rto_target_seconds: int
    rpo_target_seconds: int
    lease: timedelta
    """After this time the sweeper deletes what is left."""
    checks: tuple[str, ...] = ()
    """Every check that a pass needs. One that was not reached is recorded as NOT_RUN."""
    tier: str = ""
    trigger: str = "manual"
    run_id: str = ""
    run_url: str = ""
    keep: bool = False
    """Keep everything until the lease is over."""


@dataclass
class Phase:
    """One phase: when it started and ended (UTC). ``ended_utc`` is None when it was cut off."""

    name: str
    started_utc: datetime
    ended_utc: datetime | None = None


@dataclass(frozen=True)
class CheckResult:
    """One thing that was compared. ``expected`` and ``actual`` never hold restored content."""

    name: str
    expected: str
    actual: str
    status: CheckStatus
    reason: str = ""
    follows: str = ""
    """The failed check that explains this one, which then has no fault of its own."""

    @property
    def told(self) -> str:
        """The reason as it goes on record."""
        return f"follows from {self.follows}: {self.reason}" if self.follows else self.reason


@dataclass(frozen=True)
class Source:
    """The backup that is restored, and why this one."""

    backup_id: str
    created_utc: datetime
    selected_because: str
    size_bytes: int | None = None
    sha256: str = ""
    key_fingerprint: str = ""


@dataclass
class Drill:
    """One drill while it runs."""

    order: Order
    clock: Clock
    sleep: Callable[[float], None]
    progress: Progress
    id: str = ""
    started_utc: datetime = field(init=False)
    phases: list[Phase] = field(default_factory=list)
    results: list[CheckResult] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    target: dict[str, str] = field(default_factory=dict)
    isolation: list[str] = field(default_factory=list)
    source_backup: Source | None = None
    newest_record_utc: datetime | None = None
    unknown: bool = False
    cut_off: bool = False
    """Did something end it early: an error, a cancellation, a programming error?"""
    leases: Leases = field(init=False)

    def __post_init__(self) -> None:
        if not self.order.operator.strip():
            raise UsageError("The drill was not started: it has no operator.", "Say who you are: --operator NAME.")
        self.started_utc = self.clock()
        self.id = self.id or f"{self.order.kind}-{self.started_utc:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self.leases = Leases(self.clock, self.sleep, self.progress)

    @property
    def token(self) -> str:
        """Six hexadecimal digits at the end of the names of this drill's resources."""
        return token_of(self.id)

    @property
    def expires_utc(self) -> datetime:
        """When every lease of this drill is over."""
        return self.started_utc + self.order.lease

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure the time of the block."""
        phase = Phase(name, self.clock())
        self.phases.append(phase)
        self.progress(f"{name} …")
        try:
            yield
        finally:
            phase.ended_utc = self.clock()

    def source(self, backup: Source) -> Source:
        """Record what is restored."""
        self.source_backup = backup
        age = max(0.0, (self.started_utc - backup.created_utc).total_seconds() / 3600)
        self.progress(f"backup {backup.backup_id}, {age:.1f} hours old: {backup.selected_because}")
        return backup

    def lease(self, lease: Lease, create: Callable[[], T]) -> T:
        """Register a resource that is released whatever happens. Call it before the resource is made."""
        self.leases.take(lease)
        return create()

    def check(self, name: str, *, expected: object, actual: object, ok: bool | None = None, reason: str = "") -> bool:
        """Record a comparison; equal is a pass unless ``ok`` says otherwise. A failed one raises nothing."""
        passed = expected == actual if ok is None else ok
        why = "" if passed else reason or f"expected {expected}, found {actual}"
        status = CheckStatus.PASS if passed else CheckStatus.FAIL
        self.add(CheckResult(name, str(expected), str(actual), status, why))
        return passed

    def check_restore_time(self, steps: str = "selecting, restoring and verifying") -> None:
        """Record whether everything up to here was done within the promised time."""
        promised, seconds = self.order.rto_target_seconds, self.rto_seconds or 0.0
        self.check(
            RESTORE_TIME,
            expected=f"at most {promised} s",
            actual=f"{seconds:.0f} s",
            ok=seconds <= promised,
            reason=f"{steps} took {seconds:.0f} s",
        )

    def not_run(self, name: str, reason: str, *, expected: object = "") -> None:
        """Record that something could not be compared, and why. That is never a pass."""
        self.add(CheckResult(name, str(expected), "", CheckStatus.NOT_RUN, reason))

    def add(self, result: CheckResult) -> None:
        """Record a comparison that was made elsewhere."""
        self.results.append(result)
        self.progress(f"  {result.status.value:<8} {result.name}{': ' + result.reason if result.reason else ''}")

    def broke(self, error: BcpError) -> None:
        """Record that an error ended it. Here is the one rule, for every drill, of how an error changes the verdict.

        A FAIL closes the gate (``evidence/gate.py``), so only what was seen to be wrong with the backup is one. When
        anything else fails (a service, the network, a limit of the account, a full disk, a wrong setting), the backup
        is unknown. docs/decisions/0016-verdicts.md has each error with its verdict.
        """
        self.findings.append(f"{error.what} {error.remedy}")
        self.cut_off = True
        if isinstance(error, BackupWrongError):
            self.results.append(CheckResult("completed", "yes", "no", CheckStatus.FAIL, error.what))
        else:
            self.unknown = True

    def stopped(self, why: str) -> None:
        """Record that it was ended from outside or by a programming error: its result is unknown."""
        self.findings.append(why)
        self.unknown = self.cut_off = True

    def close(self) -> None:
        """Record every promised check that was not reached."""
        reached = {result.name for result in self.results}
        self.results += [
            CheckResult(name, "", "", CheckStatus.NOT_RUN, NOT_REACHED)
            for name in self.order.checks
            if name not in reached
        ]

    @property
    def verdict(self) -> Verdict:
        """FAIL when anything was seen to be wrong, PASS only when everything promised was seen to be right.

        A resource that is left is no pass either: it costs money and uses up the quota of the next drill.
        """
        statuses = {result.status for result in self.results}
        if CheckStatus.FAIL in statuses:
            return Verdict.FAIL
        missing = set(self.order.checks) - {one.name for one in self.results if one.status is CheckStatus.PASS}
        if self.unknown or missing or CheckStatus.NOT_RUN in statuses or not statuses or not self.leases.confirmed:
            return Verdict.COULD_NOT_VERIFY
        return Verdict.PASS

    @property
    def rto_seconds(self) -> float | None:
        """From the start until what was restored was verified.

        None where that did not happen: the drill was cut off, or ended before its last phase, ``verify``. The time
        until then is not a restore time.
        """
        ends = [phase.ended_utc for phase in self.phases if phase.name != TEARDOWN]
        known = [end for end in ends if end is not None]
        verified = any(phase.name == VERIFY and phase.ended_utc is not None for phase in self.phases)
        if self.cut_off or not verified or len(known) < len(ends):
            return None
        return (max(known) - self.started_utc).total_seconds()

    @property
    def rpo_seconds(self) -> float | None:
        """How old the restored backup was when the drill started; 0 for one that the drill itself made."""
        backup = self.source_backup
        return None if backup is None else max(0.0, (self.started_utc - backup.created_utc).total_seconds())


def token_of(drill_id: str) -> str:
    """The end of a drill's id."""
    return drill_id.rpartition("-")[2]
