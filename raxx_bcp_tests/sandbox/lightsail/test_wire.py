"""The wire: what Lightsail's own model passes and refuses, in requests and in our own answers."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from raxx_bcp_sandbox.lightsail import app as api
from raxx_bcp_sandbox.lightsail import wire
from raxx_bcp_sandbox.lightsail.errors import LightsailError
from raxx_bcp_tests.sandbox.lightsail.lab import KEY, REGION, Lab
from raxx_bcp_tests.sandbox.lightsail.refusals import refusal

if TYPE_CHECKING:
    from types_boto3_lightsail import LightsailClient


def signed_post(url: str, operation: str, body: bytes, **headers: str) -> dict[str, str]:
    """The headers of a call as no client library would let us make it."""
    default = {"X-Amz-Target": f"Lightsail_20161128.{operation}", "Content-Type": wire.MEDIA_TYPE}
    request = AWSRequest("POST", f"{url}/", headers={**default, **headers}, data=body)
    SigV4Auth(Credentials(KEY.id, KEY.secret), "lightsail", REGION).add_auth(request)
    return dict(request.headers.items())


def raw(lab: Lab, operation: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a raw call."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = requests.post(
        f"{lab.url}/", data=data, headers=signed_post(lab.url, operation, data, **headers), timeout=10
    )
    assert answer.headers["content-type"] == wire.MEDIA_TYPE
    return answer.status_code, answer.json()


def _answer(answer: Any, _call: object) -> Any:
    return answer


class TestTheModel:
    def problems(self, operation: str, parameters: Any) -> list[str]:
        model = wire.operation(operation)
        assert model is not None
        return wire.request_problems(model, parameters)

    def test_a_right_request_has_no_problems(self) -> None:
        request = {"instanceName": "raxx-vault", "instanceSnapshotName": "a-name", "tags": [{"key": "a", "value": "b"}]}
        assert self.problems("CreateInstanceSnapshot", request) == []
        assert self.problems("GetInstances", {}) == []

    @pytest.mark.parametrize(
        ("operation", "parameters", "problem"),
        [
            ("GetInstance", {}, "Missing required parameter"),
            ("GetInstance", {"instanceName": 5}, "Invalid type for parameter instanceName, type"),
            ("GetInstance", {"instanceName": "x"}, r"must match: \w[\w\-]*\w"),
            ("GetInstance", {"instanceName": "raxx", "colour": "red"}, 'Unknown parameter in input: "colour"'),
            ("DisableAddOn", {"resourceName": "raxx", "addOnType": "Snapshots"}, "must be one of: AutoSnapshot"),
            (
                "PutInstancePublicPorts",
                {"instanceName": "raxx", "portInfos": [{"fromPort": 22, "toPort": 70000}]},
                "portInfos[0].toPort, must be at most 65535",
            ),
            (
                "CreateInstancesFromSnapshot",
                {
                    "instanceNames": ["one"],
                    "availabilityZone": "us-east-1a",
                    "bundleId": "nano_3_0",
                    "attachedDiskMapping": {"one": [{"originalDiskPath": "/dev/xvdf", "newDiskName": "x"}]},
                },
                "attachedDiskMapping.one[0].newDiskName, must match",
            ),
            (
                "CreateInstanceSnapshot",
                {"instanceName": "raxx", "instanceSnapshotName": "name", "tags": [{"key": "a", "secret": "b"}]},
                'Unknown parameter in tags[0]: "secret"',
            ),
        ],
    )
    def test_what_is_wrong_is_said(self, operation: str, parameters: Any, problem: str) -> None:
        (found,) = self.problems(operation, parameters)
        assert problem in found

    def test_a_value_is_never_repeated(self) -> None:
        parameters = {
            "instanceNames": ["new-one"],
            "availabilityZone": "us-east-1a",
            "blueprintId": "ubuntu_22_04",
            "bundleId": "nano_3_0",
            "userData": ["rxs_password"],
        }
        (found,) = self.problems("CreateInstances", parameters)
        assert "userData" in found
        assert "rxs_password" not in found

    def test_patterns_are_searched_for_as_lightsails_server_does(self) -> None:
        half_hour = {
            "resourceName": "raxx-vault",
            "addOnRequest": {
                "addOnType": "AutoSnapshot",
                "autoSnapshotAddOnRequest": {"snapshotTimeOfDay": "06:30"},
            },
        }
        assert self.problems("EnableAddOn", half_hour) == []

    def test_operations_are_known_by_their_target(self) -> None:
        assert wire.operation_named("Lightsail_20161128.GetInstance") == "GetInstance"
        assert wire.operation_named("DynamoDB_20120810.GetItem") is None
        assert wire.operation_named("Lightsail_20161128.DropEverything") is None
        assert wire.operation_named("") is None

    def test_the_values_beyond_the_model_are_still_needed(self) -> None:
        known = wire.service_model().shape_for("OperationType").metadata["enum"]
        assert "CreateInstanceSnapshot" in known
        assert not {"CopySnapshot", "DeleteAutoSnapshot", "TagResource", "UntagResource"} & set(known)


class TestRequests:
    @pytest.mark.parametrize(
        ("operation", "body", "headers", "code"),
        [
            ("GetInstance", b"{", {}, "SerializationException"),
            ("GetInstance", [], {}, "SerializationException"),
            ("GetInstances", {}, {"Content-Type": "application/json"}, "SerializationException"),
            ("GetInstance", {"instanceName": "x"}, {}, "InvalidInputException"),
            ("GetInstance", {"instanceName": "raxx-vault", "colour": "red"}, {}, "InvalidInputException"),
            ("DropEverything", {}, {}, "UnknownOperationException"),
        ],
    )
    def test_are_refused(self, lab: Lab, operation: str, body: Any, headers: dict[str, str], code: str) -> None:
        status, answer = raw(lab, operation, body, **headers)
        assert (status, answer["__type"]) == (400, code)

    def test_are_taken(self, lab: Lab) -> None:
        status, answer = raw(lab, "GetInstance", {"instanceName": "raxx-vault"})
        assert (status, answer["instance"]["name"]) == (200, "raxx-vault")
        assert isinstance(answer["instance"]["createdAt"], float)

    def test_an_error_has_the_members_of_its_shape(self, lab: Lab) -> None:
        status, answer = raw(lab, "GetInstance", {"instanceName": "nobody"})
        assert status == 400
        assert set(answer) == {"__type", "code", "docs", "message", "tip"}
        assert answer["__type"] == answer["code"] == "NotFoundException"

    def test_what_the_sandbox_lacks_is_said(self, client: LightsailClient) -> None:
        refused = refusal(client.get_load_balancers)
        assert refused.code == "InvalidInputException"
        assert refused.message == "GetLoadBalancers is not implemented by the sandbox."


class TestOurMistakes:
    """An answer that Lightsail never gives becomes a 500, and changes nothing."""

    def outcome(self, lab: Lab, operation: str, body: Any) -> int:
        data = json.dumps(body).encode()
        headers = signed_post(lab.url, operation, data)
        return requests.post(f"{lab.url}/", data=data, headers=headers, timeout=10).status_code

    def test_an_answer_that_the_model_does_not_know(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert self.outcome(lab, "GetInstanceState", {"instanceName": "raxx-vault"}) == 200
        wrong: list[Any] = [{"state": {"code": "16"}}, {"state": {"kode": 16}}, {"stat": {}}, []]
        for answer in wrong:
            monkeypatch.setitem(api.HANDLERS, "GetInstanceState", functools.partial(_answer, answer))
            assert self.outcome(lab, "GetInstanceState", {"instanceName": "raxx-vault"}) == 500, answer
            assert "GetInstanceState would have answered" in caplog.text
            caplog.clear()

    def test_it_is_undone(self, lab: Lab, client: LightsailClient, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = api.HANDLERS["DeleteInstanceSnapshot"]
        monkeypatch.setitem(api.HANDLERS, "DeleteInstanceSnapshot", lambda call: {**honest(call), "extra": 1})
        name = client.get_instance_snapshots()["instanceSnapshots"][0]["name"]
        assert self.outcome(lab, "DeleteInstanceSnapshot", {"instanceSnapshotName": name}) == 500
        assert client.get_instance_snapshot(instanceSnapshotName=name)["instanceSnapshot"]["name"] == name

    def test_an_exception_that_the_operation_never_raises(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_call: object) -> dict[str, Any]:
            raise LightsailError("AccountSetupInProgressException", "Not yet.")

        for operation, status in (("GetInstance", 400), ("GetAutoSnapshots", 500)):
            monkeypatch.setitem(api.HANDLERS, operation, refuse)
            name = "instanceName" if operation == "GetInstance" else "resourceName"
            assert self.outcome(lab, operation, {name: "raxx-vault"}) == status

    def test_every_operation_that_is_served_is_lightsails(self) -> None:
        assert [name for name in api.HANDLERS if wire.operation(name) is None] == []
        assert len(api.HANDLERS) == 28
