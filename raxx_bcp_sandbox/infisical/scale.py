"""A vault of any size, for measurements: three projects of three environments each."""

from __future__ import annotations

import time

from raxx_bcp_sandbox.infisical.identities import Credentials, add_identities
from raxx_bcp_sandbox.infisical.seed import PLANS, SeedClock, blank_world, marker
from raxx_bcp_sandbox.infisical.shapes import encoded_secret
from raxx_bcp_sandbox.infisical.state import Clock, Folder
from raxx_bcp_sandbox.infisical.world import World

SECRETS = 50_000
FOLDERS = 20
VALUE_BYTES = 92


def scale_world(
    credentials: Credentials, secrets: int = SECRETS, folders: int = FOLDERS, clock: Clock = time.time
) -> World:
    """``secrets`` secrets spread evenly; each is about 646 bytes in a list, as on the real server."""
    if secrets < 0 or folders < 1:
        raise ValueError("a vault needs at least one folder an environment, and no negative number of secrets")
    world = blank_world(SeedClock())
    exporter, org_admin, _ = add_identities(world, credentials)
    owner = world.add_actor("ops@raxx.example", kind="user", org_role="admin")
    homes: list[Folder] = []
    for slug, (name, description, _) in PLANS.items():
        project = world.add_project(name, slug, creator=owner, description=description)
        world.add_member(project, exporter, "viewer")
        if not homes:
            world.add_member(project, org_admin, "viewer")
        for environment in project.ordered_environments():
            homes += [world.add_folder(environment, f"/service-{number:03}") for number in range(folders)]
    for number in range(secrets):
        folder = homes[number % len(homes)]
        value = f"{marker(str(number))}-".ljust(VALUE_BYTES, "x")
        secret = world.add_secret(folder, f"SERVICE_SECRET_{number:06}", value, actor=owner)
        encoded_secret(secret)
    world.clock = clock
    return world
