"""The writing client: what is sent, what is refused, and the only delete there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest

from raxx_bcp.clients.http import Answer
from raxx_bcp.clients.infisical_errors import DeniedError
from raxx_bcp.clients.infisical_writer import InfisicalWriter, NewSecret, NewTag, TooOldError
from raxx_bcp.errors import PermanentError, TransientError, UnreadableAnswerError
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.clients.servers import Reply, scripted
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, FakeClock
from raxx_bcp_tests.vault.restoring import Target, small_world, target

THROWAWAY = "raxx-drill-"


@pytest.fixture
def there() -> Iterator[Target]:
    with target() as served:
        yield served


def _made(writer: InfisicalWriter, slug: str = "raxx-drill-one") -> str:
    return writer.create_project("One", slug, None, "secret-manager").id


def test_the_status_needs_no_login(there: Target) -> None:
    status = there.writer().status()
    assert status.message == "Ok"
    assert status.date.endswith("Z")
    assert there.wire.reads == ["GET /api/status"]


def test_a_vault_whose_database_is_gone_says_so() -> None:
    broken = Reply(b'{"message":"The database is not usable"}', 500)
    with scripted(broken) as served, pytest.raises(TransientError, match="answered GET /api/status with 500"):
        InfisicalWriter(served.url, "id", "secret", sleep=lambda _seconds: None).status()
    with scripted(Reply(b"[]")) as served, pytest.raises(UnreadableAnswerError, match="a body that is not the API's"):
        InfisicalWriter(served.url, "id", "secret").status()
    with scripted(Reply(b"<html>", 404)) as served, pytest.raises(UnreadableAnswerError, match="with 404"):
        InfisicalWriter(served.url, "id", "secret").status()


def test_what_is_written_is_there(there: Target) -> None:
    with there.writer() as writer:
        project = _made(writer)
        tag = writer.create_tag(project, NewTag("critical", "#e03131"))
        writer.create_environment(project, "Dev", "dev", 1)
        writer.create_folder(project, "dev", "/a/b", "deep")
        row = NewSecret("KEY", "rxs_value", "said", True, [tag.id], [{"key": "k", "value": "v", "isEncrypted": False}])
        assert writer.create_secrets(project, "dev", "/a/b", [msgspec.Raw(msgspec.json.encode(row))])
        again = msgspec.structs.replace(row, secret_value="rxs_other", secret_reminder_repeat_days=30)
        assert writer.update_secrets(project, "dev", "/a/b", [msgspec.Raw(msgspec.json.encode(again))])
        writer.create_import(project, "dev", "/", ("dev", "/a/b"))
        assert writer.slug_is_taken("raxx-drill-one")
        assert not writer.slug_is_taken("raxx-drill-two")
        (listed,) = writer.projects()
        assert msgspec.json.decode(listed)["slug"] == "raxx-drill-one"
    folder = there.world.projects[project].environments["dev"].folders["/a/b"]
    secret = folder.secrets["KEY"]
    assert (secret.value, secret.comment, secret.skip_multiline) == ("rxs_other", "said", True)
    assert (secret.reminder_days, [one.slug for one in secret.tags], folder.description) == (30, ["critical"], "deep")
    assert "rxs_" not in repr(row)


def test_a_slug_of_a_project_that_is_not_ours_is_taken_all_the_same() -> None:
    with target(small_world()) as there, there.writer() as writer:
        assert writer.slug_is_taken("raxx-small")


def test_secrets_that_wait_for_approval_are_not_written(there: Target) -> None:
    with there.writer() as writer:
        project = _made(writer)
        writer.create_environment(project, "Dev", "dev", 1)
        there.faults.switch("vault-approvals", on=True)
        row = msgspec.Raw(msgspec.json.encode(NewSecret("KEY", "rxs_value")))
        assert not writer.create_secrets(project, "dev", "/", [row])
        assert not writer.update_secrets(project, "dev", "/", [row])
    assert there.world.secrets == {}


ROW = msgspec.Raw(msgspec.json.encode(NewSecret("KEY", "rxs_value")))
WRITES: list[Callable[[InfisicalWriter, str], object]] = [
    lambda writer, project: writer.create_tag(project, NewTag("t", "#fff")),
    lambda writer, project: writer.create_environment(project, "Later", "later", 1),
    lambda writer, project: writer.create_folder(project, "dev", "/x", None),
    lambda writer, project: writer.create_secrets(project, "dev", "/", [ROW]),
    lambda writer, project: writer.create_import(project, "dev", "/", ("dev", "/a")),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_is_denied_is_never_taken_for_done(write: Callable[[InfisicalWriter, str], object]) -> None:
    with target(small_world()) as there:
        project = there.world.project_by_slug("raxx-small")
        assert project is not None
        with there.writer(CREDENTIALS.exporter) as writer, pytest.raises(DeniedError) as caught:
            write(writer, project.id)
    assert "rxs_" not in everything_shown(caught.value)


def test_too_weak_to_make_a_project(there: Target) -> None:
    with there.writer(CREDENTIALS.exporter) as writer, pytest.raises(DeniedError, match="role is too weak"):
        _made(writer)
    assert there.world.projects == {}


def test_a_write_that_broke_off_is_not_sent_again(there: Target) -> None:
    with there.writer() as writer:
        for after in (False, True):
            there.wire.fail_at, there.wire.after = len(there.wire.writes), after
            with pytest.raises(TransientError, match="was done is not known") as caught:
                _made(writer, f"raxx-drill-{after}".lower())
            assert "Run the same restore again" in caught.value.remedy
    assert len(there.wire.writes) == 2
    assert [project.slug for project in there.world.projects.values()] == ["raxx-drill-true"]


def test_a_batch_that_is_answered_with_nothing_is_not_taken_for_done(there: Target) -> None:
    there.wire.status = 200
    with there.writer() as writer:
        project = _made(writer)
        writer.create_environment(project, "Dev", "dev", 1)
        there.wire.fail_at = len(there.wire.writes)
        with pytest.raises(UnreadableAnswerError, match="not with what was written"):
            writer.create_secrets(project, "dev", "/", [msgspec.Raw(b'{"secretKey":"K","secretValue":""}')])
        there.wire.fail_at = len(there.wire.writes)
        with pytest.raises(UnreadableAnswerError, match="a body that is not the API's"):
            _made(writer, "raxx-drill-two")


def test_an_older_server(there: Target) -> None:
    with there.writer() as writer:
        writer.require_v4()
    with target(without="/api/v4/") as old, old.writer() as writer:
        with pytest.raises(TooOldError, match="Nothing was written"):
            writer.require_v4()
        with pytest.raises(TooOldError, match="no route POST /api/v4/secrets/batch"):
            writer.create_secrets("x", "dev", "/", [])


def test_a_throwaway_is_deleted_and_one_that_is_gone_is_fine(there: Target) -> None:
    with there.writer(prefix=THROWAWAY) as writer:
        project = _made(writer)
        kept = _made(writer, "raxx-kept")
        writer.delete_project(project)
        writer.delete_project(project)
        assert list(there.world.projects) == [kept]
        with pytest.raises(PermanentError, match="raxx-kept is no throwaway of ours"):
            writer.delete_project(kept)
    assert list(there.world.projects) == [kept]
    assert [call for call in there.wire.writes if call.startswith("DELETE")] == [f"DELETE /api/v1/projects/{project}"]


def _asked(writer: InfisicalWriter, method: str, route: str) -> Answer:
    def send(headers: dict[str, str]) -> Answer:
        return writer._door.send(method, f"/api/v1/{route}", headers=headers)

    return writer._authorized(send)


def test_a_deletion_is_a_mark_that_frees_the_slug_and_keeps_the_rows_for_minutes(there: Target) -> None:
    with there.writer(prefix=THROWAWAY) as writer:
        project = _made(writer)
        writer.create_environment(project, "Dev", "dev", 1)
        assert writer.create_secrets(project, "dev", "/", [ROW])
        (secret,) = there.world.secrets
        answer = _asked(writer, "DELETE", f"projects/{project}")
        assert answer.status == 200
        marked = msgspec.json.decode(answer.body)["project"]
        assert (marked["id"], marked["slug"][:4], len(marked["slug"])) == (project, "del-", 36)
        assert [one["slug"] for one in marked["environments"]] == ["dev"]
        for route in (f"projects/{project}", "projects/slug/raxx-drill-one", f"projects/slug/{marked['slug']}"):
            assert _asked(writer, "GET", route).status == 404
        assert writer.projects() == []
        assert not writer.slug_is_taken("raxx-drill-one")
        assert secret not in there.world.secrets
        assert there.world.secret_rows() == 1
        assert isinstance(there.world.clock, FakeClock)
        there.world.clock.advance(300)
        assert there.world.secret_rows() == 0
        _made(writer)


def test_without_a_prefix_nothing_is_deleted(there: Target) -> None:
    with there.writer() as writer:
        project = _made(writer)
        with pytest.raises(PermanentError, match="no throwaway"):
            writer.delete_project(project)
    assert list(there.world.projects) == [project]


def test_a_project_that_may_not_be_looked_at_is_not_deleted() -> None:
    with target(small_world()) as there:
        (project, *_others) = there.world.projects
        with there.writer(prefix="raxx-") as writer, pytest.raises(DeniedError):
            writer.delete_project(project)
        with there.writer(CREDENTIALS.exporter, prefix="raxx-") as writer, pytest.raises(DeniedError, match="DELETE"):
            writer.delete_project(project)
        assert project in there.world.projects
