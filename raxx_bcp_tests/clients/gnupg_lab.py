"""Real GnuPG at the command line, for keys in every condition and messages to look at from outside."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from raxx_bcp_sandbox.keys import KeyPair

IN_2024 = ("--faked-system-time", "20240102T000000")


@contextmanager
def gnupg_home(*armoured: str) -> Iterator[Path]:
    """A private home with these keys; directly under /tmp, since the agent's socket needs a short path."""
    home = Path(tempfile.mkdtemp(prefix="t-gpg-", dir="/tmp"))
    try:
        for key in armoured:
            gpg(home, "--import", stdin=key.encode())
        yield home
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def gpg(home: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """What gpg writes to stdout. Raises when it fails."""
    fixed = ["--batch", "--no-tty", "--yes", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    command = ["gpg", "--homedir", str(home), *fixed, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=60).stdout


def changed(key: KeyPair, *steps: Sequence[str]) -> str:
    """The armoured public key after its owner ran these gpg commands on it."""
    with gnupg_home(key.secret) as home:
        for step in steps:
            gpg(home, *step)
        return gpg(home, "--armor", "--export", key.fingerprint).decode()


def edited(key: KeyPair, answers: str) -> str:
    """The armoured public key after its owner gave these answers to ``--edit-key``."""
    with gnupg_home(key.secret) as home:
        fixed = ["--no-tty", "--quiet", "--pinentry-mode", "loopback", "--command-fd", "0"]
        command = ["gpg", "--homedir", str(home), *fixed, "--edit-key", key.fingerprint]
        subprocess.run(command, input=answers.encode(), capture_output=True, check=True, timeout=60)
        return gpg(home, "--armor", "--export", key.fingerprint).decode()


def encrypted(plaintext: bytes, *to: KeyPair, options: Sequence[str] = ()) -> bytes:
    """A message that gpg itself made for all of ``to``."""
    recipients = [part for key in to for part in ("--recipient", key.fingerprint)]
    with gnupg_home(*(key.public for key in to)) as home:
        return gpg(home, "--trust-model", "always", *options, *recipients, "--encrypt", stdin=plaintext)


def key_ids_by_gpg(message: bytes) -> list[str]:
    """The recipients as ``gpg --list-packets`` shows them; it exits 2 without the secret key."""
    with gnupg_home() as home:
        command = ["gpg", "--homedir", str(home), "--batch", "--list-packets"]
        done = subprocess.run(command, input=message, capture_output=True, check=False, timeout=60)
    return re.findall(r"^:pubkey enc packet: .* keyid ([0-9A-F]{16})$", done.stdout.decode(), re.MULTILINE)
