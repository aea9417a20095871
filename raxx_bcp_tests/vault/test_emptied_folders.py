"""Folders that had secrets once and show none: who decides, and what the decision leaves on record."""

from __future__ import annotations

import msgspec
import pytest

from raxx_bcp.checks import Status
from raxx_bcp.clients.infisical import Environment, Identity, Project, Role
from raxx_bcp.errors import UsageError
from raxx_bcp.policy import VaultExport
from raxx_bcp.vault.emptied_folders import EmptiedFolders, emptied_folders, places
from raxx_bcp.vault.gate import Baseline
from raxx_bcp.vault.survey import EnvironmentSurvey, FolderSurvey, ProjectSurvey, Survey

RAW = msgspec.Raw(b"{}")
KEY = "vault-exports/2026-02-02.json.gpg"
API = "raxx-ops/prod/api"
ROOT = "raxx-ops/prod/"
SEEN = "9 secrets of 1 projects"


def folder(path: str, secrets: int, *, says: bool | None = None) -> FolderSurvey:
    claims = bool(secrets) if says is None else says
    return FolderSurvey(path, None if path == "/" else RAW, claims, secrets=[RAW] * secrets)


def survey(*folders: FolderSurvey) -> Survey:
    environment = Environment("e1", "Production", "prod")
    project = Project("id", "Raxx Ops", "raxx-ops", (environment,))
    read = EnvironmentSurvey(environment, {one.path: one for one in folders})
    return Survey("https://vault", Identity("i", "o"), [ProjectSurvey(project, RAW, [Role("viewer")], [], [read])])


EMPTIED = survey(folder("/", 1), folder("/api", 0, says=True), folder("/never", 0, says=False))


def baseline(**counts: int) -> Baseline:
    """The last good export with these secrets in the folders of raxx-ops/prod; ``root`` for the root."""
    where = {f"raxx-ops/prod/{'' if name == 'root' else name}": count for name, count in counts.items()}
    return Baseline(KEY, 9, where, KEY)


def judged(
    seen: Survey,
    before: Baseline | None,
    *,
    proved: bool = True,
    known: tuple[str, ...] = (),
    accepted: tuple[str, ...] = (),
) -> EmptiedFolders:
    policy = VaultExport(known_empty_folders=known)
    return emptied_folders(seen, before, {"raxx-ops"} if proved else set(), policy, accepted)


def test_full_folders_and_folders_that_never_had_a_secret_are_nothing() -> None:
    healthy = survey(folder("/", 0), folder("/api", 3), folder("/never", 0, says=False))
    for before in (None, baseline(api=3), baseline(api=9)):
        found = judged(healthy, before, proved=False)
        assert (found.places, found.findings()) == ((), [])
        check = found.check(SEEN)
        assert (check.status, check.detail) == (Status.PASS, f"{SEEN}; no gap found.")


@pytest.mark.parametrize("proved", [True, False])
def test_what_the_last_good_export_had_refuses_whatever_is_proved(*, proved: bool) -> None:
    found = judged(EMPTIED, baseline(root=1, api=3), proved=proved)
    (finding,) = found.findings()
    assert (finding.name, finding.status) == ("completeness", Status.FAIL)
    assert finding.detail == f"{API} shows no secret, and the last good export ({KEY}) has 3 secrets there."
    assert f"--accept-emptied {API}" in finding.remedy


def test_a_folder_that_lost_its_only_secret_is_told_in_the_singular() -> None:
    assert "has 1 secret there" in judged(EMPTIED, baseline(api=1)).findings()[0].detail


@pytest.mark.parametrize("proved", [True, False])
def test_nothing_there_in_the_last_good_export_either_is_a_warning_by_name(*, proved: bool) -> None:
    found = judged(EMPTIED, baseline(root=1), proved=proved)
    assert (found.findings(), found.places) == ([], (API,))
    check = found.check(SEEN)
    assert (check.name, check.status) == ("completeness", Status.WARN)
    assert check.detail == f"{SEEN}; {API} had secrets at some time and shows none, as in the last good export."
    assert "known_empty_folders" in check.remedy


@pytest.mark.parametrize("before", [None, Baseline(KEY, 9)])
def test_where_no_export_tells_role_and_privileges_decide(before: Baseline | None) -> None:
    proved = judged(EMPTIED, before)
    assert proved.findings() == []
    check = proved.check(SEEN)
    assert check.status is Status.WARN
    assert API in check.detail
    assert "role and privileges prove that none is hidden" in check.detail
    (finding,) = judged(EMPTIED, before, proved=False).findings()
    assert finding.detail == f"{API} had secrets written to and shows none."


def test_an_accepted_folder_is_a_warning_that_says_what_was_there() -> None:
    found = judged(EMPTIED, baseline(api=3), accepted=(API,))
    assert (found.findings(), found.accepted) == ([], {API: 3})
    check = found.check(SEEN)
    assert check.status is Status.WARN
    assert f"{API} is empty; the 3 secrets that {KEY} has there were accepted as gone" in check.detail


def test_only_the_folder_that_was_named_is_accepted() -> None:
    both = survey(folder("/", 1), folder("/api", 0, says=True), folder("/web", 0, says=True))
    (finding,) = judged(both, baseline(api=3, web=2), accepted=(API,)).findings()
    assert finding.detail.startswith("raxx-ops/prod/web shows no secret")
    for similar in ("raxx-ops/prod/ap", "raxx-ops/dev/api", "raxx-payments/prod/api", "/api", "api"):
        assert judged(EMPTIED, baseline(api=3), accepted=(similar,)).findings()
        assert judged(EMPTIED, baseline(api=3), known=(similar,)).findings()


def test_an_acceptance_in_vain_changes_nothing() -> None:
    full = survey(folder("/", 1), folder("/api", 3))
    found = judged(full, baseline(api=3), accepted=(API, "raxx-ops/prod/nowhere"))
    assert found.check(SEEN).status is Status.PASS
    assert found.places == ()


def test_a_folder_that_the_policy_knows_as_empty_is_silent_while_it_stays_empty() -> None:
    for before in (None, baseline(root=1)):
        found = judged(EMPTIED, before, proved=False, known=(API,))
        assert found.findings() == []
        assert found.check(SEEN).status is Status.PASS


def test_a_folder_that_the_policy_knows_as_empty_and_that_had_secrets_again_is_seen() -> None:
    found = judged(EMPTIED, baseline(api=3), known=(API,))
    assert found.findings() == []
    assert (found.check(SEEN).status, found.accepted) == (Status.WARN, {API: 3})


def test_the_root_says_nothing_of_itself_and_the_last_export_tells() -> None:
    rootless = survey(folder("/", 0, says=False), folder("/api", 2))
    (finding,) = judged(rootless, baseline(root=4, api=2)).findings()
    assert finding.detail.startswith(f"{ROOT} shows no secret, and the last good export ({KEY}) has 4 secrets")
    assert judged(rootless, baseline(root=4, api=2), accepted=(ROOT,)).findings() == []
    for before in (None, baseline(api=2)):
        assert judged(rootless, before, proved=False).places == ()


def test_a_folder_that_was_deleted_and_made_anew_is_no_riddle() -> None:
    anew = survey(folder("/", 1), folder("/api", 0, says=False))
    assert judged(anew, baseline(root=1, api=3)).places == ()


def test_the_same_folders_are_the_same_warning_and_others_another() -> None:
    first = judged(EMPTIED, baseline(root=1)).check(SEEN)
    again = judged(EMPTIED, None).check("12 secrets of 4 projects")
    both = survey(folder("/", 1), folder("/api", 0, says=True), folder("/web", 0, says=True))
    assert first.warning_id
    assert first.warning_id == again.warning_id
    assert judged(both, baseline(root=1)).check(SEEN).warning_id != first.warning_id


def test_the_older_export_that_tells_is_the_one_that_is_named() -> None:
    older = Baseline("newest", 9, {API: 3}, "older")
    assert "(older)" in judged(EMPTIED, older).findings()[0].detail


@pytest.mark.parametrize(
    ("named", "place"),
    [
        (API, API),
        ("/raxx-ops/prod/api/", API),
        ("raxx-ops/prod/api/internal", "raxx-ops/prod/api/internal"),
        ("raxx-ops/prod", ROOT),
        ("raxx-ops/prod/", ROOT),
    ],
)
def test_a_folder_may_be_named_with_or_without_slashes_at_its_ends(named: str, place: str) -> None:
    assert places([named]) == (place,)


@pytest.mark.parametrize("named", ["", "/", "raxx-ops", "raxx-ops/", "raxx-ops//api"])
def test_what_names_no_folder_is_wrong_use(named: str) -> None:
    with pytest.raises(UsageError, match="names no folder of the vault"):
        places([named])
