"""GnuPG's other half: decrypt a message, into memory only, with the operator's own gpg or a given key.

It runs gpg itself instead of python-gnupg: the operator's agent, smart card and pinentry work as in
their shell, and the plaintext is collected once. It trusts only the exit code and ``DECRYPTION_OKAY``: for
a message with one flipped bit, gpg emits **all** the plaintext first, and for a truncated one much of it
(measured, GnuPG 2.2.40).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from raxx_bcp.clients.gpg_space import private_folder, refuse_full, spoken_in_english
from raxx_bcp.errors import BackupWrongError, PermanentError, UsageError

_CHUNK_BYTES: Final = 256 * 1024


class DecryptionFailedError(PermanentError):
    """GnuPG could not decrypt a message, or not all of it."""


class MessageDamagedError(DecryptionFailedError, BackupWrongError):
    """The key fits, or there is no message at all: the stored object is damaged."""


class NoSecretKeyError(DecryptionFailedError):
    """The message is for other keys than those that are available here."""


def decrypt(
    ciphertext: bytes | bytearray, armoured_private_key: bytes | None, *, home: Path | None = None
) -> bytearray:
    """The plaintext, in memory only.

    With ``armoured_private_key`` it makes a private keyring, in memory where the machine has ``/dev/shm``.
    Without it, it uses the caller's own keyring and agent, or those of the GnuPG home ``home``. Raises
    ``NoSecretKeyError``, ``DecryptionFailedError``, ``NoSpaceError`` where gpg has no space, or ``UsageError`` where
    gpg is missing.
    """
    if shutil.which("gpg") is None:
        raise UsageError("The program gpg was not found.", "Install GnuPG 2.2 or newer (Debian: apt-get install gpg).")
    if armoured_private_key is None:
        return _opened(ciphertext, [] if home is None else ["--homedir", str(home)], home)
    with private_home(armoured_private_key) as made:
        return _opened(ciphertext, ["--homedir", str(made), "--no-options"], made)


def stop_agents(home: Path) -> None:
    """End the agents that gpg has left behind in a home of ours."""
    if any(home.glob("S.*")):
        subprocess.run(
            ["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True, timeout=10
        )


@contextlib.contextmanager
def private_home(armoured_private_key: bytes) -> Iterator[Path]:
    """A GnuPG home that holds only this key, in memory where the machine has ``/dev/shm``; removed after the block.

    Raises ``NoSpaceError`` where there is no space for the key.
    """
    shared_memory = Path("/dev/shm")  # noqa: S108 - a private mkdtemp inside it, so that no key touches a disk
    parent = str(shared_memory) if os.access(shared_memory, os.W_OK) else None
    home = private_folder(parent)
    try:
        command = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--no-options", "--import"]
        environ = spoken_in_english(os.environ)
        done = subprocess.run(
            command, input=armoured_private_key, env=environ, capture_output=True, check=False, timeout=60
        )
        if done.returncode != 0:
            refuse_full(home, done.stderr.decode("utf-8", "replace"))
        yield home
    finally:
        stop_agents(home)
        shutil.rmtree(home, ignore_errors=True)


def _opened(ciphertext: bytes | bytearray, options: Sequence[str], home: Path | None) -> bytearray:
    seen_by_a_person = sys.stderr.isatty()
    reader, writer = os.pipe()
    status = _Status(reader)
    try:
        process = subprocess.Popen(
            ["gpg", *options, "--no-auto-key-locate", "--status-fd", str(writer), "--decrypt"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if seen_by_a_person else subprocess.DEVNULL,
            pass_fds=(writer,),
            env=_environment(os.environ),
        )
    finally:
        os.close(writer)
    assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101 - both were asked for
    feeder = threading.Thread(target=_feed, args=(process.stdin, ciphertext), daemon=True)
    feeder.start()
    plaintext = bytearray()
    with process:
        while chunk := process.stdout.read(_CHUNK_BYTES):
            plaintext += chunk
        feeder.join()
        code = process.wait()
    words = status.words()
    if code != 0 or "DECRYPTION_OKAY" not in words:
        if not _fits(words):
            refuse_full(home)
        raise _refusal(code, words)
    return plaintext


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Where pinentry may ask: the terminal that started us, since gpg's own stdin is a pipe."""
    known = dict(environ)
    if "GPG_TTY" not in known and sys.stdin is not None and sys.stdin.isatty():
        known["GPG_TTY"] = os.ttyname(sys.stdin.fileno())
    return known


def _feed(stdin: IO[bytes], ciphertext: bytes | bytearray) -> None:
    with contextlib.suppress(BrokenPipeError), stdin:
        stdin.write(ciphertext)


class _Status:
    """gpg's status words, read while it runs. Their values are not kept."""

    def __init__(self, descriptor: int) -> None:
        self._words: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(descriptor,), daemon=True)
        self._thread.start()

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as lines:
            for line in lines:
                parts = line.split()
                if len(parts) > 1 and parts[0] == b"[GNUPG:]":
                    self._words.append(parts[1].decode("ascii", "replace"))

    def words(self) -> list[str]:
        self._thread.join()
        return self._words


def _fits(words: Sequence[str]) -> bool:
    """Was the message decrypted with a key that is available here, whatever the outcome?"""
    return "DECRYPTION_KEY" in words or "DECRYPTION_INFO" in words


def _refusal(code: int, words: Sequence[str]) -> DecryptionFailedError:
    fits = _fits(words)
    if "NO_SECKEY" in words and not fits:
        return NoSecretKeyError(
            f"gpg could not decrypt the export (exit code {code}): the private key that it was made for is not here.",
            "Go where the operator's key is, plug in its card, or name the key: --private-key-file FILE.",
        )
    if fits and code >= 0:  # a gpg that was killed says nothing about the message
        return MessageDamagedError(
            f"gpg could not decrypt the export (exit code {code}): the key fits, and the message is damaged.",
            "None of it was used. Take another day's export, an earlier version, or the second copy.",
        )
    return DecryptionFailedError(
        f"gpg could not decrypt the export (exit code {code}).",
        "Either the key could not be unlocked, or this is not a whole encrypted message: raxx-bcp vault verify.",
    )
