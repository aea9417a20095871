"""The order in which the recorded requests are sent, by whom, and what happened between them."""

from __future__ import annotations

from raxx_bcp_sandbox.infisical.ratelimit import RateLimiter
from raxx_bcp_tests.sandbox.infisical.lab import LIMITED_SECRET, P1, P2, RESTORED, SCALE, Lab, Step

DEEP = [f"d{depth}" for depth in range(1, 21)]


def environments_of_p2(lab: Lab) -> None:
    for name, slug in (("Live", "live"), ("Sandbox", "sandbox")):
        lab.send("POST", f"/api/v1/projects/{P2}/environments", "admin", {"name": name, "slug": slug})


def more_folders(lab: Lab) -> None:
    for path, name in (("/api", "v1"), ("/api/v1", "handlers"), ("/", "shared"), ("/", "empty-folder")):
        lab.folder("dev", path, name)
    lab.folder("prod", "/", "api")


def more_secrets(lab: Lab) -> None:
    lab.secrets("dev", "/api", DB_HOST="api-db", TOKEN="dev-api-token")
    lab.secrets("dev", "/api/v1", TOKEN="v1")
    lab.secrets("dev", "/api/v1/handlers", H="h")
    lab.secrets("dev", "/shared", SHARED_ONE="s1", SHARED_TWO="${SHARED_ONE}-2")
    lab.secrets("dev", "/deep/a/b/c/leaf", LEAF="deep")
    lab.secrets("prod", "/api", TOKEN="prod-api-token")
    lab.secrets("staging", "/", STG="stg")


def more_imports(lab: Lab) -> None:
    lab.link("dev", "/", "staging", "/")
    lab.link("dev", "/api", "dev", "/shared")
    lab.link("prod", "/", "staging", "/")


def second_version_and_reminder(lab: Lab) -> None:
    where = {"projectId": P1, "environment": "staging", "secretPath": "/"}
    lab.send("PATCH", "/api/v4/secrets/STG", "admin", {**where, "secretValue": "v2"})
    reminder = {"secretReminderNote": "rotate me", "secretReminderRepeatDays": 30}
    lab.send("POST", "/api/v4/secrets/WITH_REMINDER", "admin", {**where, "secretValue": "r", **reminder})


def members(lab: Lab) -> None:
    lab.join(P1, "backup", "viewer")
    lab.join(P2, "backup", "viewer")
    lab.join(P1, "orgadmin", "viewer")
    lab.join(P1, "limited", "no-access")
    lab.join(P1, "orgmember", "member")


def restored_environments(lab: Lab) -> None:
    for name, slug in (("Development", "dev"), ("Staging", "staging"), ("Production", "prod")):
        lab.send("POST", f"/api/v1/projects/{RESTORED}/environments", "restore", {"name": name, "slug": slug})


def restored_before_import(lab: Lab) -> None:
    body = {"projectId": RESTORED, "environment": "prod", "path": "/"}
    source = {"environment": "staging", "path": "/"}
    lab.send("POST", "/api/v2/secret-imports", "restore", {**body, "import": source})


def restored_before_upsert(lab: Lab) -> None:
    body = {"projectId": RESTORED, "environment": "staging", "secretPath": "/"}
    row = {"secretKey": "STG", "secretValue": "v3"}
    lab.send("POST", "/api/v4/secrets/batch", "restore", {**body, "secrets": [row]})


def scale_project(lab: Lab) -> None:
    lab.send("POST", "/api/v1/projects", "admin", {"projectName": "Scale Test", "slug": "scale-test"})
    found = lab.world.project_by_slug("scale-test")
    assert found is not None
    lab.ids[SCALE] = found.id
    lab.join(SCALE, "backup", "viewer")


def deep_folders(lab: Lab) -> None:
    lab.folder("staging", "/" + "/".join(DEEP[:-1]), DEEP[-1], SCALE)
    for depth in range(1, 21):
        lab.secrets("staging", "/" + "/".join(DEEP[:depth]), SCALE, **{f"AT_{depth}": "x"})


def token_of(capture: str, who: str) -> Step:
    return lambda lab: lab.take_token(capture, who)


def wait(seconds: float) -> Step:
    return lambda lab: lab.clock.advance(seconds)


def secret_for_one_login(lab: Lab) -> None:
    lab.world.add_client_secret(lab.actor("short"), LIMITED_SECRET, uses_limit=1)


def rate_limits_on(lab: Lab) -> None:
    lab.app.state.vault.limiter = RateLimiter(lab.clock)


def use_up_rate_limits(lab: Lab) -> None:
    for _ in range(59):
        lab.send("GET", "/api/v1/projects", "backup")
    query = f"?projectId={P1}&environment=qa&secretPath=/"
    for _ in range(39):
        lab.send("GET", "/api/v4/secrets" + query, "backup")
    lab.clock.advance(1)


def by(who: str, *captures: str) -> list[tuple[str, str] | Step]:
    return [(capture, who) for capture in captures]


PEOPLE_BUILD_IT: list[tuple[str, str] | Step] = [
    *by("admin", "10_create_project_p1", "10_create_project_p2", "10_create_project_p3", "11_create_env"),
    environments_of_p2,
    *by("admin", "11b_create_env_dup", "12_create_tag_critical", "12_create_tag_rotate", "12b_create_tag_dup"),
    *by("admin", "13_create_folder"),
    more_folders,
    *by("admin", "13b_create_folder_deep_missing_parents", "13c_create_folder_dup", "13d_create_folder_badname"),
    *by("admin", "14_create_secrets_batch"),
    more_secrets,
    *by("admin", "15_create_import"),
    more_imports,
    *by("admin", "15b_create_import_missing_source", "15c_create_import_replication", "15d_create_import_dup"),
    *by("admin", "16_create_personal_override"),
    second_version_and_reminder,
    *by("admin", "17_update_secret", "17b_create_secret_exists", "17c_batch_partial_dup"),
    *by("admin", "17d_batch_missing_folder"),
    members,
]
IDENTITIES_READ_IT: list[tuple[str, str] | Step] = [
    *by("", "20_login", "40_login_ok", "40_login_ok2", "40_login_nothing"),
    *by("backup", "21_list_projects", "21b_list_projects_type", "21c_list_workspace_legacy"),
    *by("backup", "22_get_project", "22b_get_project_by_slug", "23_orgadmin_projects_noaccess_identity"),
    *by("orgadmin", "23b_orgadmin_projects_orgadmin_identity", "23c_orgadmin_identity_list_projects"),
    *by("orgadmin", "23d_grant_admin_access_as_identity", "23e_orgadmin_identity_reads_unjoined_project"),
    *by("orgmember", "23f_orgadmin_projects_member"),
    *by("orgadmin", "23g_orgadmin_limit_over_100", "23i_orgadmin_self_add"),
    *by("backup", "24_list_folders_recursive", "24b_list_folders", "24c_list_folders_nopath"),
    *by("backup", "24d_list_folders_missing_path", "24e_list_folders_missing_env", "24f_list_folders_v1_legacy"),
    *by("backup", "25_list_secrets_v4_recursive_raw", "25b_list_secrets_v4_defaults_recursive"),
    *by("backup", "25c_list_secrets_v4_imports", "25d_list_secrets_personal_overrides"),
    *by("backup", "25e_list_secrets_viewvalue_false", "26_list_secrets_v3_raw_recursive"),
    *by("backup", "26b_list_secrets_v3_raw_slug", "27_list_imports_dev_api", "27_list_imports_dev_root"),
    *by("backup", "27_list_imports_prod_root", "27_list_imports_qa_root", "28_list_tags"),
    *by("backup", "29_list_dynamic_secrets", "30_list_staging", "31_secret_versions_identity"),
    *by("backup", "31b_dashboard_secret_versions_identity", "31c_get_secret_version_1_identity"),
    *by("backup", "31c_get_secret_version_2_identity", "31e_get_secret_version_missing", "32_get_secret"),
    *by("admin", "31d_secret_versions_user"),
    *by("backup", "32b_get_secret_by_id", "32c_get_secret_missing", "33_list_roles"),
    *by("backup", "33b_list_project_identities", "34_identity_details", "35_secret-syncs", "35_webhooks"),
    *by("backup", "35b_secret_rotations", "53_recommended_export_call", "53b_if_none_match_304"),
]
LOGINS: list[tuple[str, str] | Step] = [
    *by("", "40b_login_unknown_client_id", "40c_login_missing_field", "40d_login_bad_json"),
    *by("", "40e_login_bad_secret_1", "40e_login_bad_secret_2", "40e_login_bad_secret_3"),
    *by("", "40e_login_bad_secret_4", "40f_login_good_secret_while_locked", "41_no_auth_header"),
    *by("", "41b_garbage_token"),
    *by("forged", "41c_bad_signature_token"),
    *by("", "42_login_short_ttl"),
    token_of("42_login_short_ttl", "short"),
    *by("short", "42b_renew"),
    token_of("42b_renew", "short"),
    wait(3),
    *by("short", "42c_expired_token", "42d_renew_expired", "42e_login_again"),
    token_of("42e_login_again", "short"),
    *by("short", "43_revoke_token", "43b_revoked_token"),
    *by("admin", "43c_revoke_client_secret"),
    *by("", "43d_login_revoked_client_secret"),
    secret_for_one_login,
    *by("", "43e_login_ip_not_allowed", "43f_login_uses_limit_first", "43g_login_uses_limit_exhausted"),
]
REFUSALS: list[tuple[str, str] | Step] = [
    *by("backup", "44_not_a_member"),
    *by("limited", "44b_no_access_role_secrets", "44c_no_access_role_folders", "44d_no_access_role_imports"),
    *by("limited", "44e_no_access_role_tags", "44f_no_access_list_projects"),
    *by("nothing", "44g_nothing_list_projects"),
    *by("backup", "45_missing_project_uuid", "45b_missing_project_not_uuid", "45c_get_project_missing"),
    *by("backup", "45d_missing_env", "45e_missing_path", "45f_missing_env_recursive", "45g_missing_params"),
    *by("backup", "45h_bad_bool", "45i_unknown_route", "46_viewer_cannot_write"),
    *by("backup", "46b_viewer_cannot_create_folder", "46c_noaccess_create_project"),
    *by("orgmember", "47_personal_secret_as_identity"),
    *by("backup", "48_external_migration_as_identity", "48b_admin_orgs_as_identity", "48c_org_audit_logs"),
    *by("backup", "48d_dashboard_overview_identity"),
    *by("admin", "49_custom_role_ce", "49b_batch_body_over_1MiB"),
    *by("limited", "54b_own_membership_noaccess_role"),
    *by("admin", "50_additional_privilege_ce"),
    *by("limited", "51_partial_permission_api_rec_true", "51_partial_permission_deep_rec_true"),
    *by("limited", "51_partial_permission_root_rec_false", "51_partial_permission_root_rec_true"),
    *by("limited", "51_partial_permission_shared_rec_false", "51b_partial_permission_imports"),
    *by("limited", "51c_partial_permission_other_env"),
]
RESTORE_AND_SCALE: list[tuple[str, str] | Step] = [
    *by("orgmember", "60_create_project_as_org_member_identity"),
    *by("restore", "61_restore_create_project", "62_restore_create_tag"),
    restored_environments,
    *by("restore", "63_restore_create_env", "64_restore_create_folder", "65_restore_batch"),
    restored_before_import,
    *by("restore", "66_restore_import"),
    restored_before_upsert,
    *by("restore", "67_patch_batch_upsert", "68_create_project_slug_dup"),
    scale_project,
    *by("orgadmin", "23h_orgadmin_page2"),
    *by("admin", "13e_create_folder_too_deep"),
    *by("backup", "52_recursive_depth_over_20", "52b_folders_recursive_depth_24"),
    deep_folders,
    *by("backup", "52_recursive_max_depth", "54_own_membership_role", "54c_own_identity", "54d_own_memberships"),
    *by("orgadmin", "54e_memberships_as_orgadmin"),
    rate_limits_on,
    *by("", "70_rl_login"),
    *by("backup", "70_rl_projects_first", "70_rl_secrets_first"),
    use_up_rate_limits,
    *by("backup", "71_rate_limited_429_projects", "71_rate_limited_429_secrets"),
]
SCRIPT = [*PEOPLE_BUILD_IT, *IDENTITIES_READ_IT, *LOGINS, *REFUSALS, *RESTORE_AND_SCALE]
