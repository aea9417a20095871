"""What is known of the hosts' copy guards, for drills in tests that are about something else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from raxx_bcp.drills.hosts.admission import Admission
from raxx_bcp.guard.sightings import Period, Sightings

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SINCE_LONG = Period(LONG_AGO, LONG_AGO)


@dataclass
class Known(Sightings):
    """Every host was guarded in ``times``."""

    times: list[Period] = field(default_factory=lambda: [SINCE_LONG])

    def periods(self, instance: str) -> list[Period]:
        return self.times if instance else []


def admission(instance: str = "raxx-tickets") -> Admission:
    """Admits every snapshot."""
    return Admission(instance, Known())
