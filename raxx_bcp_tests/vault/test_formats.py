"""Every format version ever written still opens, and is still restored: a fixture of each is kept.

``formats/<version>/`` holds an encrypted export, its manifest, and the test key that opens it. A fixture is
never made anew: it is what old software really wrote.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from raxx_bcp.vault.document import SCHEMA_VERSION
from raxx_bcp.vault.opening import OpenedExport
from raxx_bcp.vault.restore import restore
from raxx_bcp.vault.sources import Days, Key, fetch, open_export
from raxx_bcp_tests.vault.restoring import target

FORMATS = Path(__file__).parent / "formats"
VERSIONS = sorted(int(folder.name) for folder in FORMATS.iterdir())


def no_days() -> Days:
    raise AssertionError("a file needs no bucket")


def _opened(version: int) -> OpenedExport:
    folder = FORMATS / str(version)
    (export,) = folder.glob("*.json.gpg")
    sealed = fetch(str(export), no_days)
    assert sealed.manifest is not None
    assert sealed.recipients == sealed.manifest.recipients
    return open_export(sealed, Key((folder / "test-key.asc").read_bytes()))


def test_there_is_a_fixture_of_every_version_up_to_the_current_one() -> None:
    assert list(range(1, SCHEMA_VERSION + 1)) == VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_an_export_of_that_version_opens_and_is_restored(version: int) -> None:
    document = _opened(version)
    assert document.schema_version == version
    with target() as there:
        with there.writer() as writer:
            restored = restore(document, writer)
        assert restored.ok
        assert restored.compared.equal == {
            "project": 2,
            "tag": 2,
            "environment": 4,
            "folder": 4,
            "secret": 12,
            "import": 6,
        }
        found = there.world.project_by_slug("raxx-small")
        assert found is not None
        secret = found.environments["dev"].folders["/a/b"].secrets["ONE"]
        assert (secret.value, [tag.slug for tag in secret.tags]) == ("rxs_raxx-small_/a/b_ONE", ["critical"])
        reminded = found.environments["dev"].folders["/"].secrets["TWO"]
        assert (reminded.reminder_note, reminded.reminder_days) == ("turn it", 30)
