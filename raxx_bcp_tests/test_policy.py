"""The policy: ADR-0103's numbers as defaults, and every wrong word refused with its place and reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import raxx_bcp
from raxx_bcp.errors import UsageError
from raxx_bcp.policy import Policy, load_policy

SHIPPED = Path(raxx_bcp.__file__).parent.parent / "bcp.toml"
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "bcp.toml"


def load(written: Path, text: str, environ: Mapping[str, str] | None = None) -> Policy:
    written.write_text(text, encoding="utf-8")
    return load_policy(written, environ or {})


def refusal(written: Path, text: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        load(written, text, environ)
    assert caught.value.remedy
    return caught.value.what


def test_the_defaults_are_the_numbers_of_the_adr() -> None:
    policy = Policy()
    assert policy.vault_snapshot.schedule_utc == "06:30"
    assert policy.vault_snapshot.keep == 7
    assert policy.vault_export.schedule_utc == "07:00"
    assert policy.vault_export.prefix == "vault-exports/"
    assert policy.alerts.slack_channel == "D0AJ7K184TV"
    assert policy.state_bucket.name == "raxx-iac-state-prod"


def test_an_empty_file_means_the_defaults(written: Path) -> None:
    assert load(written, "") == Policy()


def test_the_shipped_file_loads_and_keeps_the_numbers_of_the_adr() -> None:
    shipped, defaults = load_policy(SHIPPED, {}), Policy()
    assert shipped.vault_snapshot == defaults.vault_snapshot
    assert shipped.freescout == defaults.freescout
    assert shipped.evidence == defaults.evidence
    assert shipped.heroku_postgres == defaults.heroku_postgres
    assert shipped.state_bucket.terraform_role_arns
    assert shipped.state_bucket.model_copy(update={"terraform_role_arns": ()}) == defaults.state_bucket
    assert shipped.alerts == defaults.alerts
    assert shipped.vault_export.expected_projects == ("raxx-platform", "raxx-payments", "raxx-ops")
    changed = {"expected_projects": ()}
    assert shipped.vault_export.model_copy(update=changed) == defaults.vault_export


def test_a_policy_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValidationError):
        Policy().vault_snapshot.keep = 8


def test_a_key_is_off_until_somebody_pins_it_and_spaces_do_not_matter(written: Path) -> None:
    assert Policy().vault_export.gpg_fingerprint == ""
    spaced = " ".join(FINGERPRINT[start : start + 4] for start in range(0, 40, 4)).lower()
    assert load(written, f'[vault_export]\ngpg_fingerprint = "{spaced}"').vault_export.gpg_fingerprint == FINGERPRINT


def test_the_second_copy_is_configured_by_its_bucket_alone(written: Path) -> None:
    assert not Policy().vault_export.second_copy.configured
    table = "[vault_export.second_copy]\n"
    assert load(written, table + 'bucket = "raxx-copy"').vault_export.second_copy.configured
    assert not load(written, table + 'region = "eu-west-1"').vault_export.second_copy.configured


def test_the_file_beats_the_default_and_the_environment_beats_the_file(written: Path) -> None:
    text = "[vault_export]\nconcurrency = 2\nlate_after_minutes = 90\n"
    policy = load(written, text, {"RAXX_BCP_VAULT_EXPORT__CONCURRENCY": "8"}).vault_export
    assert (policy.concurrency, policy.late_after_minutes, policy.inventory_days) == (8, 90, 30)


def test_an_override_does_not_disturb_its_neighbours_in_the_same_table(written: Path) -> None:
    text = '[vault_export.second_copy]\nbucket = "raxx-copy"\nregion = "eu-west-1"\n'
    policy = load(written, text, {"RAXX_BCP_VAULT_EXPORT__SECOND_COPY__REGION": "us-east-2"})
    assert policy.vault_export.second_copy.bucket == "raxx-copy"
    assert policy.vault_export.second_copy.region == "us-east-2"


@pytest.mark.parametrize(
    ("variable", "value", "section", "key", "expected"),
    [
        ("RAXX_BCP_VAULT_EXPORT__SHRINK_THRESHOLD_RATIO", "0.25", "vault_export", "shrink_threshold_ratio", 0.25),
        ("RAXX_BCP_VAULT_EXPORT__EXPECTED_PROJECTS", '["a", "b"]', "vault_export", "expected_projects", ("a", "b")),
        ("RAXX_BCP_VAULT_EXPORT__SCHEDULE_UTC", "05:45", "vault_export", "schedule_utc", "05:45"),
        ("RAXX_BCP_VAULT_SNAPSHOT__KEEP", "14", "vault_snapshot", "keep", 14),
        ("RAXX_BCP_STATE_BUCKET__NAME", "12345", "state_bucket", "name", "12345"),
        ("RAXX_BCP_ALERTS__SLACK_CHANNEL", "C0123456789", "alerts", "slack_channel", "C0123456789"),
    ],
)
def test_the_environment_overrides_values_of_every_type(
    written: Path, variable: str, value: str, section: str, key: str, expected: object
) -> None:
    policy = load(written, "", {variable: value})
    assert getattr(getattr(policy, section), key) == expected


def test_variables_of_other_purposes_are_no_overrides(written: Path) -> None:
    environ = {"RAXX_BCP_GPG_FINGERPRINT": FINGERPRINT, "RAXX_BCP_POLICY": "/elsewhere", "PATH": "/bin"}
    assert load(written, "", environ) == Policy()


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        ("\n[vault_export]\nconcurency = 4", 3, "vault_export.concurency", "unknown key; did you mean concurrency?"),
        ("[vault_exports]\nconcurrency = 4", 1, "vault_exports", "unknown key; did you mean vault_export?"),
        ("[unheard_of]\nx = 1", 1, "unheard_of", "unknown key; known here: alerts"),
        ('version = 1\ncolour = "red"', 2, "colour", "unknown key"),
        (
            "[vault_export]\ntimeout_minutes = 2",
            2,
            "vault_export.timeout_minutes",
            "unknown key; this policy writes it in another unit: timeout_seconds",
        ),
        (
            '[vault_export]\nlate_after_minutes = "90 minutes"',
            2,
            "vault_export.late_after_minutes",
            "(the value is a plain number of minutes)",
        ),
        (
            "[vault_export]\n# a tenth\nshrink_threshold_ratio = 10",
            3,
            "vault_export.shrink_threshold_ratio",
            "10 looks like a percentage: write 0.1",
        ),
        ("[vault_export]\nshrink_threshold_ratio = -0.1", 2, "vault_export.shrink_threshold_ratio", "greater than"),
        ("[vault_export]\nshrink_threshold_ratio = nan", 2, "vault_export.shrink_threshold_ratio", "less than"),
        ("[vault_export]\nconcurrency = 0", 2, "vault_export.concurrency", "greater than or equal to 1"),
        ("[vault_export]\nconcurrency = 4.5", 2, "vault_export.concurrency", "valid integer"),
        ("[vault_export]\nconcurrency = true", 2, "vault_export.concurrency", "valid integer"),
        ("[vault_export]\nconcurrency = '4'", 2, "vault_export.concurrency", "valid integer"),
        ("[vault_export]\ntimeout_seconds = 0", 2, "vault_export.timeout_seconds", "greater than 0"),
        ("[vault_snapshot]\nkeep = 6", 2, "vault_snapshot.keep", "greater than or equal to 7"),
        ('[vault_export]\nschedule_utc = "7:00"', 2, "vault_export.schedule_utc", "write a UTC time as HH:MM"),
        ('[vault_export]\nschedule_utc = "24:00"', 2, "vault_export.schedule_utc", "write a UTC time as HH:MM"),
        ('[vault_snapshot]\nschedule_utc = "06:60"', 2, "vault_snapshot.schedule_utc", "write a UTC time as HH:MM"),
        ('[vault_export]\ngpg_fingerprint = "89ABCDEF"', 2, "vault_export.gpg_fingerprint", "full fingerprint"),
        ('[vault_export]\ngpg_fingerprint = "ops@raxx.example"', 2, "vault_export.gpg_fingerprint", "full fingerprint"),
        ('[vault_export]\nprefix = "/vault-exports/"', 2, "vault_export.prefix", "no leading slash"),
        ('[vault_export]\nprefix = "vault-exports"', 2, "vault_export.prefix", "ends in one"),
        ("[vault_export]\nkey_warning_days = [7, 30]", 1, "vault_export", "key_warning_days must go down"),
        ('[drills]\nscheduled = ["heroku-postgress"]', 2, "drills.scheduled", "did you mean heroku-postgres?"),
        ('[drills]\nscheduled = ["oracle"]', 2, "drills.scheduled", "known are heroku-postgres, freescout-snapshot"),
        (
            '[drills]\nscheduled = ["vault_export", "vault-export"]',
            2,
            "drills.scheduled",
            "vault-export stands there twice",
        ),
        ('[drills]\nscheduled = "heroku-postgres"', 2, "drills.scheduled", "valid array"),
        ('[state_bucket]\nname = "Not A Bucket"', 2, "state_bucket.name", "match pattern"),
        ('[alerts]\nslack_channel = "#ops"', 2, "alerts.slack_channel", "match pattern"),
        ('[alerts]\nui_url = "http://raxx.example/"', 2, "alerts.ui_url", "match pattern"),
        ("version = 2", 1, "version", "should be 1"),
        ("[vault_export.second_copy]\nretention_days = -1", 2, "vault_export.second_copy.retention_days", "greater"),
        ("vault_export.second_copy.buckets = 'x'", 1, "vault_export.second_copy.buckets", "did you mean bucket?"),
    ],
)
def test_a_refusal_names_file_line_key_and_reason(written: Path, text: str, line: int, key: str, reason: str) -> None:
    said = refusal(written, text)
    assert f"{written}, line {line}: {key}: " in said
    assert reason in said
    assert "more after this one" not in said


def test_a_scheduled_drill_is_named_with_either_kind_of_line(written: Path) -> None:
    text = '[drills]\nscheduled = ["heroku-postgres", "state_recovery"]'
    assert load(written, text).drills.scheduled == ("heroku_postgres", "state_recovery")
    environ = {"RAXX_BCP_DRILLS__SCHEDULED": '["freescout-dump"]'}
    assert load(written, text, environ).drills.scheduled == ("freescout_dump",)
    assert load(written, "").drills.scheduled == (), "off until a person trusts one"


def test_healthy_neighbours_of_the_refused_values_are_accepted(written: Path) -> None:
    policy = load(
        written,
        f"""
        [vault_export]
        schedule_utc = "00:00"
        shrink_threshold_ratio = 1
        concurrency = 16
        timeout_seconds = 0.5
        gpg_fingerprint = "{FINGERPRINT}"
        key_warning_days = [90, 7]
        [vault_snapshot]
        schedule_utc = "23:59"
        keep = 7
        """,
    )
    assert policy.vault_export.key_warning_days == (90, 7)
    assert policy.vault_snapshot.keep == 7


def test_only_the_first_of_several_mistakes_is_told_and_the_rest_counted(written: Path) -> None:
    said = refusal(written, "[vault_snapshot]\nkeep = 1\n[vault_export]\nconcurrency = 0\n")
    assert said.endswith(" (1 more after this one).")


def test_invalid_toml_is_refused_with_its_line(written: Path) -> None:
    said = refusal(written, "[vault_export]\nconcurrency = \n")
    assert f"{written} is not valid TOML" in said
    assert "line 2" in said


def test_text_in_another_encoding_is_refused(written: Path) -> None:
    written.write_bytes(b"# \xfc\n")
    with pytest.raises(UsageError, match="cannot be read: it is not UTF-8 text"):
        load_policy(written, {})


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load_policy(tmp_path, {})


def test_a_named_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "gone.toml"
    with pytest.raises(UsageError, match=r"gone\.toml does not exist") as caught:
        load_policy(None, {"RAXX_BCP_POLICY": str(missing)})
    assert "RAXX_BCP_POLICY" in caught.value.remedy
    with pytest.raises(UsageError, match=r"gone\.toml does not exist"):
        load_policy(missing, {})


def test_without_a_named_file_the_one_of_the_working_directory_counts_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_policy(None, {}) == Policy()
    (tmp_path / "bcp.toml").write_text("[vault_snapshot]\nkeep = 9\n", encoding="utf-8")
    assert load_policy(None, {}).vault_snapshot.keep == 9
    (tmp_path / "named.toml").write_text("[vault_snapshot]\nkeep = 10\n", encoding="utf-8")
    assert load_policy(None, {"RAXX_BCP_POLICY": "named.toml"}).vault_snapshot.keep == 10


@pytest.mark.parametrize(
    "variable",
    ["RAXX_BCP_VAULT_EXPORT__CONCURENCY", "RAXX_BCP_VAULT__KEEP", "RAXX_BCP_VAULT_EXPORT__SECOND_COPY"],
)
def test_an_override_of_nothing_is_refused_by_name(written: Path, variable: str) -> None:
    said = refusal(written, "", {variable: "4"})
    assert said.startswith(f"The environment variable {variable} names no key of the policy")


def test_a_mistyped_override_is_answered_with_the_nearest_name(written: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(written, "", {"RAXX_BCP_VAULT_EXPORT__CONCURENCY": "4"})
    assert caught.value.what.endswith("did you mean RAXX_BCP_VAULT_EXPORT__CONCURRENCY?")
    assert caught.value.remedy.startswith("Set RAXX_BCP_VAULT_EXPORT__CONCURRENCY instead")


def test_what_two_keys_make_impossible_is_blamed_on_the_one_that_was_set(written: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(written, "", {"RAXX_BCP_VAULT_SNAPSHOT__ADDON": "06:30"})
    assert (
        "the environment (RAXX_BCP_VAULT_SNAPSHOT__ADDON): vault_snapshot: Lightsail's automatic" in caught.value.what
    )
    assert caught.value.remedy.startswith("Correct what it names in [vault_snapshot]")


def test_an_override_unlike_any_is_told_how_one_is_called(written: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(written, "", {"RAXX_BCP_QQQQ__ZZZZ": "4"})
    assert caught.value.what == "The environment variable RAXX_BCP_QQQQ__ZZZZ names no key of the policy."
    assert "RAXX_BCP_<SECTION>__<KEY>" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("[vault_export]\nconcurency = 4", "did you mean concurrency?", "Write concurrency instead of concurency."),
        ("[vault_export]\nshrink_threshold_ratio = 10", "write 0.1.", "Write shrink_threshold_ratio = 0.1."),
        (
            "[vault_export]\ntimeout_minutes = 2",
            "another unit: timeout_seconds.",
            "Write timeout_seconds, in its unit.",
        ),
        ("[unheard_of]\nx = 1", "known here: alerts", "Take unheard_of out of the file"),
        ("[vault_export]\nconcurrency = 0", "greater than or equal to 1.", "Correct the value of concurrency"),
        ("[vault_export]\nconcurrency = 0\nx = 1", "(1 more after this one).", "Correct the value of concurrency"),
        ('[state_bucket]\nname = "Not A Bucket"', "'Not A Bucket' does not match pattern", "Correct the value of name"),
        ('[drills]\nscheduled = ["vault-exporrt"]', "did you mean vault-export?", "Correct the value of scheduled"),
        (
            '[drills]\nscheduled = "vault-export"',
            'a valid array, such as ["one", "two"].',
            "Correct the value of scheduled",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_and_the_remedy_says_what_to_write(
    written: Path, text: str, what: str, remedy: str
) -> None:
    written.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_policy(written, {})
    assert what in caught.value.what
    assert caught.value.what.endswith((".", "?"))
    assert not caught.value.what.endswith("?.")
    assert caught.value.remedy.startswith(remedy)
    assert caught.value.remedy.endswith("Then start again.")
    assert "\n" not in caught.value.what


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("RAXX_BCP_VAULT_EXPORT__CONCURRENCY", "many", "valid integer"),
        ("RAXX_BCP_VAULT_SNAPSHOT__KEEP", "3", "greater than or equal to 7"),
        ("RAXX_BCP_VAULT_EXPORT__SHRINK_THRESHOLD_RATIO", "10", "looks like a percentage"),
    ],
)
def test_a_bad_override_is_blamed_on_the_variable_not_on_the_file(
    written: Path, variable: str, value: str, reason: str
) -> None:
    said = refusal(written, "[vault_export]\nconcurrency = 4\n[vault_snapshot]\nkeep = 8\n", {variable: value})
    assert f"the environment ({variable})" in said
    assert reason in said
    assert str(written) not in said


BARE_KEYS = st.text("abcdefghijklmnopqrstuvwxyz_-0123456789", min_size=1, max_size=20)


@given(key=BARE_KEYS.filter(lambda key: key not in Policy.model_fields))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_unknown_top_level_key_is_refused(written: Path, key: str) -> None:
    said = refusal(written, f"version = 1\n{key} = 1\n")
    assert f"{written}, line 2: {key}: unknown key" in said


@given(key=BARE_KEYS.filter(lambda key: key not in Policy.model_fields))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_unknown_table_is_refused(written: Path, key: str) -> None:
    assert f"{written}, line 1: {key}: unknown key" in refusal(written, f"[{key}]\n")


@pytest.mark.parametrize("hour", ["18:00", "00:00", "04:00", "08:00", "05:00", "23:00"])
def test_an_add_on_at_a_full_hour_clear_of_the_snapshot_is_taken(written: Path, hour: str) -> None:
    assert load(written, f'[vault_snapshot]\naddon = "{hour}"').vault_snapshot.addon == hour


@pytest.mark.parametrize("hour", ["06:30", "18:15", "6:00", "24:00", "on", ""])
def test_an_add_on_that_lightsail_cannot_do_is_refused_with_the_reason(written: Path, hour: str) -> None:
    with pytest.raises(UsageError, match="hourly only") as caught:
        load(written, f'[vault_snapshot]\naddon = "{hour}"')
    assert "06:30" in caught.value.what


@pytest.mark.parametrize(
    ("hour", "schedule", "refused"),
    [
        ("06:00", "06:30", True),
        ("07:00", "06:30", True),
        ("05:00", "06:30", False),
        ("23:00", "00:10", False),
        ("23:00", "23:45", True),
        ("00:00", "23:45", True),
        ("00:00", "23:20", False),
    ],
)
def test_an_add_on_whose_window_meets_the_snapshot_is_refused(
    written: Path, hour: str, schedule: str, *, refused: bool
) -> None:
    text = f'[vault_snapshot]\nschedule_utc = "{schedule}"\naddon = "{hour}"'
    if not refused:
        assert load(written, text).vault_snapshot.addon == hour
        return
    with pytest.raises(UsageError, match="would meet the one at"):
        load(written, text)
