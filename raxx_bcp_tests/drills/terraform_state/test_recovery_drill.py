"""The state's recovery on a real S3 server: the healthy bucket passes, each broken one is caught by name."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from raxx_bcp.clients.s3 import Bucket, Versioning
from raxx_bcp.clients.s3_scratch import Scratch, Surroundings
from raxx_bcp.clients.s3_settings import BucketSettings, MfaDelete, VersioningState
from raxx_bcp.drills.engine.drill import RESTORE_TIME
from raxx_bcp.drills.engine.record import entry_of
from raxx_bcp.drills.engine.run import FinishedDrill, run_drill
from raxx_bcp.drills.kind import Asked
from raxx_bcp.drills.terraform_state.kinds import RECOVERY
from raxx_bcp.drills.terraform_state.leftovers import ScratchLeftovers
from raxx_bcp.drills.terraform_state.real_states import REAL_STATE, UNTOUCHED
from raxx_bcp.drills.terraform_state.recovery_drill import (
    CONTENT,
    DAMAGE,
    MARK_CHECK,
    NAME,
    SUPERSEDED,
    VERSION_FOUND,
    VERSIONING,
    Connections,
    connections_of,
    state_recovery,
)
from raxx_bcp.drills.terraform_state.state_file import Mark, new_lineage, read_mark, synthetic_state
from raxx_bcp.drills.terraform_state.wanted import Wanted
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, TransientError, UsageError
from raxx_bcp.evidence.row import CheckStatus, Verdict
from raxx_bcp.policy import Policy, StateBucket
from raxx_bcp_sandbox.part import Place
from raxx_bcp_sandbox.parts import s3
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.drills.engine.doubles import Memory, StillClock

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

REAL = "raxx-app/terraform.tfstate"
SHIPPED = Path(__file__).resolve().parents[3] / "deploy" / "iam" / "state-recovery-policy.json"
RECOVERER = {"AWS_ACCESS_KEY_ID": "AKIARECOVERERRECOVER", "AWS_SECRET_ACCESS_KEY": "kept-in-this-test-only"}


def client_of(endpoint: str, credentials: dict[str, str]) -> S3Client:
    """One attempt for each call."""
    retries: Any = {"total_max_attempts": 1}
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=s3.REGION,
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries=retries),
    )


@dataclass
class Stage:
    """A bucket of this test's own with real states in it, and drills on it."""

    client: Callable[[], S3Client]
    policy: Policy
    clock: StillClock = field(default_factory=StillClock)
    memory: Memory = field(default_factory=Memory)

    @property
    def bucket(self) -> str:
        return self.policy.state_bucket.name

    def connections(self, **others: Any) -> Connections:
        name, prefix = self.bucket, self.policy.state_recovery.scratch_prefix
        given = Connections(
            Bucket(name, client=self.client()),
            BucketSettings(name, self.client()),
            Surroundings(name, scratch_prefix=prefix, client=self.client()),
            lambda drill_id: Scratch(name, prefix, drill_id, client=self.client()),
        )
        return replace(given, **others)

    def drill(
        self, connections: Connections | None = None, *, keep: bool = False, wanted: Wanted | None = None
    ) -> FinishedDrill:
        chosen = wanted or Wanted(20)
        given = connections or self.connections()
        return run_drill(
            RECOVERY.order(self.policy, Asked("alice", keep=keep), chosen),
            lambda drill: state_recovery(drill, given, self.policy, chosen),
            self.memory,
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    def everything(self) -> list[tuple[str, str, bool]]:
        """Every version and marker of the bucket."""
        found = self.client().list_object_versions(Bucket=self.bucket)
        versions = [(one["Key"], one["VersionId"], one["IsLatest"]) for one in found.get("Versions", [])]
        return versions + [(one["Key"], one["VersionId"], one["IsLatest"]) for one in found.get("DeleteMarkers", [])]

    def scratch(self) -> list[str]:
        prefix = self.policy.state_recovery.scratch_prefix
        return [key for key, _version, _latest in self.everything() if key.startswith(prefix)]

    def deny(self, *actions: str, below: str = "drill-scratch/*") -> None:
        statement = {
            "Sid": "Denied",
            "Effect": "Deny",
            "Principal": "*",
            "Action": list(actions),
            "Resource": f"arn:aws:s3:::{self.bucket}/{below}" if below else f"arn:aws:s3:::{self.bucket}",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.client().put_bucket_policy(Bucket=self.bucket, Policy=policy)

    def allow(self) -> None:
        self.client().delete_bucket_policy(Bucket=self.bucket)


def make_stage(environ: dict[str, str]) -> Stage:
    def client() -> S3Client:
        return client_of(environ["AWS_ENDPOINT_URL_S3"], environ)

    name = f"state-{uuid.uuid4().hex[:12]}"
    client().create_bucket(Bucket=name)
    client().put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for serial in (1, 2):
        client().put_object(Bucket=name, Key=REAL, Body=synthetic_state(Mark("real", serial), 1))
    client().put_object(Bucket=name, Key="vault-exports/2031-03-14.json.gpg", Body=b"x")
    policy = Policy()
    return Stage(client, policy.model_copy(update={"state_bucket": StateBucket(name=name)}))


@pytest.fixture
def stage(sandbox_environ: dict[str, str]) -> Stage:
    return make_stage(sandbox_environ)


def status(done: FinishedDrill) -> dict[str, CheckStatus]:
    return {one.name: one.status for one in done.drill.results}


def failed(done: FinishedDrill) -> set[str]:
    return {name for name, found in status(done).items() if found is CheckStatus.FAIL}


def said(done: FinishedDrill) -> str:
    reasons = [one.reason for one in done.drill.results if one.reason]
    return "\n".join([*done.drill.findings, *reasons])


class Meddling(Scratch):
    """A scratch in which somebody else's hand is at work, before the method that is named."""

    def __init__(self, stage: Stage, drill_id: str, before: dict[str, Callable[[Meddling], None]]) -> None:
        prefix = stage.policy.state_recovery.scratch_prefix
        super().__init__(stage.bucket, prefix, drill_id, client=stage.client())
        self.stage, self.before = stage, before

    def versions(self, name: str) -> Any:
        self._meddle("versions")
        return super().versions(name)

    def copy_back(self, name: str, version_id: str) -> str | None:
        self._meddle("copy_back")
        return super().copy_back(name, version_id)

    def get(self, name: str, *, version_id: str = "") -> bytes:
        if not version_id and "get" in self.before:
            return b"changed on the way"
        return super().get(name, version_id=version_id)

    def delete(self, name: str) -> None:
        self._meddle("delete")
        if "delete" not in self.before:
            super().delete(name)

    def _meddle(self, method: str) -> None:
        if method in self.before:
            self.before[method](self)


def meddling(stage: Stage, **before: Callable[[Meddling], None]) -> Connections:
    return stage.connections(scratch=lambda drill_id: Meddling(stage, drill_id, before))


# -- healthy ---------------------------------------------------------------------------------------------


def test_a_healthy_bucket_passes_every_check_and_is_left_as_it_was(stage: Stage) -> None:
    before = stage.everything()
    done = stage.drill()
    assert done.verdict is Verdict.PASS, said(done)
    assert status(done) == dict.fromkeys(RECOVERY.checks, CheckStatus.PASS)
    assert stage.everything() == before, "also no delete marker is left"
    drill = done.drill
    names = ["select", "provision", "damage", "restore", "verify", "teardown"]
    assert [phase.name for phase in drill.phases] == names
    assert drill.source_backup is not None
    key = f"drill-scratch/{drill.id}/{NAME}"
    assert drill.source_backup.backup_id.startswith(f"s3://{stage.bucket}/{key}?versionId=")
    assert drill.source_backup.created_utc.tzinfo is UTC
    assert drill.leases.confirmed


def test_its_row_is_one_that_the_ledger_takes_and_holds_nothing_of_the_state(stage: Stage) -> None:
    done = stage.drill()
    entry = entry_of(done.drill, stage.clock())
    assert entry.verdict is Verdict.PASS
    assert entry.source is not None
    assert "versionId=" in entry.source.backup_id
    (resource,) = entry.teardown.resources
    assert resource.name == f"{stage.bucket}/drill-scratch/{done.drill.id}"
    assert "output_" not in str(entry)


def test_two_drills_at_once_do_not_meet(stage: Stage) -> None:
    inner: list[FinishedDrill] = []

    def another(_scratch: Meddling) -> None:
        if not inner:
            inner.append(stage.drill())

    outer = stage.drill(meddling(stage, copy_back=another))
    assert (outer.verdict, inner[0].verdict) == (Verdict.PASS, Verdict.PASS), said(outer)
    assert stage.scratch() == []


def test_kept_for_inspection_it_stands_and_closes_no_card(stage: Stage) -> None:
    done = stage.drill(keep=True)
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert failed(done) == set()
    assert len(stage.scratch()) == 6
    scratch = stage.connections().scratch(done.drill.id)
    assert read_mark(scratch.get(NAME)) is not None, "what was recovered can be looked at"


def test_the_doors_are_made_from_the_policy_and_the_machine_s_own_settings(stage: Stage) -> None:
    assert stage.drill(connections_of(stage.policy)).verdict is Verdict.PASS


# -- broken buckets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [Versioning.SUSPENDED, Versioning.NEVER_ENABLED])
def test_without_versions_it_fails_and_writes_nothing(stage: Stage, how: Versioning) -> None:
    if how is Versioning.SUSPENDED:
        stage.client().put_bucket_versioning(Bucket=stage.bucket, VersioningConfiguration={"Status": "Suspended"})
    else:
        stage = replace(stage, policy=_other_bucket(stage))
    before = stage.everything()
    done = stage.drill()
    assert done.verdict is Verdict.FAIL
    assert VERSIONING in failed(done)
    assert f"keeps no versions ({how.value})" in said(done)
    assert stage.everything() == before
    assert done.drill.leases.returned == [], "nothing was made"


def _other_bucket(stage: Stage) -> Policy:
    name = f"state-{uuid.uuid4().hex[:12]}"
    stage.client().create_bucket(Bucket=name)
    return stage.policy.model_copy(update={"state_bucket": StateBucket(name=name)})


@dataclass
class Saying(BucketSettings):
    """A bucket that says ``state``: the local server has no MFA delete."""

    name: str
    state: VersioningState

    def versioning(self) -> VersioningState:
        return self.state


MFA = VersioningState(Versioning.ENABLED, MfaDelete.ENABLED)


def test_under_mfa_delete_it_passes_and_says_what_stays_below_the_delete_marker(stage: Stage) -> None:
    """The local server has no MFA delete; what it means for a role is a denied s3:DeleteObjectVersion."""
    stage.deny("s3:DeleteObjectVersion")
    connections = stage.connections(settings=Saying(stage.bucket, MFA))
    done = stage.drill(connections)
    assert done.verdict is Verdict.PASS, said(done)
    (finding,) = done.drill.findings
    assert re.search(r"MFA delete is on, so 5 versions of the scratch, \d+ bytes, stay", finding)
    listed = stage.client().list_objects_v2(Bucket=stage.bucket, Prefix="drill-scratch/")
    assert "Contents" not in listed
    assert list(ScratchLeftovers(connections, stage.policy).leftovers()) == []
    stage.allow()


def test_under_mfa_delete_what_a_killed_drill_left_is_hidden_by_the_sweeper(stage: Stage) -> None:
    connections = stage.connections(settings=Saying(stage.bucket, MFA))
    kept = stage.drill(connections, keep=True)
    stage.deny("s3:DeleteObjectVersion")
    (leftover,) = ScratchLeftovers(connections, stage.policy).leftovers()
    assert leftover.drill_id == kept.drill.id
    assert not leftover.lease.gone()
    leftover.lease.release()
    assert leftover.lease.gone()
    assert list(ScratchLeftovers(connections, stage.policy).leftovers()) == []
    stage.allow()


def test_a_bucket_that_says_enabled_and_keeps_no_versions_is_caught(stage: Stage) -> None:
    stage.client().put_bucket_versioning(Bucket=stage.bucket, VersioningConfiguration={"Status": "Suspended"})
    lie = VersioningState(Versioning.ENABLED, MfaDelete.NEVER_CONFIGURED)
    done = stage.drill(stage.connections(settings=Saying(stage.bucket, lie)))
    assert done.verdict is Verdict.FAIL
    assert "without a version" in said(done)
    assert stage.scratch() == []


def test_a_lifecycle_rule_that_removes_prior_versions_is_caught(stage: Stage) -> None:
    def expire(scratch: Meddling) -> None:
        stage.client().delete_object(Bucket=stage.bucket, Key=scratch.key(NAME), VersionId=_good(stage, scratch))

    done = stage.drill(meddling(stage, versions=expire))
    assert done.verdict is Verdict.FAIL
    assert VERSION_FOUND in failed(done)
    assert "no longer kept" in said(done)
    assert "lifecycle rules" in said(done)
    assert stage.scratch() == []


def _good(stage: Stage, scratch: Scratch) -> str:
    """The id of the newest version that is a whole state of more than the decoy's size."""
    listed = stage.client().list_object_versions(Bucket=stage.bucket, Prefix=scratch.root)["Versions"]
    return next(one["VersionId"] for one in listed if one["Size"] > 15_000)


def test_when_no_version_at_all_is_left_it_says_so(stage: Stage) -> None:
    def wipe(scratch: Meddling) -> None:
        for one in stage.client().list_object_versions(Bucket=stage.bucket, Prefix=scratch.root).get("Versions", []):
            stage.client().delete_object(Bucket=stage.bucket, Key=one["Key"], VersionId=one["VersionId"])

    done = stage.drill(meddling(stage, versions=wipe))
    assert failed(done) == {VERSION_FOUND, "completed"}
    assert done.verdict is Verdict.FAIL


def test_a_delete_that_leaves_the_object_standing_is_no_damage(stage: Stage) -> None:
    done = stage.drill(meddling(stage, delete=lambda _scratch: None))
    assert done.verdict is Verdict.FAIL
    assert {DAMAGE, SUPERSEDED} <= failed(done)


def test_content_that_changed_on_the_way_is_caught(stage: Stage) -> None:
    done = stage.drill(meddling(stage, get=lambda _scratch: None))
    assert done.verdict is Verdict.FAIL
    assert failed(done) == {CONTENT, MARK_CHECK}


def test_somebody_else_s_delete_on_top_of_the_recovered_state_is_caught(stage: Stage) -> None:
    calls: list[str] = []

    def delete_again(scratch: Meddling) -> None:
        calls.append("versions")
        if len(calls) == 2:
            stage.client().delete_object(Bucket=stage.bucket, Key=scratch.key(NAME))

    done = stage.drill(meddling(stage, versions=delete_again))
    assert SUPERSEDED in failed(done)
    assert done.verdict is Verdict.FAIL


# -- rights ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actions", "below", "verdict", "words"),
    [
        (["s3:PutObject"], "drill-scratch/*", Verdict.COULD_NOT_VERIFY, "could not store"),
        (["s3:GetObjectVersion"], "drill-scratch/*", Verdict.COULD_NOT_VERIFY, "could not read"),
        (["s3:GetBucketVersioning"], "", Verdict.COULD_NOT_VERIFY, "could not read the versioning"),
        (["s3:ListBucketVersions"], "", Verdict.COULD_NOT_VERIFY, "could not list the versions"),
        (["s3:GetObject"], REAL, Verdict.COULD_NOT_VERIFY, f"could not look at {REAL}"),
    ],
    ids=["put", "get-version", "versioning", "list", "look-at-the-real-state"],
)
def test_what_is_denied_is_never_a_pass(
    stage: Stage, actions: list[str], below: str, verdict: Verdict, words: str
) -> None:
    stage.deny(*actions, below=below)
    done = stage.drill()
    stage.allow()
    assert done.verdict is verdict, said(done)
    assert words in said(done)


def test_a_denied_copy_is_no_word_on_the_versions(stage: Stage) -> None:
    def deny_puts(_scratch: Meddling) -> None:
        stage.deny("s3:PutObject")

    done = stage.drill(meddling(stage, copy_back=deny_puts))
    stage.allow()
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert "could not copy an earlier version" in said(done)
    assert stage.scratch() == []


def test_denied_deletion_leaves_something_behind_which_is_no_pass_and_the_sweeper_gets_it(stage: Stage) -> None:
    stage.deny("s3:DeleteObjectVersion")
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert failed(done) == set(), "the recovery itself was good"
    assert f"drill-scratch/{done.drill.id} may still be there" in said(done)
    assert stage.scratch()
    stage.allow()
    (leftover,) = ScratchLeftovers(stage.connections(), stage.policy).leftovers()
    assert (leftover.drill_id, leftover.lease.name.endswith(f"-{done.drill.token}")) == (done.drill.id, True)
    assert leftover.created_utc == done.drill.started_utc
    assert leftover.expires_utc == done.drill.expires_utc
    leftover.lease.release()
    assert leftover.lease.gone()
    assert stage.scratch() == []


@pytest.mark.parametrize("step", ["put", "head", "get", "delete", "copy_back", "versions"])
@pytest.mark.parametrize("error", [TransientError("S3 is away.", "Wait."), PermanentError("Refused.", "Ask.")])
def test_an_error_at_any_step_is_no_pass_and_leaves_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, step: str, error: BcpError
) -> None:
    def fails(*_arguments: object, **_named: object) -> object:
        raise error

    monkeypatch.setattr(Scratch, step, fails)
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY, f"S3's {type(error).__name__} says nothing of the versions"
    assert stage.scratch() == []
    assert len(stage.memory.rows) == 1


# -- the real states -------------------------------------------------------------------------------------


def test_a_bucket_without_any_state_is_no_pass(stage: Stage) -> None:
    stage.client().delete_object(Bucket=stage.bucket, Key=REAL)
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert status(done)[REAL_STATE] is CheckStatus.NOT_RUN
    assert "there is no *.tfstate" in said(done)


def test_what_this_software_keeps_in_the_bucket_is_no_state(stage: Stage) -> None:
    stage.client().delete_object(Bucket=stage.bucket, Key=REAL)
    for prefix in ("vault-exports/", "evidence/", "evidence-started/", "freescout-dumps/", "drill-scratch/"):
        stage.client().put_object(Bucket=stage.bucket, Key=f"{prefix}x.tfstate", Body=b"{}")
    assert status(stage.drill())[REAL_STATE] is CheckStatus.NOT_RUN


def test_a_state_from_before_versions_were_kept_shows_nothing(stage: Stage) -> None:
    stage = replace(stage, policy=_other_bucket(stage))
    stage.client().put_object(Bucket=stage.bucket, Key=REAL, Body=b"{}")
    stage.client().put_bucket_versioning(Bucket=stage.bucket, VersioningConfiguration={"Status": "Enabled"})
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert "before versions were kept" in said(done)


@pytest.mark.parametrize("gone", ["the current version", "everything"])
def test_a_real_object_that_is_gone_afterwards_is_caught(stage: Stage, gone: str) -> None:
    def purge(_scratch: Meddling) -> None:
        for one in stage.client().list_object_versions(Bucket=stage.bucket, Prefix=REAL)["Versions"]:
            if gone == "everything" or one["IsLatest"]:
                stage.client().delete_object(Bucket=stage.bucket, Key=REAL, VersionId=one["VersionId"])

    done = stage.drill(meddling(stage, copy_back=purge))
    assert done.verdict is Verdict.FAIL
    assert failed(done) == {UNTOUCHED}
    assert REAL in said(done)


def test_a_real_state_written_by_this_very_drill_is_caught(stage: Stage) -> None:
    def overwrite(scratch: Meddling) -> None:
        mark = {"raxx-bcp-drill": scratch.drill_id}
        stage.client().put_object(Bucket=stage.bucket, Key=REAL, Body=b"{}", Metadata=mark)

    done = stage.drill(meddling(stage, copy_back=overwrite))
    assert failed(done) == {UNTOUCHED}
    assert f"changed by this drill: {REAL}" in said(done)


def test_a_real_state_deleted_meanwhile_by_nobody_knows_whom_is_no_pass(stage: Stage) -> None:
    def delete(_scratch: Meddling) -> None:
        stage.client().delete_object(Bucket=stage.bucket, Key=REAL)

    done = stage.drill(meddling(stage, copy_back=delete))
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert status(done)[UNTOUCHED] is CheckStatus.NOT_RUN


def test_what_others_do_meanwhile_is_theirs_to_do(stage: Stage) -> None:
    """Terraform writes a state, takes and drops its lock; an export is stored. None of it is the drill's doing."""
    stage.client().put_object(Bucket=stage.bucket, Key=f"{REAL}.tflock", Body=b"{}")

    def work(_scratch: Meddling) -> None:
        stage.client().put_object(Bucket=stage.bucket, Key=REAL, Body=synthetic_state(Mark("real", 3), 1))
        stage.client().delete_object(Bucket=stage.bucket, Key=f"{REAL}.tflock")
        stage.client().put_object(Bucket=stage.bucket, Key="vault-exports/2031-03-15.json.gpg", Body=b"y")

    done = stage.drill(meddling(stage, copy_back=work))
    assert done.verdict is Verdict.PASS, said(done)
    (found,) = [one for one in done.drill.results if one.name == UNTOUCHED]
    assert "1 changed by others" in found.actual


# -- the rest --------------------------------------------------------------------------------------------


def test_a_recovery_that_takes_longer_than_promised_fails_its_check(stage: Stage) -> None:
    def dawdle(_scratch: Meddling) -> None:
        stage.clock.sleep(timedelta(minutes=16).total_seconds())

    done = stage.drill(meddling(stage, copy_back=dawdle))
    assert failed(done) == {RESTORE_TIME}


@pytest.mark.parametrize("size_kb", [0, -1, 10_001])
def test_a_size_that_is_none_is_refused_before_anything_begins(size_kb: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 10000"):
        Wanted(size_kb)


def test_only_this_drill_s_scratch_is_a_leftover(stage: Stage) -> None:
    names = (
        "state_recovery-20310314T090000Z-a1b2c3",
        "state_recovery-20319999T990000Z-a1b2c3",
        "heroku_postgres-20310314T090000Z-a1b2c3",
        "somebody's",
    )
    for name in names:
        stage.client().put_object(Bucket=stage.bucket, Key=f"drill-scratch/{name}/state.json", Body=b"{}")
    stage.client().put_object(Bucket=stage.bucket, Key=f"elsewhere/{names[0]}/state.json", Body=b"{}")
    found = list(ScratchLeftovers(stage.connections(), stage.policy).leftovers())
    assert [one.drill_id for one in found] == [names[0]]
    assert found[0].expires_utc == datetime(2031, 3, 14, 13, 0, tzinfo=UTC)


def test_a_denied_look_for_leftovers_is_said(stage: Stage) -> None:
    stage.deny("s3:ListBucketVersions", below="")
    with pytest.raises(CouldNotVerifyError):
        list(ScratchLeftovers(stage.connections(), stage.policy).leftovers())
    stage.allow()


def test_a_state_is_told_from_everything_else() -> None:
    mark = Mark(new_lineage(), 3)
    whole = synthetic_state(mark, 200)
    assert 190_000 < len(whole) < 230_000
    assert read_mark(whole) == mark
    for broken in (b"", b"{}", whole[: len(whole) // 2], whole[:-2], b"\xff\xfe", whole.replace(b": 4,", b": 3,", 1)):
        assert read_mark(broken) is None
    assert re.fullmatch(r"serial 3 of [0-9a-f-]{36}", str(mark))


# -- the shipped rights ----------------------------------------------------------------------------------


def _prepare(place: Place) -> None:
    """The sandbox's S3 with one more identity, which has exactly the shipped policy."""
    s3.PART.prepare(place)
    path = place.directory / "identities.json"
    known = json.loads(path.read_text())
    secret = {"accessKey": RECOVERER["AWS_ACCESS_KEY_ID"], "secretKey": RECOVERER["AWS_SECRET_ACCESS_KEY"]}
    known["identities"].append({"name": "recoverer", "credentials": [secret], "policyNames": ["recoverer"]})
    known["policies"].append({"name": "recoverer", "content": SHIPPED.read_text()})
    path.write_text(json.dumps(known))


@pytest.fixture(scope="module")
def shipped_environ() -> Iterator[dict[str, str]]:
    home = Path(tempfile.mkdtemp(prefix="raxx-"))
    local = Sandbox(home / "s", parts=[replace(s3.PART, prepare=_prepare)], any_ports=True)
    try:
        local.up()
        yield local.environment()
    finally:
        local.down(purge=(home / "s").exists())
        shutil.rmtree(home, ignore_errors=True)


def test_the_shipped_rights_are_enough_for_the_drill_and_for_nothing_else(shipped_environ: dict[str, str]) -> None:
    endpoint = shipped_environ["AWS_ENDPOINT_URL_S3"]
    recoverer = client_of(endpoint, RECOVERER)
    stage = Stage(lambda: client_of(endpoint, RECOVERER), Policy())
    done = stage.drill()
    assert done.verdict is Verdict.PASS, said(done)
    export = "vault-exports/2031-03-14.json.gpg"
    client_of(endpoint, shipped_environ).put_object(Bucket=s3.STATE_BUCKET, Key=export, Body=b"x")
    attempts: list[Callable[[], object]] = [
        lambda: recoverer.get_object(Bucket=s3.STATE_BUCKET, Key=export),
        lambda: recoverer.put_object(Bucket=s3.STATE_BUCKET, Key=REAL, Body=b""),
        lambda: recoverer.delete_object(Bucket=s3.STATE_BUCKET, Key=REAL),
        lambda: recoverer.delete_object(Bucket=s3.STATE_BUCKET, Key=export),
        lambda: recoverer.put_bucket_versioning(
            Bucket=s3.STATE_BUCKET, VersioningConfiguration={"Status": "Suspended"}
        ),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as error:
            attempt()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
