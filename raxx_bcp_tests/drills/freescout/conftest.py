"""One healthy dump set, one host to restore to and one real S3 bucket for all tests of the FreeScout drills."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from raxx_bcp.clients.s3 import Bucket
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.parts import s3
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.drills.freescout.local_host import LocalHost, local_host
from raxx_bcp_tests.drills.freescout.stage import Shelf, Stage, s3_client
from raxx_bcp_tests.faults.freescout_dumps import HealthySet, healthy_set


@pytest.fixture(scope="session")
def short() -> Iterator[Path]:
    """A directory with a short path, for sockets."""
    home = Path(tempfile.mkdtemp(prefix="fs-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def healthy(short: Path) -> Iterator[HealthySet]:
    with healthy_set(short / "healthy") as made:
        yield made


@pytest.fixture(scope="session")
def newer(short: Path) -> Iterator[HealthySet]:
    """Of the release whose attachments have links of both kinds."""
    with healthy_set(short / "newer", freescout.NEWER) as made:
        yield made


@pytest.fixture(scope="session")
def host(short: Path) -> Iterator[LocalHost]:
    with local_host(short / "host") as made:
        yield made


@pytest.fixture(scope="session")
def shelf(short: Path) -> Iterator[Shelf]:
    """A real S3 server's bucket."""
    local = Sandbox(short / "s3", parts=(s3.PART,), any_ports=True)
    try:
        local.up()
        environment = local.environment()
        names = ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        client = s3_client(*(environment[name] for name in names))
        client.create_bucket(Bucket="dumps")
        yield Shelf(Bucket("dumps", client=client), client)
    finally:
        local.down(purge=(short / "s3").exists())


@pytest.fixture
def stage(healthy: HealthySet, host: LocalHost, shelf: Shelf, tmp_path: Path) -> Stage:
    """An empty host, and a prefix of the test's own in the bucket."""
    host.reset()
    host.printed.clear()
    host.ran.clear()
    return Stage(healthy, host, shelf, f"{uuid.uuid4().hex[:8]}/", tmp_path)
