"""A restore on a real wire: whole, interrupted at every call, and into vaults that are not as they should be."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.clients.infisical_errors import DeniedError, LoginRefusedError
from raxx_bcp.clients.infisical_writer import (
    BODY_LIMIT_BYTES,
    SERVER_BODY_LIMIT_BYTES,
    InfisicalWriter,
    TooOldError,
    batch_bytes,
)
from raxx_bcp.errors import BcpError, CouldNotVerifyError, PermanentError, TransientError, UsageError
from raxx_bcp.vault.compare import TRIMMED_COMMENTS, TRIMMED_VALUES
from raxx_bcp.vault.opening import OpenedExport, open_document, secret_of
from raxx_bcp.vault.restore import HELD_BACK, REFUSED_SIZE, carry_out, restore
from raxx_bcp.vault.restore_plan import TOO_LARGE, Action, TargetNotEmptyError, plan_restore
from raxx_bcp.vault.secret_batches import row_of
from raxx_bcp_sandbox.infisical.identities import Login, add_identities
from raxx_bcp_sandbox.infisical.seed import SeedClock, blank_world, raxx_world
from raxx_bcp_sandbox.infisical.world import World
from raxx_bcp_tests.clients.leaks import everything_shown
from raxx_bcp_tests.clients.servers import Reply, scripted
from raxx_bcp_tests.sandbox.infisical.support import CREDENTIALS, FakeClock
from raxx_bcp_tests.vault.restoring import (
    Target,
    plaintext_of,
    raxx_plaintext,
    restorable_items,
    small_plaintext,
    small_world,
    target,
)

SMALL_WRITES = 28
SMALL = ("raxx-other", "raxx-small")


@pytest.fixture(scope="module")
def raxx() -> bytes:
    return raxx_plaintext()


@pytest.fixture(scope="module")
def small() -> bytes:
    return small_plaintext()


def _restored(there: Target, document: OpenedExport, **named: Any) -> Any:
    with there.writer() as writer:
        return restore(document, writer, **named)


def test_everything_comes_back_and_a_second_run_writes_nothing(raxx: bytes) -> None:
    document = open_document(raxx)
    with target() as there:
        first = _restored(there, document)
        assert first.ok
        assert first.compared.equal_count == sum(first.written.items.values()) == 426
        assert restorable_items(there.world) == restorable_items(raxx_world(CREDENTIALS, FakeClock()))
        writes = len(there.wire.writes)
        second = _restored(there, document)
    assert second.ok
    assert len(there.wire.writes) == writes
    assert second.compared.as_dict() == first.compared.as_dict()
    assert [project.slug for project in second.projects] == [project.slug for project in first.projects]


def test_the_export_of_what_was_restored_is_the_export(small: bytes) -> None:
    document = open_document(small)
    with target() as there:
        _restored(there, document)
        again = there.document()
    assert again.counts() == document.counts()
    one = [secret_of(raw).secret_value for project in document.projects for f in project.folders() for raw in f.secrets]
    two = [secret_of(raw).secret_value for project in again.projects for f in project.folders() for raw in f.secrets]
    assert one == two


@pytest.mark.parametrize("after", [False, True], ids=["refused", "done, answer lost"])
@pytest.mark.parametrize("number", range(SMALL_WRITES))
def test_broken_off_at_any_call_a_second_run_ends_equal(small: bytes, number: int, after: bool) -> None:  # noqa: FBT001
    document = open_document(small)
    with target() as there:
        there.wire.fail_at, there.wire.after = number, after
        with pytest.raises(TransientError) as caught:
            _restored(there, document)
        assert "Run the same restore again" in caught.value.remedy
        told = "nothing for certain" if number == 0 else "run it again to go on"
        assert told in caught.value.what
        assert _restored(there, document).ok
        assert restorable_items(there.world) == restorable_items(small_world())
    repeated = 0 if after else 1
    assert len(there.wire.writes) == SMALL_WRITES + repeated


def test_the_number_of_calls_that_were_broken_off_is_all_of_them(small: bytes) -> None:
    with target() as there:
        assert _restored(there, open_document(small)).written.calls == SMALL_WRITES


def test_a_connection_that_breaks_after_each_kind_of_write_is_gone_on_from(raxx: bytes) -> None:
    document = open_document(raxx)
    with target() as there:
        there.faults.switch("vault-write-lost", on=True)
        for _kind_of_write in range(7):  # setting reminders is one of its own
            with pytest.raises(TransientError, match="cannot be reached"):
                _restored(there, document)
        assert _restored(there, document).ok
        assert restorable_items(there.world) == restorable_items(raxx_world(CREDENTIALS, FakeClock()))


def test_an_interruption_by_hand_says_how_far_it_came(small: bytes) -> None:
    said: list[str] = []

    def stop(message: str) -> None:
        said.append(message)
        if message.startswith("wrote raxx-small/dev"):
            raise KeyboardInterrupt

    with target() as there:
        with pytest.raises(KeyboardInterrupt):
            _restored(there, open_document(small), progress=stop)
        assert said[-1].startswith("interrupted. ")
        assert "written whole: raxx-other; not whole: raxx-small" in said[-1]
        assert _restored(there, open_document(small)).ok


def test_what_waits_for_approval_is_not_restored(small: bytes) -> None:
    with target() as there:
        there.faults.switch("vault-approvals", on=True)
        held = _restored(there, open_document(small))
        assert not held.ok
        assert held.approvals == 12
        assert {one.why for one in held.compared.different} == {HELD_BACK}
        assert held.written.items["secret"] == 0
        there.faults.switch("vault-approvals", on=False)
        assert _restored(there, open_document(small)).ok


def test_one_project_under_another_slug(small: bytes) -> None:
    made: list[str] = []
    with target() as there:
        restored = _restored(
            there,
            open_document(small),
            slug_of=lambda slug: f"raxx-drill-{slug}",
            projects=["raxx-small"],
            created=lambda project: made.append(project.slug),
        )
        assert restored.ok
        assert [project.slug for project in restored.projects] == made == ["raxx-drill-raxx-small"]
        assert [one.slug for one in there.world.projects.values()] == made


def _changed(change: Callable[[World], None], org_id: str = "another-organisation") -> World:
    """What the export holds in a vault of another organisation, changed; the restore's identity is Admin in it."""
    world = small_world()
    world.org_id = org_id
    for project in world.projects.values():
        restore_identity = next(actor for actor in world.actors.values() if actor.name == "raxx-bcp-restore")
        world.add_member(project, restore_identity, "admin")
    change(world)
    return world


def _value(world: World) -> None:
    secret = world.projects[_id(world)].environments["dev"].folders["/"].secrets["ONE"]
    secret.value = "rxs_somebody_elses"
    secret.encoded = None


def _id(world: World) -> str:
    found = world.project_by_slug("raxx-small")
    assert found is not None
    return found.id


def _extra_secret(world: World) -> None:
    owner = next(actor for actor in world.actors.values() if actor.kind == "user")
    world.add_secret(world.projects[_id(world)].environments["prod"].folders["/"], "NEWER", "rxs_new", actor=owner)


def _extra_folder(world: World) -> None:
    world.add_folder(world.projects[_id(world)].environments["prod"], "/later")


def _extra_environment(world: World) -> None:
    world.add_environment(world.projects[_id(world)], "Later", "later")


def _extra_tag(world: World) -> None:
    owner = next(actor for actor in world.actors.values() if actor.kind == "user")
    world.add_tag(world.projects[_id(world)], "later", "#000000", owner)


def _extra_import(world: World) -> None:
    dev = world.projects[_id(world)].environments["dev"]
    world.add_import(dev.folders["/a/b"], dev, "/")


def _twin_import(world: World) -> None:
    dev = world.projects[_id(world)].environments["dev"]
    world.add_import(dev.folders["/"], dev, "/a/b")


def _import_order(world: World) -> None:
    links = world.projects[_id(world)].environments["dev"].folders["/"].imports
    links[0].position, links[1].position = 2, 1


def _lost_first_import(world: World) -> None:
    del world.projects[_id(world)].environments["dev"].folders["/"].imports[0]


def _comment(world: World) -> None:
    _touched(world).comment = "another"


def _multiline(world: World) -> None:
    _touched(world).skip_multiline = True


def _no_tags(world: World) -> None:
    _touched(world).tags = []


def _metadata(world: World) -> None:
    _touched(world).metadata = [{"key": "owner", "value": "x", "isEncrypted": False}]


def _touched(world: World) -> Any:
    secret = world.projects[_id(world)].environments["dev"].folders["/"].secrets["ONE"]
    secret.encoded = None
    return secret


def _reminder(world: World) -> None:
    secret = world.projects[_id(world)].environments["dev"].folders["/"].secrets["TWO"]
    secret.reminder_days, secret.encoded = 31, None


def _project_name(world: World) -> None:
    world.projects[_id(world)].name = "Another"


def _project_description(world: World) -> None:
    world.projects[_id(world)].description = None


def _tag_color(world: World) -> None:
    world.projects[_id(world)].tags["critical"].color = "#000000"


def _environment_name(world: World) -> None:
    world.projects[_id(world)].environments["dev"].name = "Another"


def _folder_description(world: World) -> None:
    world.projects[_id(world)].environments["dev"].folders["/a/b"].description = "another"


DIFFERENCES: list[tuple[Callable[[World], None], str, str, str]] = [
    (_value, "secret", "raxx-small/dev/ONE", "value"),
    (_comment, "secret", "raxx-small/dev/ONE", "comment"),
    (_multiline, "secret", "raxx-small/dev/ONE", "multi-line encoding"),
    (_no_tags, "secret", "raxx-small/dev/ONE", "tags"),
    (_metadata, "secret", "raxx-small/dev/ONE", "metadata"),
    (_reminder, "secret", "raxx-small/dev/TWO", "reminder"),
    (_extra_secret, "secret", "raxx-small/prod/NEWER", "extra"),
    (_extra_folder, "folder", "raxx-small/prod/later", "extra"),
    (_extra_environment, "environment", "raxx-small/later", "extra"),
    (_extra_tag, "tag", "raxx-small#later", "extra"),
    (_extra_import, "import", "raxx-small/dev/a/b <- dev:/", "extra"),
    (_twin_import, "import", "raxx-small/dev/ <- dev:/a/b", "extra"),
    (_import_order, "import", "raxx-small/dev/ <- dev:/a/b", "position"),
    (_lost_first_import, "import", "raxx-small/dev/ <- dev:/a/b", "missing, and others that come after it are there"),
    (_project_name, "project", "raxx-small", "name"),
    (_project_description, "project", "raxx-small", "description"),
    (_tag_color, "tag", "raxx-small#critical", "color"),
    (_environment_name, "environment", "raxx-small/dev", "name"),
    (_folder_description, "folder", "raxx-small/dev/a/b", "description"),
]


@pytest.mark.parametrize(("change", "kind", "where", "why"), DIFFERENCES, ids=lambda one: getattr(one, "__name__", ""))
def test_a_project_that_differs_in_anything_is_in_the_way(
    small: bytes, change: Callable[[World], None], kind: str, where: str, why: str
) -> None:
    with target(_changed(change)) as there:
        with pytest.raises(TargetNotEmptyError) as caught:
            _restored(there, open_document(small))
        assert there.wire.writes == []
        assert where in caught.value.what
        assert "Nothing was written" in caught.value.what
        assert "--overwrite raxx-small" in caught.value.remedy
        assert "raxx-other" not in caught.value.what
        forced = _restored(there, open_document(small), overwrite=["raxx-small"])
    mended = kind == "secret" and why != "extra"
    assert forced.ok is mended
    found = [(one.kind, one.where, one.why) for one in forced.compared.different]
    if why.startswith("missing"):  # appended behind the one that was there: the order is not what it was
        assert {one.why for one in forced.compared.different} == {"position"}
    else:
        assert ((kind, where, why) in found) is not mended


def test_a_project_that_is_equal_is_left_alone(small: bytes) -> None:
    with target(_changed(lambda _world: None)) as there, there.writer() as writer:
        plan = plan_restore(open_document(small), writer)
        assert {project.action for project in plan.projects} == {Action.NOTHING}
        assert carry_out(plan, writer).ok
    assert there.wire.writes == []


def test_what_is_no_ones_business_is_named_and_left_alone(small: bytes) -> None:
    def change(world: World) -> None:
        identity = next(actor for actor in world.actors.values() if actor.name == "raxx-bcp-restore")
        world.add_project("Ours", "raxx-ours", creator=identity)

    with target(_changed(change)) as there, there.writer() as writer:
        plan = plan_restore(open_document(small), writer, projects=["raxx-other"])
    assert plan.others == ("raxx-ours",)
    assert plan.not_chosen == ("raxx-small",), "the export has it: it was not asked for"
    assert [project.slug for project in plan.projects] == ["raxx-other"]


def test_what_starts_anew_is_named_reminders_too(small: bytes, raxx: bytes) -> None:
    with target() as there, there.writer() as writer:
        notes = "\n".join(plan_restore(open_document(small), writer).notes)
        assert "the next dates of 4 reminders: each starts anew on the day of the restore" in notes
        assert "rotation" not in notes
        plan = plan_restore(open_document(raxx), writer)
        assert [note.split(":")[0] for note in plan.notes[-2:]] == [
            "the next dates of 3 reminders",
            "the rotation of 3 secrets",
        ]

    def forgotten(document: dict[str, Any]) -> None:
        for secret in (
            s for p in document["projects"] for e in p["environments"] for f in e["folders"] for s in f["secrets"]
        ):
            secret.update(secretReminderNote=None, secretReminderRepeatDays=None)

    with target() as there, there.writer() as writer:
        assert "reminder" not in "\n".join(plan_restore(_altered(small, forgotten), writer).notes)


def test_a_slug_that_somebody_else_has_is_found_before_anything_is_written(small: bytes) -> None:
    with target(small_world()) as there, pytest.raises(TargetNotEmptyError, match="has not joined it"):
        _restored(there, open_document(small))
    assert there.wire.writes == []


def test_a_project_that_the_export_does_not_have_is_wrong_use(small: bytes) -> None:
    with target() as there:
        for named in ({"projects": ["raxx-none"]}, {"overwrite": ["raxx-none"]}):
            with pytest.raises(UsageError, match="no project raxx-none") as caught:
                _restored(there, open_document(small), **named)
            assert "raxx-small" in caught.value.remedy
    assert there.wire.writes == []


def test_a_slug_that_the_vault_would_not_take_is_refused_before_anything_is_written(small: bytes) -> None:
    with target() as there, pytest.raises(PermanentError, match="would not take 'no'"):
        _restored(there, open_document(small), slug_of=lambda _slug: "no")
    assert there.wire.writes == []


def test_an_identity_that_is_too_weak_to_make_projects(small: bytes) -> None:
    with target() as there:
        with there.writer(CREDENTIALS.exporter) as writer, pytest.raises(CouldNotVerifyError) as caught:
            restore(open_document(small), writer)
        assert "organisation role is too weak" in caught.value.what
        assert "has written nothing" in caught.value.what
        assert "organisation role Member" in caught.value.remedy
        assert there.world.projects == {}


def test_an_identity_that_may_only_look_at_the_project(small: bytes) -> None:
    def looks_only(world: World) -> None:
        project = world.projects[_id(world)]
        identity = next(actor for actor in world.actors.values() if actor.name == "raxx-bcp-restore")
        world.add_member(project, identity, "viewer")
        del project.environments["prod"].folders["/"].secrets["ONE"]

    denied = pytest.raises(CouldNotVerifyError, match="denies this machine identity POST")
    with target(_changed(looks_only)) as there, denied as caught:
        _restored(there, open_document(small))
    assert "role Admin" in caught.value.remedy


def test_a_server_without_v4_is_found_before_anything_is_written(small: bytes) -> None:
    with target(without="/api/v4/") as there, pytest.raises(TooOldError, match="no API v4"):
        _restored(there, open_document(small))
    assert there.wire.writes == []


def test_a_login_that_is_refused_names_the_restores_variables(small: bytes) -> None:
    with (
        target() as there,
        pytest.raises(LoginRefusedError) as caught,
        there.writer(Login("restore-client-id", "wrong")) as writer,
    ):
        restore(open_document(small), writer)
    assert "INFISICAL_RESTORE_CLIENT_ID and _SECRET" in caught.value.remedy


@pytest.mark.parametrize(
    ("reply", "words", "remedy"),
    [
        (
            Reply(b"<html>hello</html>", content_type="text/html"),
            "not as an Infisical server does",
            "Check that --to is",
        ),
        (Reply(b"{}"), "not as an Infisical server does", "Check that --to is"),
        (Reply(b'{"message":"Route POST:/api not found"}', 404), "has no route", "or correct --to"),
        (Reply(b"<html>", 404, content_type="text/html"), "a body that is not the API's", "check that the address"),
    ],
    ids=["a web site", "another API", "an API without the route", "a page not found"],
)
def test_an_address_that_is_no_vault_speaks_of_what_it_was_given_by(reply: Reply, words: str, remedy: str) -> None:
    with (
        scripted(reply) as served,
        pytest.raises(BcpError, match=words) as caught,
        InfisicalWriter(served.url, "id", "secret"),
    ):
        pass
    assert remedy in caught.value.remedy
    assert "INFISICAL_URL" not in str(caught.value)


def test_the_exporters_own_client_still_speaks_of_its_variable() -> None:
    page = Reply(b"<html>hello</html>", content_type="text/html")
    with (
        scripted(page) as served,
        pytest.raises(BcpError, match="not as an Infisical server does") as caught,
        Infisical(served.url, "id", "secret"),
    ):
        pass
    assert "Check that INFISICAL_URL is" in caught.value.remedy


def test_a_vault_that_is_down_is_worth_another_try(small: bytes) -> None:
    with target() as there:
        there.faults.switch("vault-down", on=True)
        with pytest.raises(TransientError):
            _restored(there, open_document(small))


def test_calls_that_the_vault_has_no_time_for_are_sent_again(small: bytes) -> None:
    with target() as there:
        there.faults.switch("vault-rate-limited", on=True)
        assert _restored(there, open_document(small)).ok


def test_a_token_that_expires_on_the_way_is_replaced(small: bytes) -> None:
    with target() as there:
        there.faults.switch("vault-token-expires", on=True)
        clock = there.world.clock
        assert isinstance(clock, FakeClock)
        assert _restored(there, open_document(small), progress=lambda _message: clock.advance(3)).ok


def _altered(plaintext: bytes, change: Callable[[dict[str, Any]], None]) -> OpenedExport:
    document = msgspec.json.decode(plaintext)
    change(document)
    return open_document(msgspec.json.encode(document))


def _root(document: dict[str, Any]) -> dict[str, Any]:
    folders = document["projects"][1]["environments"][0]["folders"]
    found: dict[str, Any] = next(folder for folder in folders if folder["path"] == "/")
    return found


def test_what_no_call_can_bring_back_is_named_and_everything_else_restored(small: bytes) -> None:
    def change(document: dict[str, Any]) -> None:
        root = _root(document)
        big = copy.deepcopy(root["secrets"][0])
        big.update(secretKey="HUGE", secretValue="rxs_huge" * 150_000)
        own = copy.deepcopy(root["secrets"][0])
        own.update(secretKey="MINE", type="personal")
        root["secrets"] += [big, own]
        root["imports"][0]["importEnv"]["projectId"] = "of-another-project"
        root["imports"][1]["isReplication"] = True

    document = _altered(small, change)
    with target() as there:
        restored = _restored(there, document)
        assert restored.compared.equal_count == 28, "everything else"
        root = there.world.projects[_id(there.world)].environments["dev"].folders["/"]
        there.world.add_secret(root, "HUGE", "rxs_by_hand", actor=next(iter(there.world.actors.values())))
        there.world.add_import(root, root.environment, "/a/b")
        writes = len(there.wire.writes)
        again = _restored(there, document)
        assert len(there.wire.writes) == writes
    assert again.compared.as_dict() == restored.compared.as_dict(), "what was set by hand is in nobody's way"
    assert not restored.compared.different
    assert not restored.ok, "not everything is there"
    reasons = {one.where: one.why for one in restored.compared.left_out}
    assert reasons == {
        "raxx-small/dev/HUGE": "larger than one request to the vault may be: set it by hand (raxx-bcp vault get)",
        "raxx-small/dev/MINE": "a personal override: its owner must set it",
        "raxx-small/dev/ <- dev:/a/b": "taken from another project, which the API does not offer",
        "raxx-small/dev/ <- prod:/": "a replication, which only the vendor's paid editions create",
    }


def test_what_the_server_trims_is_compared_as_trimmed_and_counted(small: bytes) -> None:
    def change(document: dict[str, Any]) -> None:
        secrets = _root(document)["secrets"]
        secrets[0].update(secretValue="  padded\n\n\n", secretComment=" said \n")
        secrets[1].update(secretValue="\u00a0 \n")

    with target() as there:
        restored = _restored(there, _altered(small, change))
        found = there.world.projects[_id(there.world)].environments["dev"].folders["/"].secrets
        assert found["ONE"].value == "padded\n"
        assert found["TWO"].value == ""
    assert restored.ok
    assert restored.compared.normalised == {TRIMMED_VALUES: 2, TRIMMED_COMMENTS: 1}


def test_no_request_is_larger_than_the_vault_takes() -> None:
    world = blank_world(SeedClock())
    exporter, _admin, _restore = add_identities(world, CREDENTIALS)
    owner = world.add_actor("ops@raxx.example", kind="user", org_role="admin")
    project = world.add_project("Large", "raxx-large", creator=owner, environments=[("Dev", "dev")])
    world.add_member(project, exporter, "viewer")
    folder = project.environments["dev"].folders["/"]
    for number in range(60):
        # Quotes, controls and non-ASCII: what counts is the length of what is sent, not of the value.
        world.add_secret(folder, f"KEY_{number:03}", f"rxs_{number}" + '"\\ü\x01' * 9_000, actor=owner)
    with target(world) as source:
        document = open_document(plaintext_of(source.address))
    with target() as there:
        restored = _restored(there, document)
    assert restored.ok
    assert 0.9 * BODY_LIMIT_BYTES < there.wire.largest_bytes <= BODY_LIMIT_BYTES
    assert sum(call.endswith("/batch") for call in there.wire.writes) == restored.written.calls - 2 > 3


def _with_large(plaintext: bytes, *values: str, **fields: Any) -> OpenedExport:
    """The small export with large secrets in raxx-small/dev, each with ``fields``."""

    def change(document: dict[str, Any]) -> None:
        root = _root(document)
        for number, value in enumerate(values):
            large = copy.deepcopy(next(one for one in root["secrets"] if one["secretKey"] == "ONE"))
            large.update(secretKey=f"LARGE_{number}", secretValue=value, **fields)
            root["secrets"].append(large)

    return _altered(plaintext, change)


def _room(small: bytes, fill: str) -> str:
    """The longest value of ``fill`` that a request of the server's own limit has room for."""
    document = _with_large(small, "")
    (raw,) = [raw for f in document.projects[1].folders() for raw in f.secrets if b"LARGE_0" in bytes(memoryview(raw))]
    room = SERVER_BODY_LIMIT_BYTES - batch_bytes("dev", "/") - row_of(secret_of(raw), {"critical": "0" * 36}).size_bytes
    each = len(msgspec.json.encode(fill)) - 2
    return fill * (room // each) + "x" * (room % each)


@pytest.mark.parametrize(
    "fill", ["x", "ü", "🌍", '"', "\x01"], ids=["ascii", "two bytes", "four bytes", "quotes", "control"]
)
def test_a_lone_secret_goes_up_to_the_servers_own_limit(small: bytes, fill: str) -> None:
    value = _room(small, fill)
    with target() as there:
        done = _restored(there, _with_large(small, value))
        assert done.ok, done.compared.as_dict()
        assert there.wire.largest_bytes == SERVER_BODY_LIMIT_BYTES
        found = there.world.projects[_id(there.world)].environments["dev"].folders["/"].secrets["LARGE_0"]
        assert found.value == value
        found.value, found.encoded = "rxs_changed", None
        assert _restored(there, _with_large(small, value), overwrite=["raxx-small"]).ok
        assert found.value == value
        over = _restored(there, _with_large(small, value, f"{value}x"), overwrite=["raxx-small"])
    assert [(one.where, one.why) for one in over.compared.left_out] == [("raxx-small/dev/LARGE_1", TOO_LARGE)]
    assert not over.ok


def test_large_secrets_go_alone_and_the_others_together(small: bytes) -> None:
    large = "x" * 1_020_000
    with target() as there:
        before = _restored(there, open_document(small)).written.calls
    with target() as there:
        done = _restored(there, _with_large(small, large, large))
    assert done.ok
    assert done.written.calls == before + 2


def test_a_reminder_that_would_not_fit_beside_a_large_value_goes_without_it(small: bytes) -> None:
    document = _with_large(small, _room(small, "x"), secretReminderNote="turn it", secretReminderRepeatDays=30)
    with target() as there:
        assert _restored(there, document).ok
        found = there.world.projects[_id(there.world)].environments["dev"].folders["/"].secrets["LARGE_0"]
        assert (found.reminder_note, found.reminder_days, len(found.value) > 1_000_000) == ("turn it", 30, True)


def test_what_a_proxy_before_the_vault_refuses_for_its_size_is_named_and_the_rest_restored(small: bytes) -> None:
    document = _with_large(small, "x" * 1_020_000)
    with target() as there:
        there.wire.proxy_limit_bytes = BODY_LIMIT_BYTES
        done = _restored(there, document)
        assert [(one.where, one.why) for one in done.compared.left_out] == [("raxx-small/dev/LARGE_0", REFUSED_SIZE)]
        assert not done.compared.different
        assert not done.ok
        assert done.compared.equal_count == 30
        there.wire.proxy_limit_bytes = 0
        assert _restored(there, document).ok


def test_a_proxy_that_refuses_an_ordinary_request_stops_the_restore(small: bytes) -> None:
    with target() as there:
        there.wire.proxy_limit_bytes = 300
        with pytest.raises(PermanentError, match="with 413"):
            _restored(there, open_document(small))


def test_no_value_is_shown_by_anything(small: bytes) -> None:
    document = open_document(small)
    said: list[str] = []
    with target() as there:
        with there.writer() as writer:
            plan = plan_restore(document, writer)
            done = carry_out(plan, writer, progress=said.append)
        shown = [repr(document), repr(plan), str(plan.as_dict()), repr(done), str(done.as_dict()), *said]
    with target(_changed(_value)) as there:
        with pytest.raises(BcpError) as caught:
            _restored(there, document)
        shown.append(everything_shown(caught.value))
    assert "rxs_" not in "\n".join(shown)
    assert len(said) == 6


def test_a_denied_read_is_not_taken_for_an_empty_vault(small: bytes) -> None:
    with target(_changed(lambda _world: None)) as there:
        identity = next(actor for actor in there.world.actors.values() if actor.name == "raxx-bcp-restore")
        there.world.add_member(there.world.projects[_id(there.world)], identity, "no-access")
        with pytest.raises(DeniedError):
            _restored(there, open_document(small))
    assert there.wire.writes == []
