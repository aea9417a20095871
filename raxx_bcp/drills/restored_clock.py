"""The second clock: how old is the newest drill that passed? The ledger answers, never Dagster's database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from raxx_bcp.checks import Check, Status
from raxx_bcp.errors import CouldNotVerifyError
from raxx_bcp.evidence.gate import History, history_of
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.row import DrillEntry, Verdict

RESTORED_RECENTLY: Final = "restored_recently"


def restored_recently(ledger: Ledger, kinds: Iterable[str], max_age_days: int, now: datetime) -> dict[str, Check]:
    """For each drill of ``kinds``: FAIL when its newest PASS is older than ``max_age_days``, or there is none.

    Reads the ledger once. Slack gets a message once a month for a proof that is too old. A missing first proof is only
    shown.
    """
    try:
        history = history_of(ledger.rows())
    except CouldNotVerifyError as error:
        unknown = Check(RESTORED_RECENTLY, Status.COULD_NOT_VERIFY, error.what, error.remedy)
        return dict.fromkeys(kinds, unknown)
    return {kind: _judged(history, kind, max_age_days, now) for kind in kinds}


def _judged(history: History, kind: str, max_age_days: int, now: datetime) -> Check:
    again = f"Run the drill {kind} again."
    row = history.newest.get((kind, Verdict.PASS))
    if row is None or not isinstance(row.entry, DrillEntry):
        return Check(RESTORED_RECENTLY, Status.FAIL, f"No drill {kind} has ever passed.", again)
    age = now - row.entry.timing.ended_utc
    detail = (
        f"row {row.sequence} passed {age.total_seconds() / 86400:.1f} days ago, at most {max_age_days} are allowed."
    )
    if age > timedelta(days=max_age_days):
        return Check(RESTORED_RECENTLY, Status.FAIL, detail, again, warning_id=f"{kind}-old-{now:%Y-%m}")
    return Check(RESTORED_RECENTLY, Status.PASS, detail)
