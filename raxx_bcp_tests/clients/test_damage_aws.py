"""S3's and Lightsail's answers, damaged in every way, through the real boto3: see ``damage.py`` for what must be true.

botocore reads a page of a proxy's as an empty list of snapshots, and a cut one as no versioning: ``aws_responses.py``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.config import Config

from raxx_bcp.clients.aws_responses import look_at_answers
from raxx_bcp.clients.instance_shapes import DRILL_TAG, EXPIRES_TAG, Making, SnapshotSource
from raxx_bcp.clients.instances import Instances
from raxx_bcp.clients.lightsail import Snapshots
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.clients.s3_scratch import Scratch, Surroundings
from raxx_bcp.clients.s3_settings import BucketSettings
from raxx_bcp_tests.clients.damage import DAMAGES, MARK, Call, Damage, ids
from raxx_bcp_tests.clients.servers import Reply, Served, scripted

CLIENTS: dict[str, Any] = {}


def client(served: Served, service: str, door: str = "") -> Any:
    """The real client, which asks once only. A ``door`` that registers refusals with it has one of its own."""
    name = f"{service} {door}"
    if name not in CLIENTS:
        CLIENTS[name] = boto3.client(
            service,  # type: ignore[call-overload]
            region_name="eu-central-1",
            endpoint_url=served.url,
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="rxs_secret",
            config=Config(
                retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=3, s3={"addressing_style": "path"}
            ),
        )
        look_at_answers(CLIENTS[name])
    return CLIENTS[name]


# -- Lightsail -------------------------------------------------------------------------------------------

WHEN = 1926138600.5
DRILL = "vault_snapshot-20310314T090000Z-a1b2c3"
TAGS = [{"key": DRILL_TAG, "value": DRILL}, {"key": EXPIRES_TAG, "value": "2031-03-14T13:00:00Z"}]
OUR_TAG = frozenset({"times before all time", "times that are none"})
"""The only time as a text is in a tag of ours, which anybody may write: an instance without its end is not swept."""
SNAPSHOT = {"name": "s", "state": "available", "createdAt": WHEN, "sizeInGb": 40, "arn": MARK}
INSTANCE = {"name": "restored", "createdAt": WHEN, "state": {"name": "running"}, "tags": TAGS, "arn": MARK}
OPERATIONS = {"operations": [{"id": MARK, "status": "Started"}]}
HOST_KEY = {"algorithm": "ssh-ed25519", "publicKey": "AAAA"}
ACCESS = {"certKey": MARK, "privateKey": MARK, "username": "ubuntu", "ipAddress": "127.0.0.1", "hostKeys": [HOST_KEY]}
MAKING = Making("eu-central-1a", "small_3_0", "", {DRILL_TAG: DRILL, EXPIRES_TAG: "2031-03-14T13:00:00Z"})
SOURCE = SnapshotSource("available", None, "small_3_0", 40, name="s")  # type: ignore[arg-type]


def amazon(body: Any) -> Reply:
    return Reply(json.dumps(body).encode(), content_type="application/x-amz-json-1.1")


def snapshots(ask: Callable[[Snapshots], object]) -> Callable[[Served], object]:
    return lambda served: ask(Snapshots(client=client(served, "lightsail")))


def instances(ask: Callable[[Instances], object]) -> Callable[[Served], object]:
    def asked(served: Served) -> object:
        made = boto3_instances(served)
        return ask(made)

    return asked


def boto3_instances(served: Served) -> Instances:
    """A client of its own: what it is for registers its refusals with it."""
    return Instances(names=("restored",), protected=("production",), client=client(served, "lightsail", "instances"))


LIGHTSAIL = [
    Call("instance", snapshots(lambda one: one.instance("v")), amazon({"instance": INSTANCE})),
    Call("all", snapshots(lambda one: list(one.all())), amazon({"instanceSnapshots": [SNAPSHOT]})),
    Call("get", snapshots(lambda one: one.get("s")), amazon({"instanceSnapshot": SNAPSHOT})),
    Call(
        "automatic",
        snapshots(lambda one: one.automatic("v")),
        amazon(
            {"resourceName": MARK, "autoSnapshots": [{"date": "2031-03-14", "createdAt": WHEN, "status": "Success"}]}
        ),
    ),
    Call("create", snapshots(lambda one: one.create("s", "v", {})), amazon(OPERATIONS)),
    Call("delete_snapshot", snapshots(lambda one: one.delete_snapshot("s")), amazon(OPERATIONS)),
    Call("copy_here", snapshots(lambda one: one.copy_here("s", "us-east-1")), amazon(OPERATIONS)),
    Call("tag", snapshots(lambda one: one.tag("s", {"a": "b"})), amazon(OPERATIONS)),
    Call("enable_automatic", snapshots(lambda one: one.enable_automatic("v", "18:00")), amazon(OPERATIONS)),
    Call("disable_automatic", snapshots(lambda one: one.disable_automatic("v")), amazon(OPERATIONS)),
]
INSTANCES = [
    Call(
        "bundles",
        instances(lambda one: one.bundles()),
        amazon({"bundles": [{"bundleId": "b", "name": MARK, "cpuCount": 2, "price": 5.0, "isActive": True}]}),
    ),
    Call("get", instances(lambda one: one.get("restored")), amazon({"instance": INSTANCE}), legitimate=OUR_TAG),
    Call("marked", instances(lambda one: list(one.marked())), amazon({"instances": [INSTANCE]}), legitimate=OUR_TAG),
    Call(
        "source_of_snapshot", instances(lambda one: one.source_of_snapshot("s")), amazon({"instanceSnapshot": SNAPSHOT})
    ),
    Call(
        "source_of_automatic",
        instances(lambda one: one.source_of_automatic("v", "2031-03-14")),
        amazon(
            {"resourceName": MARK, "autoSnapshots": [{"date": "2031-03-14", "createdAt": WHEN, "status": "Success"}]}
        ),
        after=(amazon({"instance": INSTANCE}),),
    ),
    Call(
        "openings",
        instances(lambda one: one.openings("restored")),
        amazon({"portStates": [{"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrs": [MARK], "state": "open"}]}),
    ),
    Call("access", instances(lambda one: one.access("restored").user), amazon({"accessDetails": ACCESS})),
    Call(
        "create_from_snapshot",
        instances(lambda one: one.create_from_snapshot("restored", SOURCE, MAKING)),
        amazon(OPERATIONS),
    ),
    Call(
        "create_from_blueprint",
        instances(lambda one: one.create_from_blueprint("restored", "ubuntu_22_04", MAKING)),
        amazon(OPERATIONS),
    ),
    Call(
        "open_only",
        instances(lambda one: one.open_only("restored", 22, "127.0.0.1/32")),
        amazon({"operation": {"id": MARK}}),
    ),
    Call(
        "delete_throwaway",
        instances(lambda one: one.delete_throwaway("restored", DRILL)),
        amazon(OPERATIONS),
        before=(amazon({"instance": INSTANCE}),),
    ),
]

# -- S3 --------------------------------------------------------------------------------------------------

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
BODY = json.dumps({"kind": MARK, "size": 17}).encode()
HEADERS = {
    "etag": f'"{hashlib.md5(BODY).hexdigest()}"',  # noqa: S324 - S3's own
    "last-modified": "Fri, 14 Mar 2031 06:30:00 GMT",
    "x-amz-version-id": "v1",
    "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode(),
}
ID = "thing-20310314T090000Z-a1b2c3"
ENTRY = (
    "<Key>{key}</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest>"
    "<LastModified>2031-03-14T06:30:00.000Z</LastModified><ETag>&quot;e&quot;</ETag>"
)


def xml(root: str, inner: str) -> Reply:
    body = f'<{root} xmlns="{NAMESPACE}">{inner}<Owner><ID>{MARK}</ID></Owner></{root}>'
    return Reply(b'<?xml version="1.0" encoding="UTF-8"?>\n' + body.encode(), content_type="application/xml")


def versions(key: str) -> Reply:
    entry = ENTRY.format(key=key)
    return xml("ListVersionsResult", f"<IsTruncated>false</IsTruncated><Version>{entry}<Size>5</Size></Version>")


def stored(body: bytes = BODY) -> Reply:
    return Reply(body, headers=HEADERS)


def bucket(ask: Callable[[Bucket], object]) -> Callable[[Served], object]:
    return lambda served: ask(Bucket("b", client=client(served, "s3")))


OLD = frozenset({"times before all time"})
"""A time of the year 1 is one that S3 could write."""


def settings(ask: Callable[[BucketSettings], object]) -> Callable[[Served], object]:
    return lambda served: ask(BucketSettings("b", client(served, "s3")))


def scratch(ask: Callable[[Scratch], object]) -> Callable[[Served], object]:
    return lambda served: ask(Scratch("b", "drill-scratch/", ID, client=client(served, "s3", "scratch")))


def around(served: Served) -> object:
    return Surroundings("b", scratch_prefix="drill-scratch/", client=client(served, "s3", "around")).current()


PUT = Reply(b"", headers={"etag": '"e"', "x-amz-version-id": "v1"}, content_type="")
ABOUT_BODIES = frozenset(
    {
        *("no UTF-8", "UTF-16", "first half", "without its last byte", "without its first byte", "empty"),
        *("a page", "a page that says it is JSON", "a text", "a list of a text", "a list of lists", "null"),
        *("another object", "another message", "other kinds of values", "not a number", "numbers without end"),
        *("times before all time", "times that are none", "nested lists without end", "nested objects without end"),
        *(
            "nested elements without end",
            "keys twice",
            "not gzip",
            "cut in the middle",
            "cut before the end of a chunk",
        ),
    }
)
"""What concerns a body, where an answer has none: HEAD, PUT and DELETE are told by their headers."""
BY_HEADERS: Mapping[str, Damage] = {
    "no headers": lambda reply: Reply(reply.body, reply.status),
    "a time that is none": lambda reply: Reply(
        reply.body, reply.status, {**reply.headers, "last-modified": MARK, "x-amz-version-id": "v1"}
    ),
    "a page of a proxy's": lambda _reply: Reply(b"<html>%s</html>" % MARK.encode(), content_type="text/html"),
}
S3 = [
    Call(
        "versioning", bucket(lambda one: one.versioning()), xml("VersioningConfiguration", "<Status>Enabled</Status>")
    ),
    Call(
        "object_lock",
        bucket(lambda one: one.object_lock()),
        xml("ObjectLockConfiguration", "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"),
    ),
    Call("get", bucket(lambda one: one.get("k")), stored()),
    Call("stream", bucket(lambda one: b"".join(one.stream("k"))), stored()),
    Call(
        "keys",
        bucket(lambda one: one.keys("p/")),
        xml("ListBucketResult", f"<IsTruncated>false</IsTruncated><Contents>{ENTRY.format(key='p/1')}</Contents>"),
        legitimate=frozenset({"times before all time", "other kinds of values"}),
    ),
    Call(
        "objects",
        bucket(lambda one: one.objects("p/")),
        xml(
            "ListBucketResult",
            f"<IsTruncated>false</IsTruncated><Contents>{ENTRY.format(key='p/1')}<Size>5</Size></Contents>",
        ),
        legitimate=OLD,
    ),
    Call("versions", bucket(lambda one: one.versions("p/")), versions("p/1"), legitimate=OLD),
    Call(
        "settings.versioning",
        settings(lambda one: one.versioning()),
        xml("VersioningConfiguration", "<Status>Enabled</Status><MFADelete>Disabled</MFADelete>"),
    ),
    Call(
        "default_encryption",
        settings(lambda one: one.default_encryption()),
        xml(
            "ServerSideEncryptionConfiguration",
            "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
            "</ApplyServerSideEncryptionByDefault></Rule>",
        ),
    ),
    Call(
        "public_access_block",
        settings(lambda one: one.public_access_block()),
        xml("PublicAccessBlockConfiguration", "<BlockPublicAcls>true</BlockPublicAcls>"),
    ),
    Call(
        "lifecycle_rules",
        settings(lambda one: one.lifecycle_rules()),
        xml(
            "LifecycleConfiguration",
            "<Rule><ID>i</ID><Status>Enabled</Status><Prefix>p/</Prefix><Expiration><Days>7</Days></Expiration></Rule>",
        ),
        legitimate=frozenset({"other kinds of values"}),
    ),
    Call(
        "policy",
        settings(lambda one: json.loads(one.policy() or "{}")),
        Reply(b'{"Statement":[],"Id":"%s"}' % MARK.encode()),
        legitimate=frozenset({"another object", "another message", "keys twice", "other kinds of values"}),
    ),
    Call("object_versions", settings(lambda one: list(one.object_versions())), versions("p/1"), legitimate=OLD),
    Call("scratch.get", scratch(lambda one: one.get("n")), stored()),
    Call(
        "scratch.copy_back",
        scratch(lambda one: one.copy_back("n", "v1")),
        Reply(
            xml("CopyObjectResult", "<LastModified>2031-03-14T06:30:00.000Z</LastModified>").body,
            headers={"x-amz-version-id": "v2"},
            content_type="application/xml",
        ),
        legitimate=OLD | {"headers that are none"},  # it then names no version, as a bucket that keeps none
    ),
    Call("scratch.versions", scratch(lambda one: one.versions("n")), versions(f"drill-scratch/{ID}/n"), legitimate=OLD),
    Call("surroundings", around, versions("k"), legitimate=OLD),
]
HEADS = [
    Call("head", bucket(lambda one: one.head("k")), Reply(BODY, headers=HEADERS), legitimate=ABOUT_BODIES),
    Call(
        "put",
        bucket(lambda one: one.put("k", b"x", content_type="text/plain", metadata={}).version_id),
        PUT,
        legitimate=ABOUT_BODIES - {"a page", "a page that says it is JSON"},
    ),
    Call("scratch.head", scratch(lambda one: one.head("n")), Reply(BODY, headers=HEADERS), legitimate=ABOUT_BODIES),
    Call("scratch.put", scratch(lambda one: one.put("n", b"x")), PUT, legitimate=ABOUT_BODIES),
]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with scripted(Reply()) as server:
        yield server
    CLIENTS.clear()


@pytest.mark.parametrize("call", LIGHTSAIL, ids=ids(LIGHTSAIL))
def test_lightsails_snapshots(served: Served, call: Call) -> None:
    assert list(call.findings(served)) == []


@pytest.mark.parametrize("call", INSTANCES, ids=ids(INSTANCES))
def test_lightsails_instances(served: Served, call: Call) -> None:
    assert list(call.findings(served)) == []


@pytest.mark.parametrize("call", S3, ids=ids(S3))
def test_s3(served: Served, call: Call) -> None:
    assert list(call.findings(served)) == []


@pytest.mark.parametrize("call", HEADS, ids=ids(HEADS))
def test_s3_by_its_headers(served: Served, call: Call) -> None:
    assert list(call.findings(served, {**DAMAGES, **BY_HEADERS})) == []
