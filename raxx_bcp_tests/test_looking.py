"""What a looking command ends with when it could not look: 3, never the 1 that means "seen, and wrong"."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from raxx_bcp.checks import Check, Status, guarded
from raxx_bcp.cli import main
from raxx_bcp.errors import (
    BcpError,
    CouldNotVerifyError,
    CredentialsRefusedError,
    PermanentError,
    TransientError,
    UsageError,
)
from raxx_bcp_tests.clients.servers import Reply, scripted

COMMANDS_AT_S3 = {
    "vault list": ("vault", "list"),
    "vault verify": ("vault", "verify"),
    "vault show": ("vault", "show"),
    "state-bucket check": ("state-bucket", "check"),
    "evidence list": ("evidence", "list"),
    "evidence verify": ("evidence", "verify"),
    "evidence gate": ("evidence", "gate", "--card", "heroku-postgres"),
    "evidence report": ("evidence", "report"),
    "vault diff": ("vault", "diff", "2026-11-23", "2026-11-24"),
}
COMMANDS = [
    *(pytest.param(words, "s3", id=name) for name, words in COMMANDS_AT_S3.items()),
    pytest.param(("snapshot", "list"), "lightsail", id="snapshot list"),
]


def refusal(code: str, status: int, lightsail: str) -> dict[str, Reply]:
    """The same trouble in the words of both services."""
    xml = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'
    return {
        "s3": Reply(xml.encode(), status, content_type="application/xml"),
        "lightsail": Reply(
            json.dumps({"__type": lightsail, "message": "no"}).encode(),
            400 if status < 500 else status,
            content_type="application/x-amz-json-1.1",
        ),
    }


NOT_SEEN = {
    "wrong key": refusal("InvalidAccessKeyId", 403, "UnrecognizedClientException"),
    "wrong secret": refusal("SignatureDoesNotMatch", 403, "InvalidSignatureException"),
    "expired token": refusal("ExpiredToken", 400, "ExpiredTokenException"),
    "denied": refusal("AccessDenied", 403, "AccessDeniedException"),
    "throttled": refusal("SlowDown", 503, "ThrottlingException"),
    "failing": refusal("InternalError", 500, "ServiceException"),
    "hangs up": {"s3": Reply(hang_up=True), "lightsail": Reply(hang_up=True)},
}


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's environment, whose AWS client waits for nothing between its tries."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "RAXX_BCP_POLICY", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
        "RAXX_BCP_GPG_PUBLIC_KEY": "-----BEGIN PGP PUBLIC KEY BLOCK-----",
        "RAXX_BCP_GPG_FINGERPRINT": "A" * 40,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))


def point(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for service in ("S3", "LIGHTSAIL"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", url)


def ends(words: tuple[str, ...]) -> tuple[int, dict[str, Any]]:
    """Exit code and what is said; there is one JSON object on stdout, and no traceback."""
    done = CliRunner().invoke(main, [*words, "--json"])
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["ok"] is False
    assert "Traceback" not in done.output
    return done.exit_code, said


@pytest.mark.parametrize("trouble", NOT_SEEN)
@pytest.mark.parametrize(("words", "service"), COMMANDS)
def test_what_could_not_be_seen_is_exit_code_3(
    words: tuple[str, ...], service: str, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(NOT_SEEN[trouble][service]) as served:
        point(monkeypatch, served.url)
        assert ends(words)[0] == 3
    assert served.asked


@pytest.mark.parametrize(("words", "service"), COMMANDS)
def test_an_endpoint_that_is_away_is_exit_code_3(
    words: tuple[str, ...], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted() as served:
        pass
    point(monkeypatch, served.url)
    code, said = ends(words)
    assert code == 3
    assert {"s3": "S3", "lightsail": "Lightsail"}[service] + " could not be reached" in said["error"]
    assert "Check the network" in said["remedy"]


@pytest.mark.parametrize(("words", "service"), COMMANDS)
def test_no_credentials_at_all_are_ones_own_set_up(
    words: tuple[str, ...], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with scripted() as served:
        point(monkeypatch, served.url)
        assert ends(words)[0] == 2
    assert not served.asked


def test_what_was_seen_and_is_wrong_stays_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'
    with scripted(Reply(empty, content_type="application/xml")) as served:
        point(monkeypatch, served.url)
        done = CliRunner().invoke(main, ["vault", "list", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["freshness"]["status"] == "FAIL"


def test_a_bucket_that_does_not_exist_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(refusal("NoSuchBucket", 404, "NotFoundException")["s3"]) as served:
        point(monkeypatch, served.url)
        assert ends(("vault", "list"))[0] == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TransientError, Status.COULD_NOT_VERIFY),
        (CredentialsRefusedError, Status.COULD_NOT_VERIFY),
        (CouldNotVerifyError, Status.COULD_NOT_VERIFY),
        (PermanentError, Status.FAIL),
        (UsageError, Status.FAIL),
    ],
)
def test_doctor_says_unknown_of_what_it_could_not_see(error: type[BcpError], status: Status) -> None:
    def look() -> list[Check]:
        raise error("It failed.", "Do this.")

    assert guarded("part", look) == [Check("part", status, "It failed.", "Do this.")]
    assert guarded("part", list) == []
