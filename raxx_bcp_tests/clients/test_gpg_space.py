"""A full disk below gpg is told as such in every place that runs it, and a missing key still as a missing key."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from raxx_bcp.clients import gpg_space
from raxx_bcp.clients.gpg import KeyRefusedError, NoSpaceError, decrypt, keyring
from raxx_bcp.clients.gpg_space import own_home, private_folder, refuse_full
from raxx_bcp_sandbox.keys import KeyPair
from raxx_bcp_tests.clients.full_folders import can_mount, in_a_full_folder
from raxx_bcp_tests.clients.gnupg_lab import encrypted
from raxx_bcp_tests.conftest import NOW

NOTHING = "def prepare(folder): pass\n"
JUDGED = (
    NOTHING
    + """
from datetime import UTC, datetime
from raxx_bcp.clients.gpg import keyring
def tried(folder, key, fingerprint):
    with keyring(Path(key).read_bytes(), fingerprint, now=datetime(2031, 3, 14, tzinfo=UTC)) as ring:
        return ring.key.fingerprint
"""
)
ENCRYPTED = """
import io
from datetime import UTC, datetime
from raxx_bcp.clients.gpg import keyring
def prepare(folder): pass
def tried(folder, key, fingerprint):
    with keyring(Path(key).read_bytes(), fingerprint, now=datetime(2031, 3, 14, tzinfo=UTC)) as ring:
        return len(ring.encrypt(io.BytesIO(b"plain")).data)
"""
OPENED_WITH_A_KEY = (
    NOTHING
    + """
from raxx_bcp.clients import gpg_decrypt
os_access = os.access
def tried(folder, message, key):
    os.access = lambda path, mode: str(path) != "/dev/shm" and os_access(path, mode)  # so that TMPDIR counts
    return gpg_decrypt.decrypt(Path(message).read_bytes(), Path(key).read_bytes()).decode()
"""
)
OPENED_AT_HOME = """
import subprocess
def gpg(home, *words, given):
    command = ["gpg", "--homedir", home, "--batch", "--no-tty", *words]
    subprocess.run(command, input=given, capture_output=True, check=True)
def prepare(folder):
    home = folder / "h"
    home.mkdir(mode=0o700)
    gpg(str(home), "--import", given=Path(sys.argv[3]).read_bytes())
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
def tried(folder, message, _key):
    from raxx_bcp.clients import gpg_decrypt
    try:
        return gpg_decrypt.decrypt(Path(message).read_bytes(), None, home=folder / "h").decode()
    finally:
        subprocess.run(["gpgconf", "--homedir", str(folder / "h"), "--kill", "all"], check=True)
"""
OPENED_FOR_A_DRILL = (
    NOTHING
    + """
from raxx_bcp.drills.freescout.decrypting import decrypting
os_access = os.access
def tried(folder, message, key):
    os.access = lambda path, mode: str(path) != "/dev/shm" and os_access(path, mode)
    return b"".join(decrypting([Path(message).read_bytes()], "env.gpg", Path(key).read_bytes())).decode()
"""
)
ON_THE_HELP_DESKS_HOST = (
    NOTHING
    + """
from types import SimpleNamespace
from datetime import UTC, datetime
from raxx_bcp.freescout.backup_tool import Key
def tried(folder, key, fingerprint):
    config = SimpleNamespace(public_key=Path(key).read_bytes(), fingerprint=fingerprint)
    with Key(config, datetime(2031, 3, 14, tzinfo=UTC)):
        return fingerprint
"""
)
real_disk = pytest.mark.skipif(not can_mount(), reason="this user may have no mount namespace (unshare --mount)")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path of its own: gpg's sockets allow about 100 characters."""
    made = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def files(folder: Path, operator: KeyPair) -> dict[str, str]:
    """The operator's two keys and a message to them, as files."""
    given = {"public": operator.public, "secret": operator.secret}
    for name, text in given.items():
        (folder / name).write_text(text)
    (folder / "message").write_bytes(encrypted(b"the plaintext", operator))
    return {name: str(folder / name) for name in ("public", "secret", "message")} | {"pin": operator.fingerprint}


PLACES = [
    pytest.param(JUDGED, ("public", "pin"), id="the operator's key is judged"),
    pytest.param(ENCRYPTED, ("public", "pin"), id="an export is encrypted"),
    pytest.param(OPENED_WITH_A_KEY, ("message", "secret"), id="opened with a key that is given"),
    pytest.param(OPENED_AT_HOME, ("message", "secret"), id="opened with one's own keyring"),
    pytest.param(OPENED_FOR_A_DRILL, ("message", "secret"), id="a dump set opened for a drill"),
    pytest.param(ON_THE_HELP_DESKS_HOST, ("public", "pin"), id="on the help desk's host"),
]


@real_disk
@pytest.mark.parametrize("free_kib", [4, 12])
@pytest.mark.parametrize(("program", "names"), PLACES)
def test_a_full_disk_is_said_to_be_full(
    folder: Path, files: dict[str, str], program: str, names: tuple[str, ...], free_kib: int
) -> None:
    if program == OPENED_AT_HOME:
        free_kib = min(free_kib, 4)  # its keyring is there already: only the locks and the agent's socket are written
    said = in_a_full_folder(folder / "m", program, *(files[name] for name in names), free_kib=free_kib)
    assert "There is no space left in " in said
    assert str(folder / "m") in said
    assert "key is missing" not in said
    assert "not here" not in said


@real_disk
@pytest.mark.parametrize(("program", "names"), PLACES)
def test_with_room_it_works(folder: Path, files: dict[str, str], program: str, names: tuple[str, ...]) -> None:
    said = in_a_full_folder(folder / "m", program, *(files[name] for name in names), size_kib=4096, free_kib=2048)
    assert said in ("the plaintext", files["pin"]) or said.isdigit(), said


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system has room, whatever gpg says."""
    monkeypatch.setattr(gpg_space, "_is_full", lambda _folder: False)


@pytest.mark.usefixtures("roomy")
def test_gpgs_own_words_are_enough_also_where_the_room_came_back() -> None:
    words = "gpg: error writing keyring '/tmp/rbcp-x/pubring.kbx': No space left on device"
    with pytest.raises(NoSpaceError, match="no space left in /tmp,") as caught:
        refuse_full(Path("/tmp/rbcp-x"), words)
    assert "df -h /tmp" in caught.value.remedy
    with pytest.raises(NoSpaceError):
        refuse_full(Path("/tmp/rbcp-x"), "gpg: can't create: Disk quota exceeded")
    refuse_full(Path("/tmp/rbcp-x"), "gpg: decryption failed: No secret key")


def test_a_key_that_is_none_is_still_called_missing_where_there_is_room(operator: KeyPair) -> None:
    with pytest.raises(KeyRefusedError, match="holds no OpenPGP key"), keyring(b"none", operator.fingerprint, now=NOW):
        pass
    with pytest.raises(Exception, match="is not here"):
        decrypt(encrypted(b"x", operator), b"none")


def test_ones_own_home_is_where_gpg_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    assert own_home({}) == Path("/home/alice/.gnupg")
    assert own_home({"GNUPGHOME": "/keys"}) == Path("/keys")


@pytest.mark.parametrize(
    ("code", "kind"),
    [(28, NoSpaceError), (122, NoSpaceError), (13, PermissionError)],
    ids=["ENOSPC", "EDQUOT", "EACCES"],
)
def test_no_folder_for_want_of_room_is_told_and_another_reason_is_not(
    monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
) -> None:
    def refuse(**_given: object) -> str:
        raise OSError(code, os.strerror(code), "/tmp/rbcp-x")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(kind):
        private_folder()
