"""The Platform API: apps, add-ons, attachments and config vars."""

from __future__ import annotations

from raxx_bcp_sandbox.heroku import shapes
from raxx_bcp_sandbox.heroku.call import Call, Listing, Reply
from raxx_bcp_sandbox.heroku.errors import confirmation_required, invalid, not_found
from raxx_bcp_sandbox.heroku.plans import plan_named
from raxx_bcp_sandbox.heroku.world import DATABASE


def account(_call: Call) -> Reply:
    """The owner of the key."""
    return Reply(shapes.account())


def list_apps(call: Call) -> Listing:
    """Every app that the account can see."""
    return Listing([shapes.app(each) for each in call.world.apps()])


def create_app(call: Call) -> Reply:
    """A new personal app."""
    app = call.world.create_app(call.text("name"), region=call.text_in("region", "name", "us"))
    return Reply(shapes.app(app), 201)


def create_team_app(call: Call) -> Reply:
    """A new app in a team. The sandbox's account is in every team."""
    region, team = call.text_in("region", "name", "us"), call.text_in("team", "name")
    if not team:
        raise invalid("team is required")
    return Reply(shapes.app(call.world.create_app(call.text("name"), region=region, team=team)), 201)


def get_app(call: Call) -> Reply:
    """One app."""
    return Reply(shapes.app(call.app))


def delete_app(call: Call) -> Reply:
    """Delete an app with its databases; the answer shows what it was."""
    app = call.app
    shape = shapes.app(app)
    call.world.delete_app(app)
    return Reply(shape)


def nothing_of_app(call: Call) -> Listing:
    """The dynos, or the collaborators; the sandbox's apps have neither."""
    call.world.app(call.path["app"])
    return Listing([])


def no_pipeline(call: Call) -> Reply:
    """The app's place in a pipeline: it is in none."""
    call.world.app(call.path["app"])
    raise not_found()


def list_addons(call: Call) -> Listing:
    """The databases of an app."""
    app = call.app
    return Listing([shapes.addon(each, app) for each in call.world.addons(app)])


def create_addon(call: Call) -> Reply:
    """A new database of the server's version.

    Any other version is refused, as Heroku refuses what it does not offer.
    """
    app, world = call.app, call.world
    plan = plan_named(call.text_in("plan", "name"))
    version = call.text_in("config", "version", world.server.major)
    if version != world.server.major:
        raise invalid(f"PostgreSQL {version} is not available, only {world.server.major}")
    wanted = call.text_in("attachment", "name")
    if wanted == DATABASE and call.text("confirm") != app.name and DATABASE in _attachments(call):
        raise confirmation_required("Adding heroku-postgresql will overwrite existing vars")
    addon = world.create_addon(app, plan, call.text("name"))
    return Reply(shapes.addon(addon, app), 201)


def get_addon(call: Call) -> Reply:
    """One database of an app."""
    app = call.app
    return Reply(shapes.addon(call.world.addon(call.path["addon"], app), app))


def get_any_addon(call: Call) -> Reply:
    """One database, whichever app's."""
    addon = call.world.addon(call.path["addon"])
    return Reply(shapes.addon(addon, call.world.app(addon.app_id)))


def delete_addon(call: Call) -> Reply:
    """Drop a database."""
    app = call.app
    addon = call.world.addon(call.path["addon"], app)
    shape = shapes.addon(addon, app)
    call.world.delete_addon(addon)
    return Reply({**shape, "state": "deprovisioned"})


def list_attachments(call: Call) -> Listing:
    """The databases of an app, under the names that the app has for them."""
    app = call.app
    return Listing([shapes.attachment(each, app) for each in call.world.addons(app)])


def all_attachments(call: Call) -> Listing:
    """Every database of the account, under the names that apps have for them."""
    world = call.world
    return Listing([shapes.attachment(each, world.app(each.app_id)) for each in world.addons()])


def attachments_of_addon(call: Call) -> Listing:
    """Where one database is attached."""
    addon = call.world.addon(call.path["addon"])
    return Listing([shapes.attachment(addon, call.world.app(addon.app_id))])


def resolve_addon(call: Call) -> Reply:
    """Find databases by name, id or attachment."""
    world, name = call.world, call.text("addon")
    app = world.app(call.text("app")) if call.text("app") else None
    if app is not None and name.upper() in {f"{each}{end}" for each in _of(call) for end in ("", "_URL")}:
        addon = world.attached(app, name)
    else:
        addon = world.addon(name, app)
    return Reply([shapes.addon(addon, world.app(addon.app_id))])


def resolve_attachment(call: Call) -> Reply:
    """Find attachments by name or config var."""
    app = call.world.app(call.text("app"))
    addon = call.world.attached(app, call.text("addon_attachment"))
    return Reply([shapes.attachment(addon, app)])


def config_vars(call: Call) -> Reply:
    """The config vars of an app: secrets."""
    return Reply(call.world.config(call.app))


def change_config_vars(call: Call) -> Reply:
    """Set config vars; null removes one."""
    app = call.app
    for name, value in call.body.items():
        if value is None:
            app.config.pop(name, None)
        elif isinstance(value, str):
            app.config[name] = value
        else:
            raise invalid(f"Invalid value for {name}")
    call.world.store.put(app)
    return Reply(call.world.config(app))


def _attachments(call: Call) -> set[str]:
    return {each.attachment for each in call.world.addons(call.app)}


def _of(call: Call) -> set[str]:
    app = call.world.app(call.text("app"))
    return {each.attachment for each in call.world.addons(app)}
