"""The real Heroku CLI's own requests, replayed in the order in which it sent them: statuses and shapes.

They were captured from version 11.10.0 against a recorder that knew only what each command needs. Where the
recorder answered something else on purpose (a fault that was being tried), ``DIFFERENT`` says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from raxx_bcp_sandbox.heroku.app import DATA
from raxx_bcp_sandbox.heroku.world import PRODUCTION
from raxx_bcp_tests.sandbox.heroku.conftest import ROWS
from raxx_bcp_tests.sandbox.heroku.lab import KEY, Lab, heroku_lab

CAPTURES = Path(__file__).parents[2] / "contracts" / "heroku"
DIFFERENT = {
    ("addons-confirm", 0): (201, "the recorder asked for the confirmation that the request holds"),
    ("addons_info", 1): (200, "the recorder did not know the route"),
    ("pagination", 1): (200, "the recorder split a list of one; heroku-small-pages does that here"),
    ("pg_wait-waiting2", 1): (200, "the recorder had forgotten the database"),
    ("pg_backups_url", 1): (200, "the recorder answered 201, Heroku 200"),
    ("pg_backups_url-num", 0): (200, "the recorder answered 201, Heroku 200"),
}
DROPPED = {"host", "connection", "content-length", "authorization", "content-type"}
ELSEWHERE = "https://s3.example.com/x.dump?sig=abc"


@dataclass(frozen=True)
class Captured:
    """One request of the CLI, and what the recorder answered."""

    command: str
    at: int
    sent: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.command}[{self.at}] {self.sent['method']} {self.sent['path']}"

    @property
    def status(self) -> int:
        """The status that the CLI goes on with."""
        other = DIFFERENT.get((self.command, self.at))
        return other[0] if other else int(self.sent["status"])

    @property
    def needed(self) -> Any:
        """The answer that was recorded; a log is only told to who asks for it, though the recorder once told it."""
        response = self.sent["response"]
        if isinstance(response, dict) and "verbose=true" not in self.sent["path"]:
            return {name: value for name, value in response.items() if name != "logs"}
        return response


@dataclass
class Replay:
    """Sends the requests with our names and ids in place of the recorder's, learned from the answers."""

    lab: Lab
    ours: dict[str, str] = field(default_factory=dict)

    def send(self, captured: Captured) -> requests.Response:
        """One request, as the CLI sent it."""
        sent = captured.sent
        headers = {name: text for name, text in sent["headers"].items() if name.lower() not in DROPPED}
        key = "of-somebody-else" if captured.command == "unauthorized" else KEY
        return self.lab.session.request(
            sent["method"],
            self.lab.url + self.translated(sent["path"]),
            json=None if sent["body"] is None else self.body(sent["body"]),
            headers={**headers, "authorization": f"Bearer {key}"},
            timeout=60,
        )

    def body(self, value: Any) -> Any:
        """A body with our names; the version that is asked for is the server's, which has no other."""
        if isinstance(value, dict):
            return {
                name: self.lab.server.major if name == "version" else self.body(each) for name, each in value.items()
            }
        return self.translated(value) if isinstance(value, str) else value

    def translated(self, text: str) -> str:
        """``text`` with what the recorder called things replaced by what we call them."""
        for theirs, ours in self.ours.items():
            text = text.replace(theirs, ours)
        return text

    def learn(self, theirs: Any, ours: Any) -> None:
        """Pair the ids, names and addresses of two answers to one request."""
        if isinstance(theirs, list) and isinstance(ours, list):
            if theirs and "num" in theirs[0]:
                numbered = {each["num"]: each for each in ours}
                for each in theirs:
                    self.learn(each, numbered.get(each["num"]))
            elif len(theirs) == len(ours) == 1:
                self.learn(theirs[0], ours[0])
        elif isinstance(theirs, dict) and isinstance(ours, dict):
            for name, value in theirs.items():
                if name in ("id", "uuid", "name", "to_url") and isinstance(value, str) and len(value) > 2:
                    self.ours[value] = str(ours.get(name))
                else:
                    self.learn(value, ours.get(name))


def captures() -> list[Captured]:
    """All of them by the time at which they were sent, those of one command in its own order."""
    found = []
    for path in sorted(CAPTURES.glob("*.json")):
        for at, sent in enumerate(json.loads(path.read_text())):
            found.append((sent["t"], path.name, at, Captured(path.stem, at, sent)))
    return [each[-1] for each in sorted(found, key=lambda each: each[:3])]


def differences(theirs: Any, ours: Any, where: str = "") -> list[str]:
    """What the recorder's answer has and ours has not, or has with another type. null stands for anything."""
    if theirs is None or ours is None:
        return []
    if type(theirs) is not type(ours):
        return [f"{where}: {type(ours).__name__} instead of {type(theirs).__name__}"]
    if isinstance(theirs, dict):
        missing = [f"{where}.{name} is missing" for name in theirs if name not in ours]
        both = [name for name in theirs if name in ours]
        return missing + [each for name in both for each in differences(theirs[name], ours[name], f"{where}.{name}")]
    if isinstance(theirs, list) and theirs and ours:
        return differences(theirs[0], ours[0], f"{where}[0]")
    return []


@pytest.fixture(scope="module")
def replayed() -> Iterator[tuple[Replay, dict[str, str]]]:
    """All requests sent; what was wrong with the answer, by request."""
    wrong: dict[str, str] = {}
    with heroku_lab(rows=ROWS, provision_seconds=0.0) as lab:
        replay = Replay(lab, {"prod-app": PRODUCTION})
        for captured in captures():
            replay.ours[ELSEWHERE] = lab.signed_url(2)
            if captured.command == "rate-limit":
                lab.fault("heroku-rate-limited")
            answer = replay.send(captured)
            lab.mend_all()
            problems = [f"answered {answer.status_code}, not {captured.status}"] * (
                answer.status_code != captured.status
            )
            if answer.status_code == captured.sent["status"]:
                problems += differences(captured.needed, answer.json())
            replay.learn(captured.sent["response"], answer.json())
            if problems:
                wrong[str(captured)] = "; ".join(problems)
        yield replay, wrong


def test_every_request_is_answered_as_the_cli_needs_it(replayed: tuple[Replay, dict[str, str]]) -> None:
    _replay, wrong = replayed
    assert wrong == {}
    assert len(captures()) > 60


def test_the_requests_were_about_things_that_are_there(replayed: tuple[Replay, dict[str, str]]) -> None:
    """A replay that only ever met 404 would prove nothing: the restores that it began ended."""
    replay, _wrong = replayed
    lab = replay.lab
    restores = [each for each in lab.get(f"{DATA}/apps/{PRODUCTION}/transfers") if each["from_type"] == "htcat"]
    assert len(restores) == 3  # the seeded one, and the two that the CLI began
    for each in restores:
        lab.world.jobs.wait(each["uuid"])
    assert {each["succeeded"] for each in lab.get(f"{DATA}/apps/{PRODUCTION}/transfers") if each["num"] != 6} == {True}


def test_a_wrong_shape_would_be_seen() -> None:
    theirs = {"id": "a", "plan": {"name": "b"}, "list": [{"num": 1}], "nothing": None}
    assert differences(theirs, {**theirs, "more": 1}) == []
    assert differences(theirs, {"id": 5, "plan": {}, "list": [{"num": "1"}]}) == [
        ".nothing is missing",
        ".id: int instead of str",
        ".plan.name is missing",
        ".list[0].num: str instead of int",
    ]
