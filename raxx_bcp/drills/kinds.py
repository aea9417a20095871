"""The drills that Dagster offers: what each is called, what an operator may say, and what it restores.

A new drill is one entry in ``KINDS``, its function in ``starts.py``, and the module that does the work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg

from raxx_bcp.drills import starts
from raxx_bcp.drills.engine.run import Conducted
from raxx_bcp.drills.freescout import dump_drill, snapshot_drill
from raxx_bcp.drills.heroku_postgres import restore_drill
from raxx_bcp.drills.starts import Asked
from raxx_bcp.drills.terraform_state import recovery_drill
from raxx_bcp.drills.vault import export_drill
from raxx_bcp.drills.vault import snapshot_drill as vault_snapshot
from raxx_bcp.errors import UsageError
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx
from raxx_bcp.waiting import Progress


class DrillConfig(dg.Config):
    """What an operator says when starting any drill."""

    operator: str
    """Who you are; it goes on record."""
    keep: bool = False
    """Leave what the drill made for inspection until its lease ends; such a drill closes no card."""


class HerokuDrillConfig(DrillConfig):
    """What an operator may choose of the Heroku drill."""

    backup: str = restore_drill.NEWEST
    """newest, random-older, fresh for one that the drill makes with facts of its own, or a label such as b003."""
    plan: str = ""
    """Heroku's plan for the throwaway database; empty: the smallest that fits."""
    row_tolerance_ratio: float = -1.0
    """By how much of production's rows a table may differ; below 0: what the policy says."""
    revision: str = ""
    """The Alembic revision to expect; empty: production's."""


class SnapshotDrillConfig(DrillConfig):
    """What an operator may choose of a drill that restores a snapshot."""

    snapshot: str = snapshot_drill.NEWEST
    """newest, random-older, or a snapshot's name; of FreeScout also YYYY-MM-DD of an automatic one."""
    bundle: str = ""
    """Lightsail's bundle for the throwaway instance; empty: the cheapest that fits."""
    accept_unguarded: str = ""
    """Why a snapshot that was taken without the copy guard may be restored all the same; it goes on record."""


class DumpDrillConfig(DrillConfig):
    """What an operator may choose of FreeScout's Tier 2."""

    dump: str = dump_drill.NEWEST
    """newest, random-older, or a set's day, YYYY-MM-DD."""
    bundle: str = ""
    """Lightsail's bundle for the throwaway instance; empty: the cheapest that fits."""
    private_key_file: str = ""
    """A private key on this machine that opens an encrypted set; empty: the worker's own keyring."""


class VaultExportDrillConfig(DrillConfig):
    """What an operator may choose of the vault export's drill."""

    date: str = export_drill.NEWEST
    """newest, random-older, or the export's day, YYYY-MM-DD."""
    gpg_home: str = ""
    """A GnuPG home on this machine that holds the private key."""
    private_key_file: str = ""
    """Instead: a private key on this machine. With neither, what can be checked without it is, and nothing passes."""


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
    wanted = restore_drill.Wanted(config.backup, config.plan, tolerance, config.revision)
    return starts.start_heroku_postgres(raxx, asked, wanted, progress)


def _freescout_snapshot(raxx: Raxx, asked: Asked, config: SnapshotDrillConfig, progress: Progress) -> Conducted:
    wanted = snapshot_drill.Wanted(config.snapshot, config.bundle, config.accept_unguarded)
    return starts.start_freescout_snapshot(raxx, asked, wanted, progress)


def _freescout_dump(raxx: Raxx, asked: Asked, config: DumpDrillConfig, progress: Progress) -> Conducted:
    wanted = dump_drill.Wanted(config.dump, config.bundle)
    key = _read_key(config.private_key_file)
    return starts.start_freescout_dump(raxx, asked, wanted, progress, private_key=key)


def _vault_export(raxx: Raxx, asked: Asked, config: VaultExportDrillConfig, progress: Progress) -> Conducted:
    key = None
    if config.gpg_home or config.private_key_file:
        home = Path(config.gpg_home) if config.gpg_home else None
        key = export_drill.DecryptionKey(_read_key(config.private_key_file), home)
    return starts.start_vault_export(raxx, asked, export_drill.Wanted(config.date), progress, key=key)


def _vault_snapshot(raxx: Raxx, asked: Asked, config: SnapshotDrillConfig, progress: Progress) -> Conducted:
    wanted = vault_snapshot.Wanted(config.snapshot, config.bundle, config.accept_unguarded)
    return starts.start_vault_snapshot(raxx, asked, wanted, progress)


def _state_recovery(raxx: Raxx, asked: Asked, _config: DrillConfig, progress: Progress) -> Conducted:
    return starts.start_state_recovery(raxx, asked, recovery_drill.Wanted(), progress)


def _read_key(named: str) -> bytes | None:
    """Raises ``UsageError`` for a file that cannot be read."""
    try:
        return Path(named).read_bytes() if named else None
    except OSError as error:
        raise UsageError(
            f"The private key file {named} cannot be read ({error.strerror}).", "Correct private_key_file."
        ) from None


KINDS: Final = (
    Kind(
        name=restore_drill.KIND,
        restores=("heroku_postgres_database",),
        systems=frozenset({"postgres", "heroku"}),
        checks=restore_drill.CHECKS,
        config=HerokuDrillConfig,
        start=_heroku,
        title=lambda policy: (
            f"a backup of `{policy.heroku_postgres.app}` restored into a throwaway app and compared with production"
        ),
        pool="heroku_postgres_drill",
    ),
    Kind(
        name=snapshot_drill.KIND,
        restores=("freescout_instance",),
        systems=frozenset({"mariadb", "aws"}),
        checks=snapshot_drill.CHECKS,
        config=SnapshotDrillConfig,
        start=_freescout_snapshot,
        title=lambda policy: (
            f"Tier 1: the newest snapshot of `{policy.freescout.instance}` as `{policy.freescout.restored_instance}`, "
            "isolated before anything else, examined, and deleted again"
        ),
        pool="freescout_drill",
    ),
    Kind(
        name=dump_drill.KIND,
        restores=("freescout_dumps",),
        systems=frozenset({"mariadb", "s3"}),
        checks=dump_drill.CHECKS,
        config=DumpDrillConfig,
        start=_freescout_dump,
        title=lambda policy: (
            f"Tier 2: the newest dump set under `{policy.freescout.dump_prefix}` restored into a fresh FreeScout on "
            f"`{policy.freescout.restored_instance}`, examined, and deleted again"
        ),
        pool="freescout_drill",
    ),
    Kind(
        name=export_drill.KIND,
        restores=("vault_export",),
        systems=frozenset({"infisical", "s3"}),
        checks=export_drill.CHECKS,
        config=VaultExportDrillConfig,
        start=_vault_export,
        title=lambda _policy: (
            "the vault's newest export decrypted where the key is, restored into a throwaway vault, compared item by "
            "item, and deleted again"
        ),
        pool="vault_export_drill",
    ),
    Kind(
        name=vault_snapshot.KIND,
        restores=("vault_snapshot",),
        systems=frozenset({"infisical", "aws"}),
        checks=vault_snapshot.CHECKS,
        config=SnapshotDrillConfig,
        start=_vault_snapshot,
        title=lambda policy: (
            f"the newest snapshot of `{policy.vault_snapshot.instance}` as `{policy.vault_drill.restored_instance}`; "
            "its Infisical must answer and hold what the export of that day holds"
        ),
        pool="vault_snapshot_drill",
    ),
    Kind(
        name=recovery_drill.KIND,
        restores=("terraform_state_bucket",),
        systems=frozenset({"s3", "terraform"}),
        checks=recovery_drill.CHECKS,
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
