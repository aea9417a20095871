"""A full disk below GnuPG: it then says "No public key" and "No secret key", although the key is there.

gpg cannot write its lock, its keyring or its agent's socket, and continues as if the key were missing (measured,
GnuPG 2.2.40: an import ends with 2 and no key, a decryption with ``NO_SECKEY``). So whenever gpg fails, this module
checks its home first. Only when the home has space does the error blame the key or the message.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from raxx_bcp.errors import TransientError

NEEDED_BYTES: Final = 64 * 1024
"""A keyring of one key, its trust database, locks and sockets take about 20 KB (measured): with less, gpg fails."""

_IN_WORDS: Final = ("No space left on device", "Disk quota exceeded")
"""The C library's message, untranslated in the locale ``C``."""


class NoSpaceError(TransientError):
    """gpg has no space for its files; nothing is known about the key or the message."""


def spoken_in_english(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` for a gpg whose messages are read here."""
    return {**environ, "LC_ALL": "C"}


def refuse_full(home: Path | None, said: str = "", environ: Mapping[str, str] | None = None) -> None:
    """Call it when gpg failed. Raises ``NoSpaceError`` where ``said`` or the file system of ``home`` shows a full disk.

    ``home`` None is the caller's own GnuPG home.
    """
    folder = own_home(os.environ if environ is None else environ) if home is None else home
    if any(words in said for words in _IN_WORDS) or _is_full(folder):
        raise no_space(folder if home is None else folder.parent)


def own_home(environ: Mapping[str, str]) -> Path:
    """The GnuPG home of the current user: ``$GNUPGHOME``, else ``~/.gnupg`` (gpg(1), "--homedir")."""
    return Path(environ.get("GNUPGHOME") or Path.home() / ".gnupg")


def no_space(folder: Path) -> NoSpaceError:
    """The sentence for it, which names the folder whose file system is full."""
    return NoSpaceError(
        f"There is no space left in {folder}, where gpg keeps its files: it could not work.",
        f"Free some (df -h {folder}), or let TMPDIR name another folder where it is a temporary one; then start again.",
    )


def private_folder(parent: str | None = None) -> Path:
    """A new folder for a GnuPG home; its name is short, since gpg's sockets allow about 100 characters.

    The caller removes it. Raises ``NoSpaceError`` where there is no space to make one.
    """
    try:
        return Path(tempfile.mkdtemp(prefix="rbcp-", dir=parent))
    except FileNotFoundError:
        if parent is not None:
            raise
        raise no_space(Path(os.environ.get("TMPDIR") or "/tmp")) from None  # noqa: S108 - the name for a sentence
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise no_space(Path(parent or tempfile.gettempdir())) from None


def _is_full(folder: Path) -> bool:
    try:
        system = os.statvfs(folder)
    except OSError:
        return False
    out_of_files = system.f_files > 0 and system.f_favail == 0
    return out_of_files or system.f_bavail * system.f_frsize < NEEDED_BYTES
