"""What Raxx promises: ``bcp.toml`` as frozen types, with ADR-0103's numbers as the defaults.

Order of precedence: defaults < ``bcp.toml`` < environment ``RAXX_BCP_<SECTION>__<KEY>``. Anything
unknown, of the wrong type or unit, or impossible is refused at start with its place and the reason:
a typo in a policy must never quietly mean "the default". Secrets do not belong in here.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from raxx_bcp.drills.kinds import drill_name
from raxx_bcp.errors import UsageError
from raxx_bcp.policy_addon import refuse_hour
from raxx_bcp.policy_adopted import Adopted
from raxx_bcp.policy_help_desk import HelpDeskHost
from raxx_bcp.policy_source import complain, environment_overrides

POLICY_VARIABLE: Final = "RAXX_BCP_POLICY"
DEFAULT_POLICY_FILE: Final = "bcp.toml"

OFF: Final = ""
"""An empty string switches an optional thing off; TOML has no null."""
ADDON_OFF: Final = "off"


def _clock_time(value: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise ValueError(f"write a UTC time as HH:MM, not {value!r}")
    return value


def _fingerprint(value: str) -> str:
    compact = value.replace(" ", "").upper()
    if compact and not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", compact):
        raise ValueError("write the key's full fingerprint (40 hexadecimal digits), not a short key id or an e-mail")
    return compact


def _prefix(value: str) -> str:
    if value.startswith("/") or not value.endswith("/"):
        raise ValueError("an S3 prefix has no leading slash and ends in one, such as vault-exports/")
    return value


UtcTime = Annotated[str, AfterValidator(_clock_time)]
Ratio = Annotated[float, Field(ge=0, le=1)]
ResourceName = Annotated[str, Field(pattern=r"^\w[\w-]{0,98}\w$")]
"""A Lightsail name; short enough that our snapshots' names fit into Lightsail's 255 characters."""


class Section(BaseModel):
    """One table of ``bcp.toml``: immutable, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SecondCopy(Section):
    """Where the export is stored a second time; empty ``bucket`` means "not configured".

    ADR-0103's claim that the export survives an account compromise is true only when this is another
    account and region with no trust back.
    """

    bucket: str = OFF
    region: str = OFF
    profile: str = OFF
    """Named AWS profile whose credentials belong to the other account; empty: the main credentials."""
    retention_days: Annotated[int, Field(ge=0, le=3650)] = 0
    """COMPLIANCE-mode Object Lock for each copy, in days; 0: none."""

    @property
    def configured(self) -> bool:
        return bool(self.bucket)


class VaultExport(Section):
    """D3: the daily export of the Infisical vault."""

    schedule_utc: UtcTime = "07:00"
    prefix: Annotated[str, AfterValidator(_prefix)] = "vault-exports/"
    gpg_fingerprint: Annotated[str, AfterValidator(_fingerprint)] = OFF
    """The operator's full key fingerprint; ``RAXX_BCP_GPG_FINGERPRINT`` sets the same from the environment."""
    expected_projects: tuple[str, ...] = ()
    """Slugs of the projects that every export must hold. Empty: the only check is "at least one project"."""
    shrink_threshold_ratio: Ratio = 0.1
    """Refuse an export with fewer secrets than the last good one by more than this share."""
    known_empty_folders: tuple[str, ...] = ()
    """``project/environment/path`` of folders that once had secrets, are rightly empty, and need no warning."""
    concurrency: Annotated[int, Field(ge=1, le=16)] = 4
    """Requests to the vault in flight at once."""
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 120.0
    """How long one request to the vault may take; a vault database without statistics answers slowly."""
    late_after_minutes: Annotated[int, Field(ge=5, le=720)] = 60
    """How long after ``schedule_utc`` today's export counts as late."""
    key_warning_days: tuple[int, ...] = (60, 30, 7)
    """Warn when the key or its encryption subkey expires within this many days."""
    inventory_days: Annotated[int, Field(ge=1, le=365)] = 30
    max_retries: Annotated[int, Field(ge=0, le=10)] = 3
    retry_wait_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    second_copy: SecondCopy = SecondCopy()

    @model_validator(mode="after")
    def _descending_warnings(self) -> VaultExport:
        if list(self.key_warning_days) != sorted(set(self.key_warning_days), reverse=True):
            raise ValueError("key_warning_days must go down, such as [60, 30, 7]")
        return self


class VaultSnapshot(Section):
    """D1: the daily Lightsail snapshot of the vault instance."""

    instance: ResourceName = "raxx-vault"
    schedule_utc: UtcTime = "06:30"
    keep: Annotated[int, Field(ge=7, le=365)] = 7
    """Never fewer than the seven of D1."""
    deadline_minutes: Annotated[int, Field(ge=1, le=55)] = 30
    """How long a new snapshot may take to become available; after that: COULD_NOT_VERIFY."""
    poll_seconds: Annotated[float, Field(gt=0, le=300)] = 15.0
    late_after_minutes: Annotated[int, Field(ge=5, le=720)] = 60
    """How long after ``schedule_utc`` today's snapshot counts as late."""
    addon: str = ADDON_OFF
    """Lightsail's own automatic snapshots as a second backup: ``off``, or their UTC hour (``18:00``)."""
    copy_region: Annotated[str, Field(pattern=r"^$|^[a-z]{2}(-[a-z]+)+-\d$")] = OFF
    """Another region to which each new snapshot is copied; empty: none."""
    inventory_days: Annotated[int, Field(ge=1, le=90)] = 14
    price_usd_per_gb_month: Annotated[float, Field(ge=0, le=10)] = 0.05
    """Lightsail's price of snapshot storage, as the ADR calculates with it."""
    max_retries: Annotated[int, Field(ge=0, le=10)] = 3
    retry_wait_seconds: Annotated[int, Field(ge=1, le=3600)] = 60

    @model_validator(mode="after")
    def _a_legal_hour(self) -> VaultSnapshot:
        if self.addon != ADDON_OFF:
            refuse_hour(self.addon, self.schedule_utc, self.deadline_minutes)
        return self


class FreeScout(HelpDeskHost, Section):
    """The help desk on Lightsail, whose backup must not overlap the vault's, and its two restore drills (D1, D4)."""

    instance: ResourceName = "raxx-tickets"
    backup_ends_utc: UtcTime = "06:00"
    """When its own daily backup has ended; the vault's snapshot follows half an hour later."""
    restored_instance: ResourceName = "raxx-tickets-restored"
    """The throwaway instance that both tiers restore to (ADR-0103 D4)."""
    dump_bucket: str = OFF
    """Bucket of the dump sets; empty: the state bucket."""
    dump_prefix: Annotated[str, AfterValidator(_prefix)] = "freescout-dumps/"
    """Sets are in ``<prefix>YYYY-MM-DD/``: database.sql.gz, env, attachments.tar.gz, modules.tar.gz, manifest.json."""
    dump_parts: tuple[Literal["env", "attachments", "modules"], ...] = ("env", "attachments", "modules")
    """What a set must hold beside the database; without them it is incomplete."""
    adopted: Adopted = Adopted()
    """Another program's backups, by patterns of their keys: the sets are then those, and not the prefix's."""
    dumps_expected: bool = True
    """Is there a set every night? Where nothing makes any, no check reports that one is late."""
    dump_late_after_minutes: Annotated[int, Field(ge=1, le=12 * 60)] = 60
    """How long after ``backup_ends_utc`` the night's set counts as late."""
    dump_keep_daily: Annotated[int, Field(ge=7, le=365)] = 7
    """How many good sets are kept, one a day; never fewer than seven."""
    dump_keep_weekly: Annotated[int, Field(ge=4, le=260)] = 4
    """For how many weeks the newest good set is kept, counted from the newest; never fewer than four."""
    inventory_days: Annotated[int, Field(ge=1, le=90)] = 14
    blueprint: str = "ubuntu_22_04"
    """The image that Tier 2's instance is made from."""
    bundle: str = OFF
    """The bundle of the throwaway instance; empty: the cheapest that fits."""
    version: Annotated[str, Field(pattern=r"^$|^\d+(\.\d+)+$")] = OFF
    """FreeScout's release that Tier 2 installs; empty: the one in the set's manifest."""
    rto_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 120
    rpo_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 25
    """How old the newest good backup may be: a day plus the backup's own run."""
    fetch_age_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 2
    """Longest time between FreeScout's last mail fetch and the backup: beyond it, FreeScout was not working."""
    row_tolerance_ratio: Ratio = 0.05
    """How far a count may fall below an expectation that was not taken at the very same moment."""
    connections: Annotated[int, Field(ge=1, le=8)] = 2
    """Parallel connections for Tier 2's restore."""


class ThrowawayInstances(Section):
    """The settings of every drill that makes an instance."""

    zone: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$")] = "us-east-1a"
    worker_cidr: Annotated[str, Field(pattern=r"^$|^[0-9.]+/\d{1,2}$")] = OFF
    """The worker's own address (``203.0.113.9/32``): the only one that may reach a throwaway instance."""
    ssh_port: Annotated[int, Field(ge=1, le=65535)] = 22
    egress_probes: tuple[Annotated[str, Field(pattern=r"^[\w.-]+:\d{1,5}$")], ...] = ("1.1.1.1:443", "8.8.8.8:53")
    """Addresses that an isolated instance must fail to reach."""
    provision_deadline_minutes: Annotated[int, Field(ge=1, le=120)] = 20
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    command_timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 600
    lease_hours: Annotated[int, Field(ge=1, le=72)] = 4
    """After this time the sweeper deletes what a drill left behind."""


class CopyGuard(Section):
    """What keeps a restored copy of production silent, on the disks of production's own hosts."""

    sightings_prefix: Annotated[str, AfterValidator(_prefix)] = "host-guards/"
    """The record of when each host was first guarded, in the state bucket."""


class VaultDrill(Section):
    """D1 and D3: the vault's snapshot and its export, restored."""

    restored_instance: ResourceName = "raxx-vault-restored"
    api_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """Where Infisical listens on its own host."""
    quiet_units: tuple[Annotated[str, Field(pattern=r"^[\w.@-]+$")], ...] = ("cron", "postfix", "exim4")
    start_units: tuple[Annotated[str, Field(pattern=r"^[\w.@-]+\.(service|socket)$")], ...] = ("docker.service",)
    """What answers ``/api/status``. On a copy it stays stopped until the drill sees egress closed and starts it."""
    boot_deadline_minutes: Annotated[int, Field(ge=1, le=60)] = 10
    """How long Infisical may take to answer after its instance has booted."""
    throwaway_prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{3,9}-$")] = "raxx-drill-"
    """The prefix of the slugs of throwaway projects; nothing else is ever deleted from a vault."""
    rto_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 60
    rpo_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 25
    count_tolerance_ratio: Ratio = 0.05
    """How far a snapshot may differ from the export that is nearest in time."""
    lease_hours: Annotated[int, Field(ge=1, le=72)] = 4


class StateRecovery(Section):
    """D2: the drill overwrites and deletes a state object in a scratch prefix, and recovers it from its versions."""

    scratch_prefix: Annotated[str, AfterValidator(_prefix)] = "drill-scratch/"
    """The only place in the bucket where a drill writes or deletes."""
    rto_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 15
    rpo_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 24
    lease_hours: Annotated[int, Field(ge=1, le=72)] = 4


class StateBucket(Section):
    """D2: the Terraform state bucket, which also holds the exports."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = "raxx-iac-state-prod"
    terraform_role_arns: tuple[Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")], ...] = ()
    """Roles of Terraform and its pipelines, which must not be able to read the exports in the same bucket."""


class HerokuPostgres(Section):
    """D4: the restore drill of the customer database on Heroku."""

    app: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,28}[a-z0-9]$")] = "raxx-app-prod"
    team: str = OFF
    """Heroku team for the throwaway apps; empty: the key's own account."""
    region: str = OFF
    throwaway_prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{3,9}-$")] = "raxx-drill-"
    """The prefix of the names of throwaway apps; nothing else is ever deleted."""
    rto_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 60
    """From the start of the drill until the restored database has been verified."""
    rpo_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 24
    """How old the newest good backup may be."""
    row_tolerance_ratio: Ratio = 0.05
    """What share of production's rows a table may differ by, for changes since the backup."""
    changes_per_day_ratio: Ratio = 0.05
    """How much of a table an ordinary day changes without a new row time; at most a quarter counts."""
    table_tolerance_ratios: Mapping[str, Ratio] = {}
    """Maps a table to the share of its rows that may differ in number and content, if an ordinary day changes more."""
    facts_at_utc: UtcTime = "05:30"
    """When the drills look at production: shortly after Heroku's own backup (pg:backups:schedules)."""
    facts_prefix: Annotated[str, AfterValidator(_prefix)] = "heroku-postgres-facts/"
    """Where the state bucket keeps those facts."""
    newest_row_columns: tuple[str, ...] = ()
    """``table.column`` whose newest value shows how old the data is; empty: found by type and name."""
    revisions_directory: str = OFF
    """Alembic's ``versions`` directory, where one is available: a mismatch then says which side is ahead."""
    connections: Annotated[int, Field(ge=1, le=8)] = 4
    """Connections to each database at once; Heroku's essential plans have 20."""
    statement_timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 300
    provision_deadline_minutes: Annotated[int, Field(ge=1, le=60)] = 15
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    lease_hours: Annotated[int, Field(ge=1, le=72)] = 4
    """After this time the sweeper deletes what a drill left behind."""


def _once_each(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ValueError(f"{twice.replace('_', '-')} stands there twice")
    return names


class Drills(Section):
    """D4: what the schedule starts. A person can start every drill, whatever is set here."""

    scheduled: Annotated[tuple[Annotated[str, AfterValidator(drill_name)], ...], AfterValidator(_once_each)] = ()
    """Drills that run each month, with ``-`` or ``_``. Empty until a person trusts one: a drill makes things."""


class Evidence(Section):
    """D4: the record of restores that worked, and when a BCP card may close on it."""

    prefix: Annotated[str, AfterValidator(_prefix)] = "evidence/"
    retention_days: Annotated[int, Field(ge=0, le=3650)] = 0
    """COMPLIANCE-mode Object Lock for each row, in days, where the bucket has Object Lock; 0: none."""
    max_age_days: Annotated[int, Field(ge=1, le=365)] = 90
    """How old the newest passing drill may be (CIS 11.5: quarterly)."""
    reviewer_required: bool = False
    """Does the gate require a second person's review of the row?"""


class Alerts(Section):
    """Who gets alerts, and where the links in the text lead."""

    slack_channel: Annotated[str, Field(pattern=r"^[CDG][A-Z0-9]{6,}$")] = "D0AJ7K184TV"
    ui_url: Annotated[str, Field(pattern=r"^https?://[^\s]+[^/\s]$")] = "http://127.0.0.1:3000"


class Policy(Section):
    """The whole of ``bcp.toml``."""

    version: Literal[1] = 1
    vault_export: VaultExport = VaultExport()
    vault_snapshot: VaultSnapshot = VaultSnapshot()
    state_bucket: StateBucket = StateBucket()
    freescout: FreeScout = FreeScout()
    heroku_postgres: HerokuPostgres = HerokuPostgres()
    throwaway_instances: ThrowawayInstances = ThrowawayInstances()
    copy_guard: CopyGuard = CopyGuard()
    vault_drill: VaultDrill = VaultDrill()
    state_recovery: StateRecovery = StateRecovery()
    drills: Drills = Drills()
    evidence: Evidence = Evidence()
    alerts: Alerts = Alerts()


def load_policy(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Policy:
    """Read the policy from ``path``, else ``$RAXX_BCP_POLICY``, else ``./bcp.toml`` where it exists.

    Raises ``UsageError`` naming the file, the line and the reason.
    """
    environ = os.environ if environ is None else environ
    source = path or policy_path(environ)
    text = _read(source, required=path is not None or bool(environ.get(POLICY_VARIABLE)))
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{source} is not valid TOML: {error}.", f"Correct that place of {source}, then start again."
        ) from None
    overrides = environment_overrides(environ, Policy)
    merged = _merge(written, overrides)
    try:
        return Policy.model_validate(_with_tuples(merged))
    except ValidationError as error:
        raise complain(error, source, text, overrides, Policy) from None


def policy_path(environ: Mapping[str, str] | None = None) -> Path:
    """``$RAXX_BCP_POLICY``, else ``./bcp.toml``."""
    return Path((os.environ if environ is None else environ).get(POLICY_VARIABLE) or DEFAULT_POLICY_FILE)


def _read(source: Path, *, required: bool) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except FileNotFoundError:
        if not required:
            return ""
        raise UsageError(
            f"The policy file {source} does not exist.",
            f"Set {POLICY_VARIABLE} to your bcp.toml, or unset it to use ./{DEFAULT_POLICY_FILE}.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None)
        remedy = f"Let {POLICY_VARIABLE} name a file that this user may read." if reason else "Save it as UTF-8."
        raise UsageError(
            f"The policy file {source} cannot be read: {reason or 'it is not UTF-8 text'}.", remedy
        ) from None


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _with_tuples(value: Any) -> Any:
    """TOML's arrays as tuples, which the frozen types hold."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_with_tuples(item) for item in value)
    return value
