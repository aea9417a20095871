"""The client for the vault, against the recorded server over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.clients.infisical_errors import DeniedError, LoginRefusedError, TokenUsedUpError
from raxx_bcp.clients.infisical_settings import token_uses_limit
from raxx_bcp.errors import BcpError, PermanentError, TransientError, UnreadableAnswerError, UsageError
from raxx_bcp_sandbox.infisical.identities import Login
from raxx_bcp_sandbox.infisical.seed import raxx_world
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.clients.vaults import REVOKE, SECRETS, WatchedVault, watched_vault
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, LOGIN, FakeClock

PLATFORM, PAYMENTS, OPS = "raxx-platform", "raxx-payments", "raxx-ops"
WRONG = Login(CREDENTIALS.exporter.client_id, "rxs_wrong_client_secret")


@pytest.fixture
def vault() -> Iterator[WatchedVault]:
    with watched_vault() as served:
        yield served


def decoded(rows: list[msgspec.Raw]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(row) for row in rows]


def query_of(vault: WatchedVault, path: str) -> dict[str, str]:
    """The query of the last call of ``path``."""
    urls = [url for url in vault.watch.queries if urlsplit(url).path == path]
    return {name: values[-1] for name, values in parse_qs(urlsplit(urls[-1]).query).items()}


def test_logging_in_tells_who_one_is_and_leaving_revokes_the_token(vault: WatchedVault) -> None:
    with vault.client() as client:
        assert client.identity.identity_id == vault.world.exporter_id
        assert client.identity.org_id == vault.world.org_id
        assert vault.watch.count(f"POST {REVOKE}") == 0
        headers = [issued for issued in vault.authority._issued.values() if not issued.revoked]
        assert len(headers) == 1
    assert vault.watch.logins == 1
    assert vault.watch.count(f"POST {REVOKE}") == 1
    assert all(issued.revoked for issued in vault.authority._issued.values())


def test_the_token_is_revoked_also_when_the_work_failed(vault: WatchedVault) -> None:
    with pytest.raises(ZeroDivisionError), vault.client():
        raise ZeroDivisionError
    assert all(issued.revoked for issued in vault.authority._issued.values())


def test_a_lost_revocation_does_not_hide_what_was_read(vault: WatchedVault) -> None:
    with vault.client() as client:
        projects = client.projects()
        vault.watch.answer(REVOKE, b"<html>502</html>", 502, "text/html")
    assert len(projects) == 3


def test_outside_the_context_nobody_is_logged_in(vault: WatchedVault) -> None:
    with pytest.raises(RuntimeError, match="not logged in"):
        _ = vault.client().identity


def test_a_wrong_secret_is_refused_after_one_attempt(vault: WatchedVault) -> None:
    slept: list[float] = []
    with pytest.raises(LoginRefusedError) as caught, vault.client(WRONG, slept=slept):
        pass
    assert "refused the machine identity's login (401)" in caught.value.what
    assert "INFISICAL_CLIENT_ID and _SECRET" in caught.value.remedy
    assert (vault.watch.logins, slept) == (1, [])
    assert vault.watch.count(f"POST {REVOKE}") == 0


def test_a_locked_identity_is_told_to_wait_and_is_not_tried_again(vault: WatchedVault) -> None:
    for _ in range(3):
        vault.login(WRONG)
    before = vault.watch.logins
    with pytest.raises(LoginRefusedError) as caught, vault.client():
        pass
    assert "has locked this machine identity" in caught.value.what
    assert "Wait five minutes" in caught.value.remedy
    assert vault.watch.logins == before + 1
    vault.clock.advance(301)
    with vault.client() as client:
        assert client.projects()


def test_a_login_that_the_vault_is_too_busy_to_look_at_is_repeated(vault: WatchedVault) -> None:
    slept: list[float] = []
    vault.faults.switch("vault-rate-limited", on=True)
    with vault.client(slept=slept):
        assert slept == [1.0, 1.0]
    assert vault.watch.logins == 3


def test_a_login_to_a_vault_that_is_down_is_given_up_after_a_minute(vault: WatchedVault) -> None:
    slept: list[float] = []
    vault.faults.switch("vault-down", on=True)
    with pytest.raises(TransientError), vault.client(slept=slept):
        pass
    assert vault.watch.logins == len(slept) + 1
    assert 55 < sum(slept) <= 60


def test_a_server_that_is_no_infisical_is_told_by_its_login(vault: WatchedVault) -> None:
    for body in (b'{"error":"401"}', b"<html></html>", b'{"accessToken":"a.b.c"}', b'{"accessToken":"opaque"}'):
        vault.watch.answer(LOGIN, body)
        with pytest.raises(UnreadableAnswerError, match="not as an Infisical server does") as caught, vault.client():
            pass
        assert "INFISICAL_URL" in caught.value.remedy


def test_a_login_route_that_is_missing_is_told(vault: WatchedVault) -> None:
    refused = pytest.raises(PermanentError, match="has no route")
    with watched_vault(without=LOGIN) as elsewhere, refused, elsewhere.client():
        pass


def test_an_expired_token_is_renewed_by_one_login(vault: WatchedVault) -> None:
    with vault.client() as client:
        before = decoded(client.projects())
        vault.clock.advance(3_601)
        assert decoded(client.projects()) == before
        assert vault.watch.logins == 2
        assert vault.watch.count("GET /api/v1/projects") == 3
        client.projects()
    assert vault.watch.logins == 2


def test_many_threads_with_an_expired_token_log_in_once(vault: WatchedVault) -> None:
    with vault.client() as client, ThreadPoolExecutor(8) as pool:
        project = vault.project_id(OPS)
        vault.clock.advance(3_601)
        answers = list(pool.map(lambda _: len(client.tags(project)), range(24)))
        assert answers == [3] * 24
        assert vault.watch.logins == 2


def test_a_token_that_is_refused_again_is_not_renewed_for_ever(vault: WatchedVault) -> None:
    body = b'{"reqId":"r","statusCode":403,"message":"Your token has expired.","error":"TokenError"}'
    with vault.client() as client:
        vault.watch.answer("/api/v1/projects", body, 403)
        with pytest.raises(DeniedError):
            client.projects()
    assert vault.watch.logins == 2
    assert vault.watch.count("GET /api/v1/projects") == 2


def test_a_denied_project_is_no_reason_to_log_in_again(vault: WatchedVault) -> None:
    vault.faults.switch("vault-role-weakened", on=True)
    with vault.client() as client:
        with pytest.raises(DeniedError) as caught:
            client.secrets(vault.project_id(PAYMENTS), "dev")
        with pytest.raises(DeniedError):
            client.own_roles(vault.project_id(PAYMENTS))
        assert client.secrets(vault.project_id(OPS), "dev")
    assert caught.value.what == "The vault denies this machine identity GET /api/v4/secrets (PermissionDenied)."
    assert "unless an additional privilege denies it" in caught.value.remedy, "it may have the role Viewer already"
    assert "Viewer" in caught.value.remedy
    assert vault.watch.logins == 1


def test_a_project_that_was_left_is_denied_and_silently_leaves_the_list(vault: WatchedVault) -> None:
    vault.faults.switch("vault-project-left", on=True)
    with vault.client() as client:
        assert [project["slug"] for project in decoded(client.projects())] == [OPS, PLATFORM]
        with pytest.raises(DeniedError, match="ProjectMembershipNotFound"):
            client.folders(vault.project_id(PAYMENTS), "dev")


def test_a_revoked_token_is_a_plain_refusal(vault: WatchedVault) -> None:
    with vault.client() as client:
        for issued in vault.authority._issued.values():
            issued.revoked = True
        with pytest.raises(PermanentError, match=r"/api/v1/projects with 401 \(UnauthorizedError\)"):
            client.projects()
    assert vault.watch.logins == 1


def test_a_used_up_token_is_replaced_by_one_login(vault: WatchedVault) -> None:
    vault.limit_token_uses(5)
    with vault.client() as client:
        first = decoded(client.projects())
        for _ in range(9):
            assert decoded(client.projects()) == first
        assert (vault.watch.logins, client.token_ran_out) == (2, True)


def test_a_second_token_that_is_used_up_names_the_setting_and_is_the_last(vault: WatchedVault) -> None:
    vault.limit_token_uses(5)
    with vault.client() as client:
        for _ in range(10):
            client.projects()
        for _ in range(3):
            with pytest.raises(TokenUsedUpError) as caught:
                client.projects()
    assert vault.watch.logins == 2
    assert "used as often as it may be (accessTokenNumUsesLimit)" in caught.value.what
    assert "Access Token Max Number of Uses to 0" in caught.value.remedy
    assert "client secret" not in str(caught.value), "it is no bad secret"


def test_threads_that_use_up_a_token_together_log_in_once_more(vault: WatchedVault) -> None:
    vault.limit_token_uses(20)
    with vault.client() as client:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _number: len(client.projects()), range(36)))
        assert set(found) == {3}
        assert vault.watch.logins == 2


def test_a_token_that_may_be_used_without_limit_is_used_on(vault: WatchedVault) -> None:
    with vault.client() as client:
        for _ in range(50):
            client.projects()
        assert (vault.watch.logins, client.token_ran_out) == (1, False)


def test_the_limit_of_uses_is_read_by_whoever_may_read_identities(vault: WatchedVault) -> None:
    who = vault.exporter_id
    for uses in (0, 7):
        vault.limit_token_uses(uses)
        with vault.client() as exporter:
            assert token_uses_limit(exporter, who) is None
        assert CREDENTIALS.org_admin is not None
        with vault.client(CREDENTIALS.org_admin) as admin:
            assert token_uses_limit(admin, who) == uses


@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (200, b"<html>"), (200, b'{"identityUniversalAuth":{}}')])
def test_a_server_that_does_not_tell_the_limit_of_uses_is_no_trouble(
    vault: WatchedVault, status: int, body: bytes
) -> None:
    with vault.client() as client:
        vault.watch.answer("/api/v1/auth/universal-auth/identities/x", body, status)
        assert token_uses_limit(client, "x") is None


def test_an_old_server_is_told_to_upgrade() -> None:
    with watched_vault(without=SECRETS) as old, old.client() as client:
        with pytest.raises(PermanentError) as caught:
            client.secrets(old.project_id(OPS), "dev")
        assert client.projects()
    assert "The vault has no route /api/v4/secrets: the server is too old" in caught.value.what
    assert "Upgrade Infisical to a version with API v4" in caught.value.remedy


def test_a_missing_project_is_not_taken_for_an_old_server(vault: WatchedVault) -> None:
    with vault.client() as client, pytest.raises(PermanentError) as caught:
        client.tags("00000000-0000-0000-0000-000000000000")
    assert "404 (NotFound)" in caught.value.what
    assert "Upgrade" not in caught.value.remedy


def test_an_error_body_with_status_200_is_refused(vault: WatchedVault) -> None:
    vault.faults.switch("vault-error-body", on=True)
    with vault.client() as client:
        with pytest.raises(UnreadableAnswerError) as caught:
            client.secrets(vault.project_id(PAYMENTS), "prod")
        assert client.secrets(vault.project_id(PAYMENTS), "dev")
    assert "answered GET /api/v4/secrets with 200 and a body that is not the API's (15 bytes of" in caught.value.what


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"secrets"', b'{"secrets":null}', b'{"secrets":{}}', b'{"secrets":[', b"<html>"]
)
def test_any_other_body_with_status_200_is_refused_too(vault: WatchedVault, body: bytes) -> None:
    vault.watch.answer(SECRETS, body)
    with vault.client() as client, pytest.raises(UnreadableAnswerError, match="a body that is not the API's"):
        client.secrets("p", "dev")


def test_an_html_error_page_is_transient_and_waited_for(vault: WatchedVault) -> None:
    slept: list[float] = []
    vault.faults.switch("vault-error-page", on=True)
    with vault.client(slept=slept) as client, pytest.raises(TransientError, match="GET /api/v4/secrets with 502"):
        client.secrets(vault.project_id(PAYMENTS), "prod")
    assert vault.watch.count(f"GET {SECRETS}") == len(slept) + 1
    assert 55 < sum(slept) <= 60


def test_a_redirect_is_refused_and_not_followed(vault: WatchedVault) -> None:
    vault.watch.answer("/api/v1/projects", b"<html>moved</html>", 302, "text/html")
    with (
        vault.client() as client,
        pytest.raises(UnreadableAnswerError, match=r"projects with 302 .* of text/html"),
    ):
        client.projects()


def test_a_rate_limited_read_is_waited_for(vault: WatchedVault) -> None:
    slept: list[float] = []
    with vault.client(slept=slept) as client:
        vault.faults.switch("vault-rate-limited", on=True)
        assert len(client.projects()) == 3
        vault.faults.switch("vault-rate-limited", on=False)
    assert slept == [1.0, 1.0]


def test_secrets_are_asked_for_unexpanded_and_without_imports_in_both_spellings(vault: WatchedVault) -> None:
    with vault.client() as client:
        client.secrets(vault.project_id(OPS), "dev")
    assert query_of(vault, SECRETS) == {
        "projectId": vault.project_id(OPS),
        "environment": "dev",
        "secretPath": "/",
        "recursive": "true",
        "expandSecretReferences": "false",
        "includeImports": "false",
        "include_imports": "false",
        "viewSecretValue": "true",
    }


def test_only_projects_with_secrets_are_asked_for(vault: WatchedVault) -> None:
    owner = next(actor for actor in vault.world.actors.values() if actor.kind == "user")
    other = vault.world.add_project("Certificates", "raxx-certs", creator=owner, kind="cert-manager")
    vault.world.add_member(other, vault.world.actors[vault.world.exporter_id or ""], "viewer")
    with vault.client() as client:
        slugs = [project["slug"] for project in decoded(client.projects())]
    assert slugs == [OPS, PAYMENTS, PLATFORM]


def test_folders_come_at_any_depth(vault: WatchedVault) -> None:
    with vault.client() as client:
        rows = decoded(client.folders(vault.project_id(OPS), "prod"))
    paths = {row["relativePath"] for row in rows}
    assert paths == {"/backups", "/retired", "/runbooks", "/runbooks/dns", "/runbooks/dns/zones"}


def test_own_roles_are_read(vault: WatchedVault) -> None:
    with vault.client() as client:
        (role,) = client.own_roles(vault.project_id(OPS))
    assert (role.role, role.label, role.is_temporary) == ("viewer", "viewer", False)


def test_a_custom_role_is_called_by_its_own_name(vault: WatchedVault) -> None:
    vault.faults.switch("vault-partial-permission", on=True)
    with vault.client() as client:
        (role,) = client.own_roles(vault.project_id(OPS))
    assert (role.role, role.label) == ("custom", "one-folder-only")


def test_the_list_of_the_organisation_is_read_to_its_last_page() -> None:
    world = raxx_world(CREDENTIALS, FakeClock())
    owner = next(actor for actor in world.actors.values() if actor.kind == "user")
    for number in range(247):
        world.add_project(f"Extra {number:03}", f"extra-{number:03}", creator=owner, environments=())
    with watched_vault(world) as vault, vault.client(CREDENTIALS.org_admin) as admin:
        found = admin.organisation_projects()
        pages = vault.watch.count("GET /api/v1/organization-admin/projects")
    assert sorted(project.slug for project in found) == sorted(project.slug for project in world.projects.values())
    assert len(found) == 250
    assert pages == 3


def test_a_list_that_promises_more_than_it_has_ends_all_the_same(vault: WatchedVault) -> None:
    with vault.client(CREDENTIALS.org_admin) as admin:
        vault.watch.answer("/api/v1/organization-admin/projects", b'{"projects":[],"count":9}')
        assert admin.organisation_projects() == []


def test_only_an_organisation_admin_may_list_the_organisation(vault: WatchedVault) -> None:
    with vault.client() as client, pytest.raises(DeniedError):
        client.organisation_projects()
    with vault.client(CREDENTIALS.org_admin) as admin:
        assert {project.slug for project in admin.organisation_projects()} == {OPS, PAYMENTS, PLATFORM}


def test_clear_text_to_another_machine_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match="plain http://"):
        Infisical("http://vault.raxx.example", "id", "secret")


def refused_login(vault: WatchedVault) -> None:
    with vault.client(WRONG):
        pass


def read_payments(vault: WatchedVault) -> None:
    with vault.client() as client:
        client.secrets(vault.project_id(PAYMENTS), "prod")


def login_that_is_no_login(vault: WatchedVault) -> None:
    vault.watch.answer(LOGIN, b'{"accessToken":"rxs_.token.rxs_"}')
    read_payments(vault)


def body_with_a_value(vault: WatchedVault) -> None:
    vault.watch.answer(SECRETS, b'{"error":"rxs_value","secrets":"rxs_value"}')
    read_payments(vault)


def error_with_a_value(vault: WatchedVault) -> None:
    vault.watch.answer(SECRETS, b'{"reqId":"1","message":"rxs_value","error":"Conflict"}', 409)
    read_payments(vault)


@pytest.mark.parametrize(
    ("fault", "act"),
    [
        (None, refused_login),
        (None, login_that_is_no_login),
        (None, body_with_a_value),
        (None, error_with_a_value),
        ("vault-login-refused", read_payments),
        ("vault-down", read_payments),
        ("vault-role-weakened", read_payments),
        ("vault-project-left", read_payments),
        ("vault-error-page", read_payments),
        ("vault-error-body", read_payments),
    ],
)
def test_no_failure_shows_a_secret(vault: WatchedVault, fault: str | None, act: Callable[[WatchedVault], None]) -> None:
    if fault:
        vault.faults.switch(fault, on=True)
    issued: list[str] = []
    sign = vault.authority._sign

    def signed(*given: Any) -> str:
        issued.append(sign(*given))
        return issued[-1]

    vault.authority._sign = signed  # type: ignore[method-assign,assignment]  # to know the tokens that were given out
    with pytest.raises(BcpError) as caught:
        act(vault)
    shown = everything_shown(caught.value)
    for secret in ("rxs_", CREDENTIALS.exporter.client_secret, CREDENTIALS.exporter.client_id, *issued):
        assert secret not in shown


def test_a_client_in_use_shows_and_pickles_no_secret(vault: WatchedVault) -> None:
    with vault.client() as client:
        shown = repr(client) + repr(client.identity) + repr(client.secrets(vault.project_id(OPS), "dev"))
        with pytest.raises(TypeError):
            msgspec.to_builtins(client)
    assert "rxs_" not in shown
    assert CREDENTIALS.exporter.client_secret not in shown
    assert "eyJ" not in shown
