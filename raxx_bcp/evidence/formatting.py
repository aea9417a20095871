"""Durations, ages, sizes and amounts for people to read."""

from __future__ import annotations

from datetime import datetime
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_UNITS: Final = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))


def spoken(seconds: float | None) -> str:
    """``7 min 12 s``: the two largest units; ``unknown`` for None."""
    if seconds is None:
        return "unknown"
    left = round(abs(seconds))
    if not left:
        return "under 1 s" if seconds else "0 s"
    parts: list[tuple[int, str]] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, unit))
    return ("-" if seconds < 0 else "") + " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def sized(size_bytes: int | None) -> str:
    """``23.5 MB``; ``unknown`` for None."""
    if size_bytes is None:
        return "unknown"
    for power, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size_bytes >= power:
            return f"{size_bytes / power:.1f} {unit}"
    return f"{size_bytes} bytes"


def dollars(micro_usd: int) -> str:
    """``$0.0012``."""
    return f"${micro_usd / 1e6:.4f}"


def minute(moment: datetime | None) -> str:
    """``2031-03-14 09:00`` in UTC; ``unknown`` for None."""
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "unknown"


def second(moment: datetime | None) -> str:
    """``2031-03-14 09:00:03`` in UTC; ``not seen`` for None."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "not seen"


def age(moment: datetime | None, now: datetime, none: str) -> str:
    """``3 h 10 min ago``; ``none`` for None."""
    return f"{spoken((now - moment).total_seconds())} ago" if moment else none
