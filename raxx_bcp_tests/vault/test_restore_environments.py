"""Environments that are deleted in the target and hold their slugs, and environments in another order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raxx_bcp.errors import PermanentError, TransientError
from raxx_bcp.vault.opening import open_document
from raxx_bcp.vault.reading import diff
from raxx_bcp.vault.restore import Restored, carry_out, restore
from raxx_bcp.vault.restore_deleted import HeldEnvironmentError
from raxx_bcp.vault.restore_plan import Action, TargetNotEmptyError, plan_restore
from raxx_bcp_sandbox.infisical.state import Environment, Project
from raxx_bcp_sandbox.infisical.world import World
from raxx_bcp_tests.sandbox.infisical.support import FakeClock
from raxx_bcp_tests.vault.restoring import Target, plaintext_of, restorable_items, small_plaintext, small_world, target


@pytest.fixture(scope="module")
def small() -> bytes:
    return small_plaintext()


def _project(world: World) -> Project:
    found = world.project_by_slug("raxx-small")
    assert found is not None
    return found


def _there(change: Callable[[World], None]) -> World:
    """What the export holds, in a vault of another organisation, changed; the restore's identity is Admin."""
    world = small_world()
    world.org_id = "another-organisation"
    world.clock = FakeClock()
    identity = next(actor for actor in world.actors.values() if actor.name == "raxx-bcp-restore")
    for project in world.projects.values():
        world.add_member(project, identity, "admin")
    change(world)
    return world


def _prod_deleted(world: World) -> None:
    world.delete_environment(_project(world).environments["prod"])


def _dev_deleted(world: World) -> None:
    world.delete_environment(_project(world).environments["dev"])


def _both_deleted(world: World) -> None:
    _dev_deleted(world)
    _prod_deleted(world)


def _restored(there: Target, plaintext: bytes, **named: Any) -> Restored:
    with there.writer() as writer:
        return restore(open_document(plaintext), writer, **named)


def _order(world: World) -> list[str]:
    return [environment.slug for environment in _project(world).ordered_environments()]


def test_a_deleted_environment_that_holds_its_slug_is_said_in_words(small: bytes) -> None:
    with target(_there(_prod_deleted)) as there, pytest.raises(HeldEnvironmentError) as caught:
        _restored(there, small)
    assert "raxx-small/prod (kept until 2027-01-29)" in caught.value.what
    assert "Nothing was written" in caught.value.what
    assert "--undelete-environments" in caught.value.remedy
    assert there.wire.writes == []


@pytest.mark.parametrize("change", [_prod_deleted, _dev_deleted, _both_deleted])
def test_undeleted_it_is_equal_and_in_the_exports_order(small: bytes, change: Callable[[World], None]) -> None:
    with target(_there(change)) as there:
        done = _restored(there, small, undelete=True)
        assert done.ok
        assert done.compared.order == []
        assert (done.compared.equal["environment"], done.compared.differing("environment")) == (4, 0)
        assert done.compared.equal_count == 30
        assert _order(there.world) == ["dev", "prod"]
        assert restorable_items(there.world) == restorable_items(small_world())
        assert {call.split()[0] for call in there.wire.writes} <= {"POST", "PATCH"}
        writes = len(there.wire.writes)
        assert _restored(there, small).ok
        assert len(there.wire.writes) == writes


def test_an_undeleted_environment_is_completed(small: bytes) -> None:
    def change(world: World) -> None:
        del _project(world).environments["prod"].folders["/"].secrets["ONE"]
        _prod_deleted(world)

    with target(_there(change)) as there:
        assert _restored(there, small, undelete=True).ok
        assert restorable_items(there.world) == restorable_items(small_world())


def test_what_an_undeleted_environment_holds_of_others_is_in_the_way_only_then(small: bytes) -> None:
    def change(world: World) -> None:
        secret = _project(world).environments["prod"].folders["/"].secrets["ONE"]
        secret.value, secret.encoded = "rxs_somebody_elses", None
        _prod_deleted(world)

    with target(_there(change)) as there:
        with pytest.raises(PermanentError, match=r"brought back \(prod\) is not as in the export") as caught:
            _restored(there, small, undelete=True)
        assert "raxx-small/prod/ONE" in caught.value.what
        assert "1 items are written" in caught.value.what
        assert "--overwrite raxx-small" in caught.value.remedy
        assert there.wire.writes == [there.wire.writes[0]]
        with pytest.raises(TargetNotEmptyError):
            _restored(there, small)
        assert _restored(there, small, overwrite=["raxx-small"]).ok


def test_what_is_in_the_way_elsewhere_is_found_before_anything_is_undeleted(small: bytes) -> None:
    def change(world: World) -> None:
        secret = _project(world).environments["dev"].folders["/"].secrets["ONE"]
        secret.value, secret.encoded = "rxs_somebody_elses", None
        _prod_deleted(world)

    with target(_there(change)) as there, pytest.raises(TargetNotEmptyError, match="1 that differ"):
        _restored(there, small, undelete=True)
    assert there.wire.writes == []


def test_the_plan_says_what_is_brought_back(small: bytes) -> None:
    with target(_there(_prod_deleted)) as there, there.writer() as writer:
        plan = plan_restore(open_document(small), writer, undelete=True)
        assert [(one.action, [held.slug for held in one.held]) for one in plan.projects] == [
            (Action.NOTHING, []),
            (Action.COMPLETE, ["prod"]),
        ]
        assert plan.as_dict()["projects"][1]["undelete"] == ["prod"]
        assert plan.writes


def test_the_option_changes_nothing_where_nothing_is_deleted(small: bytes) -> None:
    with target(_there(lambda _world: None)) as there:
        assert _restored(there, small, undelete=True).ok
    assert there.wire.writes == []


def test_an_environment_that_is_deleted_for_good_is_made_anew(small: bytes) -> None:
    world = _there(_prod_deleted)
    project = _project(world)
    for folder in project.environments["dev"].folders.values():
        folder.imports = [link for link in folder.imports if link.source.slug != "prod"]
    with target(world) as there:
        assert isinstance(there.world.clock, FakeClock)
        there.world.clock.advance(14 * 86_400)
        assert _restored(there, small).ok
        assert _order(there.world) == ["dev", "prod"]


@pytest.mark.parametrize("after", [False, True], ids=["refused", "done, answer lost"])
@pytest.mark.parametrize("number", range(2))
def test_broken_off_while_undeleting_a_second_run_ends_equal(small: bytes, number: int, after: bool) -> None:  # noqa: FBT001
    with target(_there(_both_deleted)) as there:
        there.wire.fail_at, there.wire.after = number, after
        with pytest.raises(TransientError):
            _restored(there, small, undelete=True)
        assert _restored(there, small, undelete=True).ok
        assert restorable_items(there.world) == restorable_items(small_world())


# -- order -----------------------------------------------------------------------------------------------


def _positions(**of: int) -> Callable[[World], None]:
    def change(world: World) -> None:
        for slug, position in of.items():
            _project(world).environments[slug].position = position

    return change


@pytest.mark.parametrize("change", [_positions(dev=2, prod=1), _positions(dev=9, prod=4), _positions(dev=3, prod=2)])
def test_order_alone_is_put_right(small: bytes, change: Callable[[World], None]) -> None:
    with target(_there(change)) as there:
        with there.writer() as writer:
            plan = plan_restore(open_document(small), writer)
            assert [one.action for one in plan.projects] == [Action.NOTHING, Action.REORDER]
            done = carry_out(plan, writer)
        assert done.ok
        assert done.compared.order == []
        assert _order(there.world) == ["dev", "prod"]
        assert {call.split()[0] for call in there.wire.writes} == {"PATCH"}
        assert done.written.items["environment"] == 0


def test_three_environments_in_every_order_and_an_extra_one_between(small: bytes) -> None:
    """The rule by which others move along is the server's own: whatever it is, the end is the wanted order."""
    world = small_world()
    world.add_environment(_project(world), "QA", "qa")
    with target(world) as source:
        document = open_document(plaintext_of(source.address))

    def change(there: World) -> None:
        there.add_environment(_project(there), "QA", "qa")
        there.add_environment(_project(there), "Later", "later")
        for slug, position in {"qa": 1, "later": 2, "prod": 2, "dev": 7}.items():
            _project(there).environments[slug].position = position

    with target(_there(change)) as there, there.writer() as writer:
        done = restore(document, writer, overwrite=["raxx-small"])
        assert [slug for slug in _order(there.world) if slug != "later"] == ["dev", "prod", "qa"]
    assert done.compared.order == []
    assert [(one.kind, one.where) for one in done.compared.different] == [("environment", "raxx-small/later")]


def test_where_the_vault_refuses_to_reorder_the_order_differs_and_nothing_else(small: bytes) -> None:
    said: list[str] = []
    with target(_there(_positions(dev=2, prod=1))) as there:
        there.wire.fail_at, there.wire.status = 0, 403
        done = _restored(there, small, progress=said.append)
    assert done.ok
    (order,) = done.compared.order
    assert (order.kind, order.where, order.why) == (
        "order",
        "raxx-small",
        "environments are prod, dev; wanted dev, prod",
    )
    assert done.as_dict()["order_differs"] == [order._asdict()]
    assert (done.compared.equal["environment"], done.compared.differing("environment")) == (4, 0), "each once"
    assert any("the order of its environments stays as it is" in line for line in said)


def test_a_reorder_that_is_broken_off_is_gone_on_from(small: bytes) -> None:
    with target(_there(_positions(dev=2, prod=1))) as there:
        there.wire.fail_at, there.wire.after = 0, True
        with pytest.raises(TransientError):
            _restored(there, small)
        assert _restored(there, small).ok
        assert _order(there.world) == ["dev", "prod"]


def test_an_environment_that_is_missing_between_others_is_made_in_its_place(small: bytes) -> None:
    def change(world: World) -> None:
        project = _project(world)
        for folder in (f for e in project.environments.values() for f in e.folders.values()):
            folder.imports = [link for link in folder.imports if link.source.slug != "dev"]
        _gone(project.environments["dev"])
        project.environments["prod"].position = 1

    with target(_there(change)) as there:
        assert _restored(there, small, overwrite=["raxx-small"]).compared.order == []
        assert _order(there.world) == ["dev", "prod"]


def _gone(environment: Environment) -> None:
    del environment.project.environments[environment.slug]


def test_two_exports_that_differ_in_order_alone_name_the_project(small: bytes) -> None:
    with target(_there(_positions(dev=2, prod=1))) as there:
        changes = diff(open_document(small), there.document())
    assert not changes.equal
    assert [(one.kind, one.where) for one in changes.changed] == [("order", "raxx-small")]
    assert changes.equal_count == 30
