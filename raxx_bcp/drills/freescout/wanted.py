"""What an operator may choose of the two FreeScout drills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from raxx_bcp.drills.engine.choices import choice
from raxx_bcp.drills.hosts.requirements import REASON_MISSING

NEWEST: Final = "newest"
RANDOM_OLDER: Final = "random-older"


@dataclass(frozen=True)
class SnapshotWanted:
    """What an operator may choose; the defaults are an ordinary drill."""

    snapshot: str = choice(NEWEST, "newest, random-older, a snapshot's name, or YYYY-MM-DD of an automatic one.")
    bundle: str = choice(
        "", "Lightsail's bundle for the throwaway instance; default: the policy's, else the cheapest that fits."
    )
    accept_unguarded: str = choice(
        "",
        "Restore a snapshot that was taken without the copy guard; why that is harmless goes on record.",
        metavar="WHY",
        must_say=REASON_MISSING,
    )


@dataclass(frozen=True)
class DumpWanted:
    """What an operator may choose; the defaults are an ordinary drill."""

    dump: str = choice(NEWEST, "newest, random-older, or a set's day, YYYY-MM-DD.")
    bundle: str = choice(
        "", "Lightsail's bundle for the throwaway instance; default: the policy's, else the cheapest that fits."
    )
    private_key_file: str = choice(
        "", "Open an encrypted set with this key, held in memory only; default: your own keyring.", path="file"
    )
