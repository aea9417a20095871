"""What an operator may choose of the vault's two drills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from raxx_bcp.drills.engine.choices import choice
from raxx_bcp.drills.hosts.requirements import REASON_MISSING
from raxx_bcp.errors import UsageError

NEWEST: Final = "newest"
RANDOM_OLDER: Final = "random-older"


@dataclass(frozen=True)
class ExportWanted:
    """What an operator may choose; the default is an ordinary drill."""

    date: str = choice(NEWEST, "newest, random-older, or the export's day in UTC, YYYY-MM-DD.")
    decrypt: bool = choice(False, "Open it with the caller's own GnuPG keyring and agent.")
    gpg_home: str = choice("", "Open it with the keyring in this GnuPG home.", path="folder")
    private_key_file: str = choice("", "Open it with this key; it is held in memory only.", path="file")

    def __post_init__(self) -> None:
        if sum(map(bool, (self.decrypt, self.gpg_home, self.private_key_file))) > 1:
            raise UsageError("More than one way to open the export was given.", "Give one of them.")


@dataclass(frozen=True)
class SnapshotWanted:
    """What an operator may choose; the defaults are an ordinary drill."""

    snapshot: str = choice(NEWEST, "newest, random-older, or the name of a snapshot of the vault's instance.")
    bundle: str = choice("", "Lightsail's bundle for the throwaway instance; default: the cheapest that fits.")
    accept_unguarded: str = choice(
        "",
        "Restore a snapshot that was taken without the copy guard; why that is harmless goes on record.",
        metavar="WHY",
        must_say=REASON_MISSING,
    )
