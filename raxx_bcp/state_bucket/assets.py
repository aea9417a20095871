"""D2 in Dagster: the posture of the state bucket with its checks, and the job that switches versioning on."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg

from raxx_bcp.checks import Check, Status
from raxx_bcp.dagster_terms import INVENTORY_FRESHNESS, OWNER, check_result, failure, operator_errors
from raxx_bcp.errors import BcpError
from raxx_bcp.policy import Policy
from raxx_bcp.resources import Raxx
from raxx_bcp.state_bucket import access, lifecycle, lines
from raxx_bcp.state_bucket.connections import state_bucket_settings
from raxx_bcp.state_bucket.posture import BLOCKING, CHECK_NAMES, Posture, examine
from raxx_bcp.state_bucket.versioning import enable_versioning

GROUP: Final = "state_bucket"
MAX_RETRIES: Final = 3
RETRY_WAIT_SECONDS: Final = 60
_MOST_ROWS: Final = 200
"""Rows of a table in Dagster's event log; the numbers beside it count all."""

terraform_state_bucket = dg.AssetSpec(
    "terraform_state_bucket",
    group_name=GROUP,
    kinds={"s3"},
    description="The S3 bucket raxx-iac-state-prod: Terraform's state, and the vault's exports beside it.",
)


def state_bucket_posture_asset(policy: Policy) -> dg.AssetsDefinition:
    """``state_bucket_posture``: the seven lines of D2, each an asset check."""

    @dg.asset(
        name="state_bucket_posture",
        group_name=GROUP,
        kinds={"s3"},
        owners=[OWNER],
        deps=[terraform_state_bucket],
        code_version="1",
        freshness_policy=INVENTORY_FRESHNESS,
        check_specs=[
            dg.AssetCheckSpec(
                name, asset="state_bucket_posture", description=_CHECK_DESCRIPTIONS[name], blocking=name in BLOCKING
            )
            for name in CHECK_NAMES
        ],
        description=(
            f"D2: how bucket `{policy.state_bucket.name}` is set up, line by line with what to do, and how far each "
            "Terraform state can be taken back. Looked at, never changed; materialized means read, not good."
        ),
    )
    def state_bucket_posture(context: dg.AssetExecutionContext, raxx: dg.ResourceParam[Raxx]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows only the bare class
        with operator_errors(context, max_retries=MAX_RETRIES, wait_seconds=RETRY_WAIT_SECONDS):
            posture = examine(state_bucket_settings(raxx.policy), raxx.policy, raxx.clock())
        if posture.state_files_unknown:
            context.log.warning("The history of the state is not known: %s", posture.state_files_unknown)
        return dg.MaterializeResult(
            metadata=_metadata(posture), check_results=[line_result(check) for check in posture.checks]
        )

    return state_bucket_posture


def line_result(check: Check) -> dg.AssetCheckResult:
    """As everywhere, except that a line that could not be read is yellow unless it is a blocking one.

    The role may rightly lack the right to one setting, and some S3 servers do not know it. That must be visible every
    day, and must not look like a broken bucket. Its text still begins with COULD_NOT_VERIFY, and it never passes.
    """
    result = check_result(check)
    if check.status is not Status.COULD_NOT_VERIFY or check.name in BLOCKING:
        return result
    return dg.AssetCheckResult(
        check_name=result.check_name,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=result.description,
        metadata=result.metadata,
    )


class EnableVersioningConfig(dg.Config):
    """A typed confirmation, and the person who gives it."""

    confirmation: str
    """Type the bucket's name."""
    operator: str
    """Your name, so that the run records it."""


@dg.op(
    name="switch_versioning_on",
    description="Switches versioning of the state bucket on and reads it back. Touches nothing else.",
)
def switch_versioning_on(
    context: dg.OpExecutionContext, config: EnableVersioningConfig, raxx: dg.ResourceParam[Raxx]
) -> None:
    """A person starts it; where versioning is already on, it changes nothing."""
    if not config.operator.strip():
        raise dg.Failure("Nothing was changed: operator is empty.\nWhat to do: write who you are.", allow_retries=False)
    context.log.info("%s asked for versioning of bucket %s.", config.operator, raxx.policy.state_bucket.name)
    try:
        enabled = enable_versioning(state_bucket_settings(raxx.policy), config.confirmation, context.log.info)
    except BcpError as error:
        raise failure(error) from None
    context.log.info(enabled.text())
    context.add_output_metadata({**enabled.as_dict(), "operator": config.operator})


@dg.job(
    name="enable_state_bucket_versioning",
    description="D2: switch versioning of the state bucket on. Type the bucket's name as confirmation.",
)
def enable_state_bucket_versioning() -> None:
    """One op, so that the UI offers the Launchpad."""
    switch_versioning_on()


_CHECK_DESCRIPTIONS: Final = {
    lines.VERSIONING: "Every version of every object is kept. Without it nothing here can be taken back.",
    lines.MFA_DELETE: "Deleting a version takes the root user's device; only the root user can switch that on.",
    lines.DEFAULT_ENCRYPTION: "What comes without asking for encryption is encrypted at rest all the same.",
    lines.PUBLIC_ACCESS_BLOCK: "All four switches that keep the public out are on.",
    lifecycle.NONCURRENT: "Prior versions are removed in good time; state, exports and evidence never are.",
    access.TLS_ONLY: "The bucket's policy refuses every request without TLS.",
    access.TERRAFORM: "The bucket's policy keeps Terraform's roles from reading the vault's exports.",
}


def _metadata(posture: Posture) -> dict[str, dg.MetadataValue | int | str]:
    metadata: dict[str, dg.MetadataValue | int | str] = {
        "open_finding_count": len(posture.open_findings),
        "bucket": posture.bucket,
        "line": _table([check.as_dict() for check in posture.checks], dict.fromkeys(_LINE_COLUMNS, "string")),
    }
    if posture.state_files_unknown:
        return {**metadata, "state_files": f"COULD_NOT_VERIFY: {posture.state_files_unknown}"}
    return {
        **metadata,
        "state_object_count": len(posture.state_files),
        "prior_version_count": posture.prior_version_count,
        "state_files": _table([one.as_dict() for one in posture.state_files[:_MOST_ROWS]], _STATE_COLUMNS),
    }


_LINE_COLUMNS: Final = ("name", "status", "detail", "remedy")
_STATE_COLUMNS: Final = {
    "key": "string",
    "changed_utc": "string",
    "size_bytes": "int",
    "prior_version_count": "int",
    "version_id": "string",
    "delete_marked": "bool",
}


def _table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> dg.MetadataValue:
    return dg.TableMetadataValue(
        records=[dg.TableRecord(row) for row in rows],
        schema=dg.TableSchema(columns=[dg.TableColumn(name, kind) for name, kind in columns.items()]),
    )
