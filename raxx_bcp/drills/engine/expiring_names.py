"""Names that say until when a throwaway resource is needed, so that a sweeper can tell without any other record."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EXPIRY: Final = "%y%m%d%H%M"


def expiring_name(prefix: str, expires: datetime, *rest: str) -> str:
    """``raxx-drill-2611242045-a1b2c3``: the expiry (UTC, to the minute, rounded up) comes right after ``prefix``."""
    rounded = expires + timedelta(minutes=1) if expires.second or expires.microsecond else expires
    return "-".join([f"{prefix}{rounded.astimezone(UTC):{_EXPIRY}}", *rest])


def expiry_in(name: str, prefix: str, rest: str) -> datetime | None:
    """When the lease in ``name`` ends; None where the name does not match ``prefix``, an expiry and the regex ``rest``.

    Such a name is none of ours, and is left alone.
    """
    found = re.fullmatch(rf"{re.escape(prefix)}(\d{{10}})-{rest}", name)
    if not found:
        return None
    try:
        return datetime.strptime(found.group(1), _EXPIRY).replace(tzinfo=UTC)
    except ValueError:
        return None
