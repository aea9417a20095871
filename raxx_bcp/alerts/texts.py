"""What an alert says, as pure functions: what failed, the time of the last good one, what to do, and where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from raxx_bcp.clients.slack import Message

_LONGEST_REASON = 1200


@dataclass(frozen=True)
class RunTrouble:
    """One run that ended badly. ``reason`` is what the failing step reported; it never holds a secret."""

    run_id: str
    job_name: str
    ended: str
    """How it ended, in a word: ``failed`` or ``was cancelled``."""
    assets: tuple[str, ...]
    """Assets that should have been materialized but were not, or whose checks failed."""
    reason: str
    ended_utc: datetime
    last_good_utc: datetime | None


def run_trouble(trouble: RunTrouble, ui_url: str) -> Message:
    """The alert for one failed, killed or cancelled run."""
    what = ", ".join(trouble.assets) or trouble.job_name
    headline = f"{what} {trouble.ended}"
    # Dagster's own name for a run that was started with the Materialize button.
    started = "started by hand" if trouble.job_name.startswith("__") else f"of job {_escape(trouble.job_name)}"
    body = "\n".join(
        [
            f":rotating_light: *{_escape(headline)}* ({trouble.ended_utc:%Y-%m-%d %H:%M} UTC)",
            _escape(_shortened(trouble.reason)) or "The run left no reason: its process was probably killed.",
            f"*Last good:* {_since(trouble.last_good_utc, trouble.ended_utc)}",
            f"*Run:* <{ui_url}/runs/{trouble.run_id}|{trouble.run_id[:8]}> {started}",
        ]
    )
    return Message(text=f"raxx-bcp: {headline}", body=body)


def check_warning(asset: str, check_name: str, detail: str, at_utc: datetime, ui_url: str) -> Message:
    """The message for a good run with a warning that will be a failure one day."""
    headline = f"{asset}: {check_name} warns"
    body = "\n".join(
        [
            f":warning: *{_escape(headline)}* ({at_utc:%Y-%m-%d %H:%M} UTC)",
            _escape(_shortened(detail)),
            f"*Look at:* <{ui_url}/assets/{asset}?view=checks|{asset} in Dagster>",
        ]
    )
    return Message(text=f"raxx-bcp: {headline}", body=body)


def _since(last_good: datetime | None, now: datetime) -> str:
    if last_good is None:
        return "never, as far as Dagster knows"
    seconds = (now - last_good).total_seconds()
    number, unit = (round(seconds / 3600), "hour") if seconds >= 5400 else (round(seconds / 60), "minute")
    return f"{last_good:%Y-%m-%d %H:%M} UTC, {number} {unit}{'' if number == 1 else 's'} earlier"


def _shortened(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"


def _escape(text: str) -> str:
    """Escape Slack's three control characters, so that a text cannot become a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
