"""``raxx-bcp state-bucket``: D2 from the command line."""

from __future__ import annotations

import sys

import click

from raxx_bcp.clock import utc_now
from raxx_bcp.console import check_lines, emit, exit_code, exit_codes, json_option, looking, progress
from raxx_bcp.errors import EXIT_PASS, UsageError
from raxx_bcp.policy import load_policy
from raxx_bcp.state_bucket.connections import state_bucket_settings
from raxx_bcp.state_bucket.posture import Posture, examine, weighed
from raxx_bcp.state_bucket.versioning import enable_versioning


@click.group("state-bucket")
def state_bucket() -> None:
    """D2: is the Terraform state bucket as promised? Switch its versioning on."""


@state_bucket.command("check")
@json_option
@exit_codes
@looking
def check_command(*, as_json: bool) -> int:
    """Look at the bucket's settings and at the history of each state file. Changes nothing.

    A setting that may not be read counts as a warning; only for versioning itself it ends with exit code 3.
    """
    policy = load_policy()
    posture = examine(state_bucket_settings(policy), policy, utc_now())
    weighty = [weighed(check) for check in posture.checks]
    emit(posture.as_dict(), _posture_text(posture), as_json=as_json, checks=weighty)
    return exit_code(posture.status)


@state_bucket.command("enable-versioning")
@click.option(
    "--confirm", "confirmation", metavar="NAME", default=None, help="The bucket's name; else it is asked for."
)
@json_option
@exit_codes
def enable_versioning_command(*, confirmation: str | None, as_json: bool) -> int:
    """Switch versioning on and read it back. Touches nothing else; where it is on already, does nothing."""
    settings = state_bucket_settings(load_policy())
    typed = _typed(settings.name) if confirmation is None else confirmation
    enabled = enable_versioning(settings, typed, progress)
    emit(enabled.as_dict(), enabled.text(), as_json=as_json)
    return EXIT_PASS


def _typed(bucket: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            "Nothing was changed: the bucket's name was not given, and there is no terminal to ask for it.",
            f"Confirm with --confirm {bucket}.",
        )
    progress(f"This switches versioning on in bucket {bucket}, and changes nothing else.")
    return str(click.prompt("Type the bucket's name to confirm", err=True))


def _posture_text(posture: Posture) -> str:
    width = max((len(one.key) for one in posture.state_files), default=0)
    rows = [
        f"  {one.key:<{width}}  {one.changed_utc:%Y-%m-%d %H:%M} UTC  {one.size_bytes:>9} bytes  "
        f"{one.prior_version_count} prior versions{', DELETED: a marker lies on top' if one.delete_marked else ''}"
        for one in posture.state_files
    ]
    if posture.state_files_unknown:
        rows = [f"  the history of the state is not known: {posture.state_files_unknown}"]
    foot = f"{len(posture.open_findings)} of {len(posture.checks)} lines are open"
    return "\n".join([f"bucket {posture.bucket}", *rows, *check_lines(posture.checks), foot])
