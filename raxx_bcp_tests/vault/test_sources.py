"""Where an export comes from: real S3 by day, by address and by version; files with and without a manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from raxx_bcp.errors import PermanentError, UsageError
from raxx_bcp.policy import Policy
from raxx_bcp.vault import manifest as manifests
from raxx_bcp.vault.sources import Days, Key, fetch, open_export
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.conftest import DAY
from raxx_bcp_tests.vault.test_formats import FORMATS, no_days
from raxx_bcp_tests.vault.world import export, private_key, state_bucket

EXPORT, MANIFEST = "2031-03-14.json.gpg", "2031-03-14.manifest.json"
KEY = Key((FORMATS / "1" / "test-key.asc").read_bytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (EXPORT, MANIFEST):
        shutil.copy(FORMATS / "1" / name, tmp_path / name)
    return tmp_path


def test_by_day_by_newest_by_address_and_by_version(policy: Policy, sandbox: Sandbox) -> None:
    bucket, prefix = state_bucket(policy), policy.vault_export.prefix
    first = export(policy, day="2031-03-13")
    export(policy)
    second = export(policy)
    days = Days(bucket, prefix)
    address = f"s3://{bucket.name}/{prefix}{DAY}.json.gpg"
    opened = {}
    for source in (DAY, "newest", address, f"{address}?versionId={second.manifest.version_id}"):
        sealed = fetch(source, lambda: days)
        assert sealed.name == address
        assert sealed.manifest == second.manifest
        opened[source] = open_export(sealed, Key(private_key(sandbox)))
        assert opened[source].secret_count == second.manifest.secret_count
    assert open_export(fetch("2031-03-13", lambda: days), Key(private_key(sandbox))).counts() == (
        first.manifest.environments
    )


def test_an_earlier_version_of_a_day_is_not_judged_by_the_newer_manifest(policy: Policy, sandbox: Sandbox) -> None:
    bucket, prefix = state_bucket(policy), policy.vault_export.prefix
    earlier = export(policy)
    export(policy)
    sealed = fetch(f"s3://{bucket.name}/{prefix}{DAY}.json.gpg?versionId={earlier.manifest.version_id}", no_days)
    assert sealed.manifest is None
    assert open_export(sealed, Key(private_key(sandbox))).secret_count == earlier.manifest.secret_count


def test_what_is_not_in_the_bucket(policy: Policy) -> None:
    days = Days(state_bucket(policy), policy.vault_export.prefix)
    with pytest.raises(PermanentError, match=r"2001-01-01.json.gpg is not there"):
        fetch("2001-01-01", lambda: days)
    with pytest.raises(PermanentError, match="There is no export under"):
        fetch("newest", lambda: days)
    with pytest.raises(PermanentError, match="is not there"):
        fetch(f"s3://{days.bucket.name}/no/such.json.gpg", no_days)


def test_an_export_without_its_manifest_is_still_had(policy: Policy, sandbox: Sandbox) -> None:
    bucket, prefix = state_bucket(policy), policy.vault_export.prefix
    receipt = export(policy)
    bucket.put(f"{prefix}{DAY}.manifest.json", b"rubbish", content_type="application/json", metadata={})
    sealed = fetch(DAY, lambda: Days(bucket, prefix))
    assert sealed.manifest is None
    assert open_export(sealed, Key(private_key(sandbox))).secret_count == receipt.manifest.secret_count


@pytest.mark.parametrize("source", ["s3://bucket-without-key", "s3:///key", "no-such-file", "2031-3-14", ""])
def test_what_names_nothing_is_wrong_use(source: str) -> None:
    with pytest.raises(UsageError):
        fetch(source, no_days)


def test_a_file_with_its_manifest_beside_it(folder: Path) -> None:
    sealed = fetch(str(folder / EXPORT), no_days)
    assert sealed.manifest is not None
    assert open_export(sealed, KEY).counts() == sealed.manifest.environments
    assert "KEY" not in repr(KEY)
    assert "PRIVATE" not in repr(KEY)


def test_a_file_by_another_name_has_no_manifest(folder: Path) -> None:
    (folder / EXPORT).rename(folder / "export.gpg")
    sealed = fetch(str(folder / "export.gpg"), no_days)
    assert sealed.manifest is None
    assert open_export(sealed, KEY).secret_count == 12


def test_a_file_that_is_not_what_its_manifest_says(folder: Path) -> None:
    body = bytearray((folder / EXPORT).read_bytes())
    body[-5] ^= 1
    (folder / EXPORT).write_bytes(body)
    with pytest.raises(PermanentError, match="its checksum differs from what was recorded"):
        fetch(str(folder / EXPORT), no_days)


def test_an_export_that_holds_something_else_than_its_manifest_says(folder: Path) -> None:
    manifest = manifests.decode((folder / MANIFEST).read_bytes())
    assert manifest is not None
    rows = manifest.environments
    moved = (
        msgspec.structs.replace(manifest, secret_count=13),
        msgspec.structs.replace(manifest, environments=rows[1:]),
    )
    for changed in moved:
        (folder / MANIFEST).write_bytes(manifests.encode(changed))
        with pytest.raises(PermanentError, match="its manifest says"):
            open_export(fetch(str(folder / EXPORT), no_days), KEY)
