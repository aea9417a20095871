"""The laboratory vault in which the answers were recorded, rebuilt step by step over HTTP.

``SCRIPT`` says in which order the recorded requests are sent, who sends each, and what happens between
them. Ids that the recorded server chose are mapped to the stand-in's as both answers are read in parallel.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from starlette.applications import Starlette

from raxx_bcp_sandbox.infisical.app import create_app
from raxx_bcp_sandbox.infisical.state import Actor
from raxx_bcp_sandbox.infisical.world import World
from raxx_bcp_tests.sandbox.infisical.support import FakeClock, serving

CAPTURES = Path(__file__).parents[2] / "contracts" / "infisical"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
P1 = "c7f490bb-e47f-49bf-9f75-03f8d5f59c2f"
P2 = "d010e015-2a09-44e6-ba01-0763122d465e"
P3 = "42f5582f-51fd-48dc-b06a-c8ab9494bf08"
SCALE = "3542dab4-7fb8-4e75-b4a4-27d4d03ff7b7"
RESTORED = "eef2b1b4-6245-4aa8-b746-bab894dba9c9"
ORG = "d597c853-e8cd-447e-b050-c80d2f8d1b6c"
ADMIN_ID = "cee5e2b1-f3ca-4954-9f94-3c98aa3166fd"
ADMIN_MEMBERSHIP = "d83e2f9f-b35b-44f2-b1b0-17de4630f0bf"
SHORT_SECRET_ID = "b59c0aa0-75a4-4c6b-a509-2cfdde0d11ee"
GOOD_SECRET = "190b-the-right-client-secret"
LIMITED_SECRET = "191c-the-client-secret-for-one-login"
CLIENTS = {
    "backup": ("a5262f75-35c6-4887-97f1-7de56ec90ab0", "e45c6ac8-f3a9-4a7d-a57d-5170d0ab3665"),
    "limited": ("b1f5dfd5-e026-4850-864d-3d9f52d5b66d", "949222a9-c87d-4078-b9c0-1c494cf20839"),
    "orgadmin": ("4b6b991b-37ae-4342-90e9-76c30ae46158", "5e0f4bb1-0000-4000-8000-000000000001"),
    "orgmember": ("e6c28492-bd82-4d8b-9e0d-8a43ffb76762", "5e0f4bb1-0000-4000-8000-000000000002"),
    "restore": ("133f404f-07f0-4469-acc4-ef0980207b3c", "5e0f4bb1-0000-4000-8000-000000000003"),
    "nothing": ("5e0f4bb1-0000-4000-8000-000000000004", "137ca480-0544-431c-be13-e152d0ef1b0e"),
    "short": ("43dc7d02-4d4a-4de8-8d6a-4dfee62d1e98", "6bf0616b-732c-4847-8b17-c1c7f169ff8a"),
}
NAMES = {
    "backup": "dagster-backup",
    "limited": "dagster-limited",
    "orgadmin": "dagster-backup-orgadmin",
    "orgmember": "dagster-backup-orgmember",
}


def load(name: str) -> dict[str, Any]:
    """One recorded pair."""
    found: dict[str, Any] = json.loads((CAPTURES / f"{name}.json").read_text(encoding="utf-8"))
    return found


def sort_key(item: object) -> str:
    """What two items of a list are matched by: names before ids, since ids differ."""
    if not isinstance(item, dict):
        return ""
    names = ("secretKey", "secretPath", "slug", "name", "position", "relativePath", "key")
    inner = [item.get("identity"), item.get("project")]
    parts = [str(item.get(name, "")) for name in names]
    parts += [str(one.get("name")) for one in inner if isinstance(one, dict)]
    return "|".join(parts)


@dataclass
class Lab:
    """The recorded world on a running stand-in."""

    address: str
    app: Starlette
    clock: FakeClock
    tokens: dict[str, str]
    ids: dict[str, str] = field(default_factory=dict)
    answers: dict[str, requests.Response] = field(default_factory=dict)
    etag: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def ours(self, recorded: Any) -> Any:
        """The same JSON or text with the recorded ids replaced by the stand-in's."""
        if isinstance(recorded, dict):
            return {name: self.ours(value) for name, value in recorded.items()}
        if isinstance(recorded, list):
            return [self.ours(value) for value in recorded]
        if isinstance(recorded, str):
            return UUID.sub(lambda match: self.ids.get(match.group(), match.group()), recorded)
        return recorded

    def learn(self, recorded: Any, actual: Any) -> None:
        """Pair the ids of two answers that should be alike."""
        if isinstance(recorded, dict) and isinstance(actual, dict):
            for name, value in recorded.items():
                self.learn(value, actual.get(name))
        elif isinstance(recorded, list) and isinstance(actual, list) and len(recorded) == len(actual):
            pairs = zip(sorted(recorded, key=sort_key), sorted(actual, key=sort_key), strict=True)
            for one, other in pairs:
                self.learn(one, other)
        elif isinstance(recorded, str) and isinstance(actual, str):
            for one, other in zip(UUID.findall(recorded), UUID.findall(actual), strict=False):
                self.ids.setdefault(one, other)

    def send(self, method: str, path: str, who: str, body: object = None) -> requests.Response:
        """A request that was not recorded."""
        headers = {"authorization": f"Bearer {self.tokens[who]}"}
        address = self.address + self.ours(path)
        return self.session.request(method, address, headers=headers, json=self.ours(body), timeout=10)

    def replay(self, name: str, who: str = "") -> None:
        """Send a recorded request as ``who`` and keep the answer."""
        pair = load(name)
        request = pair["request"]
        headers = dict(request["headers"])
        if headers.get("authorization") == "Bearer <access-token>":
            headers["authorization"] = f"Bearer {self.tokens[who]}"
        if "if-none-match" in headers:
            headers["if-none-match"] = self.etag
        content = self._content(name, request["body"], who)
        answer = self.session.request(
            request["method"],
            self.address + self.ours(request["path"]),
            params=self.ours(request["query"]),
            headers=headers,
            data=content,
            timeout=10,
        )
        self.answers[name] = answer
        self.etag = answer.headers.get("etag", self.etag)
        if answer.status_code == pair["response"]["status"] and answer.content:
            self.learn(pair["response"]["body"], answer.json())

    def _content(self, name: str, body: Any, who: str) -> bytes | None:
        if name == "40d_login_bad_json":
            return b'{"clientId": '
        if name == "49b_batch_body_over_1MiB":
            big = {"projectId": P1, "environment": "dev", "secretPath": "/", "secrets": ["x" * 1_048_576]}
            return json.dumps(self.ours(big)).encode()
        if body is None:
            return None
        filled = self.ours(body)
        if isinstance(filled, dict) and filled.get("clientSecret") == "<client-secret>":
            filled["clientSecret"] = LIMITED_SECRET if name[:3] in ("43e", "43f", "43g") else GOOD_SECRET
        if isinstance(filled, dict) and filled.get("accessToken") == "<access-token>":
            filled["accessToken"] = self.tokens[who]
        return json.dumps(filled, ensure_ascii=False).encode()

    def take_token(self, name: str, who: str) -> None:
        """Use the token that a replayed login or renewal gave."""
        self.tokens[who] = str(self.answers[name].json()["accessToken"])

    @property
    def world(self) -> World:
        """The world behind the stand-in."""
        found: World = self.app.state.world
        return found

    def actor(self, who: str) -> Actor:
        """The machine identity called ``who``."""
        return self.world.actors[CLIENTS[who][0]]

    def join(self, project: str, who: str, role: str) -> None:
        """Make an identity a member of a project."""
        self.world.add_member(self.world.projects[self.ours(project)], self.actor(who), role)

    def folder(self, environment: str, path: str, name: str, project: str = P1) -> None:
        """Create a folder as the admin."""
        body = {"projectId": project, "environment": environment, "path": path, "name": name}
        self.send("POST", "/api/v2/folders", "admin", body)

    def secrets(self, environment: str, path: str, project: str = P1, **values: str) -> None:
        """Create secrets as the admin."""
        rows = [{"secretKey": key, "secretValue": value} for key, value in values.items()]
        body = {"projectId": project, "environment": environment, "secretPath": path, "secrets": rows}
        self.send("POST", "/api/v4/secrets/batch", "admin", body)

    def link(self, environment: str, path: str, source: str, source_path: str, project: str = P1) -> None:
        """Create an import as the admin."""
        where = {"environment": source, "path": source_path}
        body = {"projectId": project, "environment": environment, "path": path, "import": where}
        self.send("POST", "/api/v2/secret-imports", "admin", body)


Step = Callable[[Lab], None]


def build_world(clock: FakeClock) -> World:
    """The people and machine identities of the laboratory, and the one project that no capture created."""
    world = World(org_name="Lab Org", org_slug="lab-org-7-r-ah", clock=clock, org_id=ORG)
    admin = world.add_actor("admin@example.test", kind="user", org_role="admin", actor_id=ADMIN_ID)
    admin.membership_id = ADMIN_MEMBERSHIP
    for who, (actor_id, client_id) in CLIENTS.items():
        life = 2 if who == "short" else 3600
        actor = world.add_actor(NAMES.get(who, who), actor_id=actor_id, client_id=client_id, ttl=life, max_ttl=2 * life)
        if who == "orgadmin":
            actor.org_role = "admin"
        if who in ("orgmember", "restore"):
            actor.org_role = "member"
        secret_id = SHORT_SECRET_ID if who == "short" else None
        world.add_client_secret(actor, GOOD_SECRET, secret_id=secret_id)
    world.add_project("Certificate Manager", "cert-manager-is-v8", creator=None, kind="cert-manager")
    return world


def run(script: Sequence[tuple[str, str] | Step]) -> Iterator[Lab]:
    """Serve the laboratory and play the script."""
    clock = FakeClock()
    world = build_world(clock)
    app = create_app(world, clock=clock, sleep=clock.sleep)
    with serving(app) as address:
        lab = Lab(address, app, clock, {})
        lab.tokens = {who: app.state.authority.token_for(lab.actor(who)) for who in CLIENTS}
        lab.tokens["admin"] = app.state.authority.token_for(world.actors[ADMIN_ID])
        head, _, _ = lab.tokens["backup"].rpartition(".")
        lab.tokens["forged"] = head + "." + "A" * 43
        for step in script:
            if callable(step):
                step(lab)
            else:
                lab.replay(step[0], step[1])
            clock.advance(0.01)
        yield lab
