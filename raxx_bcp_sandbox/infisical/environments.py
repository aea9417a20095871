"""Environments: created, moved, marked as deleted (kept 14 days, holding their slug) and restored.

The routes and their answers are those of the server's API. A real server showed that a deleted one holds its slug, is
listed in its project, and comes back last in order. How positions move is the server's own rule [model].
"""

from __future__ import annotations

from typing import Any

from raxx_bcp_sandbox.infisical import shapes
from raxx_bcp_sandbox.infisical.call import Call
from raxx_bcp_sandbox.infisical.errors import ApiError, not_found
from raxx_bcp_sandbox.infisical.state import Environment, Project

Json = dict[str, Any]


def create(call: Call) -> Json:
    """``POST /api/v1/projects/{id}/environments`` (11, 11b, 63); 400 while a deleted one holds the slug [run]."""
    fields = call.body_fields()
    name = fields.text("name", least=1, most=64)
    slug = fields.text("slug", least=1, most=64)
    position = fields.number("position")
    fields.done()
    project, permission = call.project(call.path["project"])
    permission.require("create", "environments")
    if slug in project.environments:
        raise ApiError(400, "Environment with slug already exists", "CreateEnvironment")
    if slug in call.world.deleted_environments(project):
        message = (
            f"Environment slug '{slug}' is held by a pending-deletion environment. Permanently delete that environment "
            "first, then retry."
        )
        raise ApiError(400, message, "CreateEnvironment")
    environment = call.world.add_environment(project, name, slug, position)
    return _answer("created new", project, environment)


def update(call: Call) -> Json:
    """``PATCH /api/v1/projects/{id}/environments/{environment}``: its name or its position."""
    fields = call.body_fields()
    name = fields.optional_text("name")
    position = fields.number("position")
    fields.done()
    project, permission = call.project(call.path["project"])
    permission.require("edit", "environments")
    environment = _found(project, call.path["environment"])
    environment.name = environment.name if name is None else name
    if position:
        call.world.move_environment(environment, position)
    return _answer("updated", project, environment)


def delete(call: Call) -> Json:
    """``DELETE /api/v1/projects/{id}/environments/{environment}``: a mark; it can be brought back for 14 days."""
    project, permission = call.project(call.path["project"])
    permission.require("delete", "environments")
    environment = _found(project, call.path["environment"])
    call.world.delete_environment(environment)
    return _answer("deleted", project, environment)


def restore(call: Call) -> Json:
    """``POST /api/v1/projects/{id}/environments/{environment}/restore``: back with all it held, last in order."""
    project, permission = call.project(call.path["project"])
    permission.require("delete", "environments")
    wanted = call.path["environment"]
    held = next((one for one in call.world.deleted_environments(project).values() if one.id == wanted), None)
    if held is None:
        message = f"Soft-deleted environment with id '{wanted}' in project with ID '{project.id}' not found"
        raise not_found(message, "RestoreEnvironment")
    call.world.restore_environment(held)
    return _answer("restored", project, held)


def _found(project: Project, environment_id: str) -> Environment:
    found = next((one for one in project.environments.values() if one.id == environment_id), None)
    if found is None:
        raise not_found(f"Environment with id '{environment_id}' in project with ID '{project.id}' not found")
    return found


def _answer(what: str, project: Project, environment: Environment) -> Json:
    return {
        "message": f"Successfully {what} environment",
        "projectId": project.id,
        "environment": shapes.environment_full(environment),
    }
