"""The export's drill: from a real S3 server into a stand-in vault. The healthy one passes, each broken one is named."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from raxx_bcp.clients.gpg import keyring
from raxx_bcp.clients.infisical_writer import InfisicalWriter
from raxx_bcp.drills.engine.drill import RESTORE_TIME
from raxx_bcp.drills.engine.record import entry_of
from raxx_bcp.drills.engine.run import FinishedDrill, run_drill
from raxx_bcp.drills.kind import Asked
from raxx_bcp.drills.vault.export_drill import (
    APPROVALS,
    CHECKSUM,
    COUNTS,
    DECRYPTS,
    DOCUMENT,
    EQUAL,
    EXPORT_AGE,
    MANIFEST,
    PACKETS,
    PINNED_KEY,
    RECIPIENTS,
    Connections,
    DecryptionKey,
    vault_export,
)
from raxx_bcp.drills.vault.kinds import EXPORT
from raxx_bcp.drills.vault.leftovers import VaultLeftovers
from raxx_bcp.drills.vault.throwaway_projects import REMAINS, expiry_of, project_slug
from raxx_bcp.drills.vault.wanted import ExportWanted
from raxx_bcp.errors import BcpError, PermanentError, TransientError
from raxx_bcp.evidence.row import CheckStatus, Verdict
from raxx_bcp.policy import Policy
from raxx_bcp.vault import manifest as manifests
from raxx_bcp.vault.document import PieceReader
from raxx_bcp.vault.keys import operator_key
from raxx_bcp_sandbox.infisical.identities import Login
from raxx_bcp_sandbox.infisical.seed import EMPTY_FOLDERS, empty_world
from raxx_bcp_sandbox.keys import make_key
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.clients.vaults import REVOKE, WatchedVault, watched_vault
from raxx_bcp_tests.conftest import DAY, NOW
from raxx_bcp_tests.drills.engine.doubles import Memory, StillClock
from raxx_bcp_tests.drills.vault.exports import lay_export
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, LOGIN
from raxx_bcp_tests.vault.world import export, opened, private_key, state_bucket

STRANGER = "Somebody Else <somebody.else@example.invalid>"
SECRET_MARK = "rxs_"
SESSION = [f"POST {LOGIN}", f"POST {REVOKE}"]
WITHOUT_KEY = {EXPORT_AGE, MANIFEST, CHECKSUM, PACKETS, RECIPIENTS, PINNED_KEY}


@dataclass
class Stage:
    """A day's export in S3, an empty vault to restore into, and drills between them an hour later."""

    policy: Policy
    vault: WatchedVault
    key: DecryptionKey | None
    clock: StillClock = field(default_factory=lambda: StillClock(NOW + timedelta(hours=1)))
    memory: Memory = field(default_factory=Memory)
    told: list[str] = field(default_factory=list)
    login: Login | None = CREDENTIALS.restore

    def open_vault(self) -> InfisicalWriter:
        assert self.login is not None
        return InfisicalWriter(
            self.vault.address,
            self.login.client_id,
            self.login.client_secret,
            deletable_prefix=self.policy.vault_drill.throwaway_prefix,
            login_variables="INFISICAL_DRILL_CLIENT",
            timeout_seconds=10,
            sleep=lambda _seconds: None,
        )

    def connections(self, **others: Any) -> Connections:
        given = Connections(state_bucket(self.policy), operator_key("").fingerprint, self.open_vault, self.key)
        return replace(given, **others)

    def drill(
        self, day: str = "newest", *, keep: bool = False, connections: Connections | None = None
    ) -> FinishedDrill:
        wanted, given = ExportWanted(day), connections or self.connections()
        return run_drill(
            EXPORT.order(self.policy, Asked("alice", keep=keep), wanted),
            lambda drill: vault_export(drill, given, self.policy, wanted),
            self.memory,
            clock=self.clock,
            sleep=self.clock.sleep,
            progress=self.told.append,
        )

    def projects(self) -> list[str]:
        return sorted(project.slug for project in self.vault.world.projects.values())

    # -- meddling with what is stored

    def name(self, what: str, day: str = DAY) -> str:
        return f"{self.policy.vault_export.prefix}{day}.{what}"

    def put(self, key: str, body: bytes) -> str | None:
        return state_bucket(self.policy).put(key, body, content_type="x/y", metadata={}).version_id

    def manifest(self) -> manifests.Manifest:
        read = manifests.decode(state_bucket(self.policy).get(self.name("manifest.json")))
        assert read is not None
        return read

    def change_manifest(self, **fields: Any) -> None:
        changed = msgspec.structs.replace(self.manifest(), **fields)
        self.put(self.name("manifest.json"), manifests.encode(changed))

    def store_encrypted(self, plaintext: bytes) -> None:
        """Another content, encrypted properly and with a manifest that fits."""
        operator = operator_key("")
        with keyring(operator.armoured, operator.fingerprint, now=NOW) as ring:
            body = bytes(ring.encrypt(PieceReader(iter([plaintext]))).data)
        self.store_body(body)

    def store_body(self, body: bytes) -> None:
        """Other bytes, with a manifest that says they are right."""
        version_id = self.put(self.name("json.gpg"), body)
        self.change_manifest(version_id=version_id, ciphertext_sha256=hashlib.sha256(body).hexdigest())


@pytest.fixture
def vault() -> Iterator[WatchedVault]:
    with watched_vault(empty_world(CREDENTIALS)) as served:
        yield served


@pytest.fixture
def stage(policy: Policy, sandbox: Sandbox, vault: WatchedVault) -> Stage:
    lay_export(policy, sandbox, DAY, NOW)
    return Stage(policy, vault, DecryptionKey(private_key(sandbox)))


def status(done: FinishedDrill) -> dict[str, CheckStatus]:
    return {one.name: one.status for one in done.drill.results}


def failed(done: FinishedDrill) -> set[str]:
    return {name for name, found in status(done).items() if found is CheckStatus.FAIL}


def not_run(done: FinishedDrill) -> set[str]:
    return {name for name, found in status(done).items() if found is CheckStatus.NOT_RUN}


def said(done: FinishedDrill) -> str:
    reasons = [one.reason for one in done.drill.results if one.reason]
    return "\n".join([*done.drill.findings, *reasons])


# -- healthy ---------------------------------------------------------------------------------------------


def test_a_healthy_export_passes_every_check_and_leaves_nothing(stage: Stage) -> None:
    done = stage.drill()
    assert done.verdict is Verdict.PASS, said(done)
    assert status(done) == dict.fromkeys(EXPORT.checks, CheckStatus.PASS)
    drill = done.drill
    names = ["select", "decrypt", "provision", "restore", "verify", "teardown"]
    assert [phase.name for phase in drill.phases] == names
    assert drill.source_backup is not None
    assert (drill.source_backup.created_utc, drill.rpo_seconds) == (NOW, 3600)
    assert drill.source_backup.selected_because == "the newest of 1 exports"
    assert drill.newest_record_utc is not None
    assert stage.projects() == []
    assert len(drill.leases.returned) == 3
    assert drill.findings == [f"infisical project (3): {REMAINS}."], "a deletion is a mark, and the row says so"
    assert sum(line.endswith(f": {REMAINS}") for line in stage.told) == 3
    assert stage.vault.world.secret_rows() == 335
    stage.vault.clock.advance(300)
    assert stage.vault.world.secret_rows() == 0
    (isolation,) = drill.isolation
    assert isolation.startswith("not the vault that the export was read from: ")
    assert stage.vault.world.org_id in isolation
    actual = {one.name: one.actual for one in drill.results}
    assert actual[EQUAL["secret"]].startswith("335 equal")
    assert (actual[EQUAL["project"]], actual[EQUAL["tag"]]) == ("3 equal", "9 equal")
    assert "3 projects" in actual[COUNTS]


def test_no_secret_value_is_told_recorded_or_left_on_a_disk(stage: Stage, tmp_path: Path) -> None:
    done = stage.drill()
    entry = entry_of(done.drill, stage.clock())
    shown = "\n".join([str(entry), repr(done), repr(stage.connections()), *stage.told])
    assert done.verdict is Verdict.PASS
    assert SECRET_MARK not in shown
    assert "API_TOKEN" not in str(entry), "nor is a secret's name a matter for the record"
    assert "PRIVATE KEY" not in repr(stage.connections())
    assert list(tmp_path.iterdir()) == []


def test_an_older_day_is_judged_by_its_own_age_and_the_promise_by_the_newest(stage: Stage) -> None:
    export(stage.policy, day="2031-03-13", now=NOW - timedelta(days=1))
    done = stage.drill("2031-03-13")
    assert done.verdict is Verdict.PASS, said(done)
    assert done.drill.source_backup is not None
    assert done.drill.source_backup.selected_because == "named by the operator"
    assert done.drill.rpo_seconds == 25 * 3600
    older = stage.drill("random-older").drill.source_backup
    assert older is not None
    assert "2031-03-13" in older.backup_id


def test_an_export_whose_manifest_was_never_written_is_passed_over_and_said(stage: Stage) -> None:
    body = state_bucket(stage.policy).get(stage.name("json.gpg"))
    stage.put(stage.name("json.gpg", "2031-03-15"), body)
    done = stage.drill()
    assert done.verdict is Verdict.PASS
    assert done.drill.source_backup is not None
    assert done.drill.source_backup.selected_because.endswith("for want of a manifest: 2031-03-15")


def test_a_later_object_in_its_place_does_not_hide_the_version_of_the_manifest(stage: Stage) -> None:
    stage.put(stage.name("json.gpg"), b"overwritten by somebody")
    assert stage.drill().verdict is Verdict.PASS


def test_kept_for_inspection_it_stands_until_its_lease_ends_and_closes_no_card(stage: Stage) -> None:
    done = stage.drill(keep=True)
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert failed(done) == set()
    slugs = stage.projects()
    assert len(slugs) == 3
    for slug in slugs:
        expires = expiry_of(slug, "raxx-drill-")
        assert expires is not None
        assert timedelta(0) <= expires - done.drill.expires_utc < timedelta(minutes=1)


def test_two_drills_in_one_vault_do_not_meet(stage: Stage) -> None:
    kept = stage.drill(keep=True)
    left = stage.projects()
    assert stage.drill().verdict is Verdict.PASS
    assert stage.projects() == left
    assert kept.drill.token in left[0]


# -- where the key is ------------------------------------------------------------------------------------


def test_without_a_key_everything_else_is_checked_and_it_is_no_pass(stage: Stage) -> None:
    done = stage.drill(connections=stage.connections(key=None))
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    found = status(done)
    assert {name for name, one in found.items() if one is CheckStatus.PASS} == WITHOUT_KEY
    assert not_run(done) == set(EXPORT.checks) - WITHOUT_KEY
    assert "no private key is at hand" in said(done)
    assert stage.vault.watch.calls == [], "the throwaway vault is not even asked"


def test_without_a_throwaway_vault_it_is_opened_and_is_no_pass(stage: Stage) -> None:
    done = stage.drill(connections=stage.connections(open_vault=None))
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert status(done)[COUNTS] is CheckStatus.PASS
    assert "INFISICAL_DRILL_URL" in said(done)


def test_the_key_may_be_in_a_gnupg_home(stage: Stage, sandbox: Sandbox) -> None:
    home = Path(tempfile.mkdtemp(prefix="rbcp-test-"))  # short: gpg's sockets allow about 100 characters
    try:
        subprocess.run(
            ["gpg", "--homedir", str(home), "--batch", "--import"],
            input=private_key(sandbox),
            check=True,
            capture_output=True,
        )
        stage.key = DecryptionKey(home=home)
        assert stage.drill().verdict is Verdict.PASS
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def test_a_stranger_s_key_says_nothing_of_the_export(stage: Stage) -> None:
    stage.key = DecryptionKey(make_key(STRANGER).secret.encode())
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY, said(done)
    assert DECRYPTS in not_run(done)
    assert "is not here" in said(done)


# -- broken exports --------------------------------------------------------------------------------------


def _flip(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def _replace_object(change: Callable[[bytes], bytes]) -> Callable[[Stage], None]:
    """The object is changed, the manifest is not; but it names the new version."""

    def apply(stage: Stage) -> None:
        body = change(state_bucket(stage.policy).get(stage.name("json.gpg")))
        stage.change_manifest(version_id=stage.put(stage.name("json.gpg"), body))

    return apply


def _replace_both(change: Callable[[bytes], bytes]) -> Callable[[Stage], None]:
    """The object is changed, and the manifest with it."""

    def apply(stage: Stage) -> None:
        stage.store_body(change(state_bucket(stage.policy).get(stage.name("json.gpg"))))

    return apply


def _for_a_stranger(stage: Stage) -> None:
    stranger = make_key(STRANGER)
    with keyring(stranger.public.encode(), stranger.fingerprint, now=NOW) as ring:
        body = bytes(ring.encrypt(PieceReader(iter([b"{}"]))).data)
    stage.store_body(body)


def _version_gone(stage: Stage) -> None:
    stage.change_manifest(version_id="0" * 32)


def _other_manifest(stage: Stage) -> None:
    export(stage.policy, day="2031-03-13")
    other = state_bucket(stage.policy).get(stage.name("manifest.json", "2031-03-13"))
    stage.put(stage.name("manifest.json"), other)


def _other_day(stage: Stage) -> None:
    stage.store_encrypted(_with(stage, export_date="2031-03-01"))


def _with(stage: Stage, **fields: Any) -> bytes:
    return json.dumps({**DOCUMENTS[id(stage)], **fields}).encode()


DOCUMENTS: dict[int, dict[str, Any]] = {}


def _newer_format(stage: Stage) -> None:
    stage.store_encrypted(_with(stage, schema_version=99))


def _one_project_less(stage: Stage) -> None:
    stage.store_encrypted(_with(stage, projects=DOCUMENTS[id(stage)]["projects"][:-1]))


def _one_secret_less(stage: Stage) -> None:
    projects = json.loads(json.dumps(DOCUMENTS[id(stage)]["projects"]))
    folders = projects[0]["environments"][0]["folders"]
    next(folder for folder in folders if folder["secrets"])["secrets"].pop()
    stage.store_encrypted(_with(stage, projects=projects))


BROKEN: dict[str, tuple[Callable[[Stage], None], set[str]]] = {
    "one bit flipped": (_replace_object(_flip), {CHECKSUM}),
    "one bit flipped, manifest forged": (_replace_both(_flip), {DECRYPTS}),
    "cut short": (_replace_object(lambda body: body[:-100]), {CHECKSUM, PACKETS}),
    "cut short, manifest forged": (_replace_both(lambda body: body[:-100]), {PACKETS}),
    "empty": (_replace_object(lambda _body: b""), {CHECKSUM, PACKETS}),
    "an error page, manifest forged": (_replace_both(lambda _body: b'{"error":"401"}'), {PACKETS}),
    "rubbish behind it": (_replace_object(lambda body: body + b"more"), {CHECKSUM, PACKETS}),
    "encrypted to a stranger": (_for_a_stranger, {RECIPIENTS}),
    "made for another key": (lambda stage: stage.change_manifest(key_fingerprint="F" * 40), {PINNED_KEY}),
    "its version is gone": (_version_gone, {CHECKSUM}),
    "the manifest of another day": (_other_manifest, {MANIFEST}),
    "another day's document": (_other_day, {DOCUMENT}),
    "a foreign document": (lambda stage: stage.store_encrypted(b'{"error":"401"}'), {DOCUMENT}),
    "half a document": (lambda stage: stage.store_encrypted(_with(stage)[:1000]), {DOCUMENT}),
    "a format of the future": (_newer_format, {DOCUMENT}),
    "one project less": (_one_project_less, {COUNTS}),
    "one secret less": (_one_secret_less, {COUNTS}),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_broken_export_is_caught_by_its_check(stage: Stage, sandbox: Sandbox, case: str) -> None:
    DOCUMENTS[id(stage)] = opened(stage.policy, sandbox)
    damage, names = BROKEN[case]
    damage(stage)
    done = stage.drill()
    assert done.verdict is Verdict.FAIL, said(done)
    assert names <= failed(done), said(done)
    assert "completed" not in failed(done), "by its check, not by an error"
    assert stage.projects() == []


def test_a_stale_export_is_caught(stage: Stage) -> None:
    stage.clock.now = NOW + timedelta(hours=25, seconds=1)
    done = stage.drill()
    assert (done.verdict, failed(done)) == (Verdict.FAIL, {EXPORT_AGE})


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2031-03-01", "There is no export of 2031-03-01"),
        ("yesterday", "is no day"),
        ("random-older", "only one export"),
    ],
)
def test_a_day_that_is_not_there_is_said(stage: Stage, day: str, words: str) -> None:
    done = stage.drill(day)
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert words in said(done)


def test_no_export_at_all_is_a_failure(policy: Policy, vault: WatchedVault) -> None:
    done = Stage(policy, vault, DecryptionKey()).drill()
    assert done.verdict is Verdict.FAIL
    assert "There is no export with a manifest" in said(done)


def test_a_manifest_that_is_none_is_said(stage: Stage) -> None:
    stage.put(stage.name("manifest.json"), b'{"kind": "something else"}')
    done = stage.drill()
    assert done.verdict is Verdict.FAIL
    assert "is not a manifest" in said(done)


# -- a restore that goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "kind"),
    [("create_folder", "folder"), ("create_import", "import"), ("create_secrets", "secret")],
)
def test_what_the_vault_accepts_and_does_not_keep_is_caught(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, method: str, kind: str
) -> None:
    real = getattr(InfisicalWriter, method)

    def forgets(vault: InfisicalWriter, *arguments: Any) -> Any:
        holds_something = method == "create_folder" and arguments[2] not in EMPTY_FOLDERS.values()
        return real(vault, *arguments) if holds_something else True

    monkeypatch.setattr(InfisicalWriter, method, forgets)
    done = stage.drill()
    assert done.verdict is Verdict.FAIL
    assert EQUAL[kind] in failed(done), said(done)
    assert SECRET_MARK not in "\n".join([said(done), *stage.told])
    assert any(line.startswith(f"differs: {kind} raxx-") for line in stage.told), "the names are told, not recorded"
    assert stage.projects() == []


def test_secrets_that_wait_for_approval_are_not_restored(stage: Stage) -> None:
    stage.vault.faults.switch("vault-approvals", on=True)
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY, "a policy of the throwaway vault says nothing of the export"
    assert failed(done) == set(), said(done)
    reasons = {one.name: one.reason for one in done.drill.results if one.status is CheckStatus.NOT_RUN}
    assert {APPROVALS, EQUAL["secret"]} <= reasons.keys()
    assert "wait for approval" in reasons[APPROVALS]
    assert stage.projects() == []


def test_what_no_call_can_bring_back_is_no_pass_and_no_failure_of_the_export(stage: Stage, sandbox: Sandbox) -> None:
    DOCUMENTS[id(stage)] = opened(stage.policy, sandbox)
    projects = json.loads(json.dumps(DOCUMENTS[id(stage)]["projects"]))
    linked = next(f for p in projects for e in p["environments"] for f in e["folders"] if f["imports"])
    linked["imports"][0]["isReplication"] = True
    stage.store_encrypted(_with(stage, projects=projects))
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY, said(done)
    assert not_run(done) == {EQUAL["import"]}
    assert "all but 1 of 18: no API call can bring them back" in said(done)
    assert "No API call can bring back 1 items: 1 a replication" in said(done)


def test_a_lost_answer_is_no_pass_and_leaves_nothing(stage: Stage) -> None:
    stage.vault.faults.switch("vault-write-lost", on=True)
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY, said(done)
    stage.vault.faults.switch("vault-write-lost", on=False)
    assert stage.projects() == [], said(done)


STEPS = (
    "projects",
    "require_v4",
    "create_project",
    "create_tag",
    "create_environment",
    "create_folder",
    "create_secrets",
    "create_import",
    "tags",
    "folders",
    "secrets",
    "imports",
)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (TransientError("The vault is away.", "Wait."), Verdict.COULD_NOT_VERIFY),
        (PermanentError("The vault refused.", "Ask."), Verdict.COULD_NOT_VERIFY),
    ],
    ids=["away", "refused"],
)
def test_an_error_at_any_step_is_no_pass_and_leaves_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, step: str, error: BcpError, verdict: Verdict
) -> None:
    calls: list[str] = []
    real = getattr(InfisicalWriter, step)

    def fails_once(*arguments: Any, **named: Any) -> Any:
        calls.append(step)
        if len(calls) == 1:
            raise error
        return real(*arguments, **named)

    monkeypatch.setattr(InfisicalWriter, step, fails_once)
    done = stage.drill()
    assert calls
    assert done.verdict is verdict, said(done)
    assert stage.projects() == []
    assert len(stage.memory.rows) == 1


def test_a_vault_that_is_down_is_no_failure_of_the_export(stage: Stage) -> None:
    away = replace(stage.vault, address="http://127.0.0.1:9")
    done = replace(stage, vault=away).drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert status(done)[COUNTS] is CheckStatus.PASS


def test_an_identity_that_is_too_weak_is_said(stage: Stage) -> None:
    stage.login, world = Login("weak-client-id", "weak-client-secret-0123456789"), stage.vault.world
    weak = world.add_actor("weak", org_role="no-access", client_id=stage.login.client_id, ttl=3600, max_ttl=7200)
    world.add_client_secret(weak, stage.login.client_secret)
    done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY, said(done)
    assert "organisation role" in said(done)
    assert stage.projects() == []


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_vault_that_was_exported_is_never_restored_into(
    stage: Stage, sandbox_environ: dict[str, str], name: str
) -> None:
    here = replace(stage.vault, address=sandbox_environ["INFISICAL_URL"].replace("127.0.0.1", name))
    login = Login(sandbox_environ["INFISICAL_CLIENT_ID"], sandbox_environ["INFISICAL_CLIENT_SECRET"])
    done = replace(stage, vault=here, login=login).drill()
    _is_refused(done, "must be another one than the export's")


def test_another_identity_of_the_same_organisation_elsewhere_is_refused_before_anything_is_written(
    stage: Stage,
) -> None:
    with watched_vault() as same:
        done = replace(stage, vault=same).drill()
        _is_refused(done, f"is the vault that the export was read from: organisation {same.world.org_id}")
        assert [call for call in same.watch.calls if not call.startswith("GET")] == SESSION


def test_the_exports_own_server_is_refused_also_for_another_organisation(
    stage: Stage, sandbox: Sandbox, sandbox_environ: dict[str, str]
) -> None:
    DOCUMENTS[id(stage)] = opened(stage.policy, sandbox)
    source = {**DOCUMENTS[id(stage)]["source"], "url": stage.vault.address}
    stage.store_encrypted(_with(stage, source=source))
    _is_refused(stage.drill(), "is the server that the export was read from, though of another organisation")
    assert [call for call in stage.vault.watch.calls if not call.startswith("GET")] == SESSION


def test_an_export_that_does_not_name_its_organisation_is_not_drilled(stage: Stage, sandbox: Sandbox) -> None:
    DOCUMENTS[id(stage)] = opened(stage.policy, sandbox)
    stage.store_encrypted(_with(stage, source={**DOCUMENTS[id(stage)]["source"], "org_id": ""}))
    _is_refused(stage.drill(), "is not known: the export does not name its organisation")
    assert stage.projects() == []


def test_a_login_that_does_not_name_its_organisation_is_not_drilled(stage: Stage) -> None:
    stage.vault.world.org_id = ""
    _is_refused(stage.drill(), "is not known: the login there names none")
    assert stage.projects() == []


def _is_refused(done: FinishedDrill, words: str) -> None:
    assert done.verdict is Verdict.COULD_NOT_VERIFY, "it says nothing about the export"
    assert failed(done) == set()
    assert words in said(done)
    assert "Nothing was written" in said(done)
    assert done.drill.leases.returned == []
    assert done.drill.isolation == []


# -- what is left ----------------------------------------------------------------------------------------


def test_a_project_that_cannot_be_deleted_is_no_pass_and_the_sweeper_gets_it_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object) -> None:
        raise PermanentError("The vault refused to delete it.", "Ask.")

    with monkeypatch.context() as patch:
        patch.setattr(InfisicalWriter, "delete_project", refused)
        done = stage.drill()
    assert done.verdict is Verdict.COULD_NOT_VERIFY
    assert failed(done) == set(), "the restore itself was good"
    assert "may still be there: The vault refused to delete it." in said(done)
    left = list(VaultLeftovers(stage.open_vault, stage.policy.vault_drill).leftovers())
    assert [one.lease.name for one in left] == stage.projects()
    assert all(one.lease.name.endswith(f"-{done.drill.token}") for one in left)
    for one in left:
        assert one.expires_utc - done.drill.expires_utc < timedelta(minutes=1)
        one.lease.release()
        assert one.lease.gone()
    assert stage.projects() == []


def test_nothing_but_throwaway_projects_is_a_leftover(stage: Stage) -> None:
    with stage.open_vault() as vault:
        for slug in ("raxx-platform", "raxx-drill-mine", "raxx-drill-2613242045-1-a1b2c3"):
            vault.create_project(slug, slug, "", "secret-manager")
    assert list(VaultLeftovers(stage.open_vault, stage.policy.vault_drill).leftovers()) == []


def test_what_is_marked_as_deleted_is_no_leftover(stage: Stage) -> None:
    slug = project_slug("raxx-drill-", NOW, 1, "a1b2c3")
    with stage.open_vault() as vault:
        vault.create_project(slug, slug, "", "secret-manager")
        vault.create_project("still listed", f"del-{'0' * 32}", "", "secret-manager")
    places = VaultLeftovers(stage.open_vault, stage.policy.vault_drill)
    (left,) = places.leftovers()
    left.lease.release()
    assert left.lease.gone()
    assert left.lease.remains() == REMAINS
    left.lease.release()
    assert list(places.leftovers()) == []
    assert stage.projects() == [f"del-{'0' * 32}"]


def test_a_project_that_was_never_made_is_not_said_to_be_deleted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: object, **_named: object) -> None:
        raise PermanentError("The vault refused.", "Ask.")

    monkeypatch.setattr(InfisicalWriter, "create_project", refused)
    done = stage.drill()
    assert len(done.drill.leases.returned) == 3
    assert REMAINS not in said(done)


def test_a_vault_that_is_away_is_said_by_the_sweeper(stage: Stage) -> None:
    away = replace(stage, vault=replace(stage.vault, address="http://127.0.0.1:9"))
    with pytest.raises(TransientError):
        list(VaultLeftovers(away.open_vault, stage.policy.vault_drill).leftovers())


# -- the rest --------------------------------------------------------------------------------------------


def test_a_restore_that_takes_longer_than_promised_fails_its_check(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = InfisicalWriter.create_project

    def slow(*arguments: Any) -> Any:
        stage.clock.sleep(timedelta(minutes=21).total_seconds())
        return create(*arguments)

    monkeypatch.setattr(InfisicalWriter, "create_project", slow)
    done = stage.drill()
    assert (done.verdict, failed(done)) == (Verdict.FAIL, {RESTORE_TIME})


def test_the_slug_says_until_when_ends_in_the_token_and_is_one_that_the_vendor_takes() -> None:
    expires = datetime.fromisoformat("2026-11-24T20:44:01+00:00")
    slug = project_slug("raxx-drill-", expires, 9_999_999, "a1b2c3")
    assert slug == "raxx-drill-2611242045-9999999-a1b2c3"
    assert len(slug) == 36
    assert expiry_of(slug, "raxx-drill-") == datetime.fromisoformat("2026-11-24T20:45:00+00:00")


@pytest.mark.parametrize(
    "slug",
    [
        "raxx-drill-",
        "raxx-drill-2611242045-a1b2c3",
        "raxx-drill-2613242045-1-a1b2c3",
        "raxx-platform",
        "x-2611242045-1-a1b2c3",
    ],
)
def test_a_slug_without_a_legal_expiry_is_none_of_ours(slug: str) -> None:
    assert expiry_of(slug, "raxx-drill-") is None
