"""Decrypts a member of a dump set on its way, piece by piece: never whole in memory, never in clear on a disk.

gpg outputs all the plaintext of a message with one flipped bit before it reports the error, and much of the plaintext
of one that is cut short (measured, GnuPG 2.2.40). So the output counts only after gpg has ended well and said so.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from raxx_bcp.clients.gpg_decrypt import DecryptionFailedError, MessageDamagedError, private_home
from raxx_bcp.clients.gpg_space import refuse_full
from raxx_bcp.errors import CouldNotVerifyError

_CHUNK_BYTES: Final = 1024 * 1024
_DAMAGED: Final = frozenset({"BADMDC", "DECRYPTION_INFO", "DECRYPTION_KEY", "NODATA", "UNEXPECTED"})
"""GnuPG's status words (doc/DETAILS) for no message, or one that a fitting key could not open to its end."""


def decrypting(chunks: Iterable[bytes], name: str, private_key: bytes | None) -> Generator[bytes]:
    """The plaintext of ``chunks``, a message called ``name``. Reads ``chunks`` in a thread of its own.

    ``private_key`` is armoured; without one the caller's own keyring and agent are asked. Raises
    ``CouldNotVerifyError`` naming the keys that it was encrypted to where none of them is available,
    ``MessageDamagedError`` at the end of a message that is not whole, ``DecryptionFailedError`` where gpg itself failed
    or could not unlock the key, ``NoSpaceError`` where gpg had no room, and what iterating ``chunks`` raises.
    """
    if shutil.which("gpg") is None:
        raise CouldNotVerifyError(
            f"{name} is encrypted, and the program gpg was not found.", "Install GnuPG (Debian: apt-get install gpg)."
        )
    with _home(private_key) as home:
        yield from _Opening(chunks, name, home).plaintext()


class _Opening:
    """One gpg process, what is fed to it, and what it says."""

    def __init__(self, chunks: Iterable[bytes], name: str, home: Path | None) -> None:
        self._chunks = chunks
        self._name = name
        self._home = home
        self._said: list[list[str]] = []
        self._failure: BaseException | None = None
        self._status_in, self._status_out = os.pipe()
        options = [] if home is None else ["--homedir", str(home), "--no-options"]
        status = ["--status-fd", str(self._status_out)]
        try:
            self._process = subprocess.Popen(
                ["gpg", *options, "--batch", "--no-tty", "--no-auto-key-locate", *status, "--decrypt"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(self._status_out,),
            )
        finally:
            os.close(self._status_out)

    def plaintext(self) -> Iterator[bytes]:
        """Everything that gpg outputs; raises at the end when the output must not be used."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: PT018, S101 - both were asked for
        threads = [threading.Thread(target=self._feed, args=(stdin,)), threading.Thread(target=self._listen)]
        for thread in threads:
            thread.start()
        try:
            while chunk := stdout.read(_CHUNK_BYTES):
                yield chunk
        except BaseException:
            self._process.kill()
            raise
        finally:
            stdout.close()
            self._process.wait()
            for thread in threads:
                thread.join()
        self._judge()

    def _feed(self, stdin: IO[bytes]) -> None:
        with contextlib.suppress(BrokenPipeError), stdin:
            try:
                for chunk in self._chunks:
                    stdin.write(chunk)
            except BrokenPipeError:
                raise
            except BaseException as error:  # noqa: BLE001 - handed on to whoever reads the plaintext
                self._failure = error
                self._process.kill()

    def _listen(self) -> None:
        with os.fdopen(self._status_in, "rb") as lines:
            for line in lines:
                words = line.decode("ascii", "replace").split()
                if len(words) > 1 and words[0] == "[GNUPG:]":
                    self._said.append(words[1:])

    def _judge(self) -> None:
        if self._failure is not None:
            raise self._failure
        words = {said[0] for said in self._said}
        if self._process.returncode == 0 and "DECRYPTION_OKAY" in words:
            return
        if not words & {"DECRYPTION_KEY", "DECRYPTION_INFO"}:
            refuse_full(self._home)
        if "NO_SECKEY" in words and not words & {"DECRYPTION_KEY", "DECRYPTION_INFO"}:
            keys = ", ".join(dict.fromkeys(said[1] for said in self._said if said[0] == "NO_SECKEY" and len(said) > 1))
            raise CouldNotVerifyError(
                f"{self._name} is encrypted to the key {keys}, which is not at hand.",
                "Start the drill where the key is, or name it: --private-key-file FILE.",
            )
        what = f"gpg could not decrypt {self._name} (exit code {self._process.returncode})."
        if words & _DAMAGED and self._process.returncode >= 0:
            raise MessageDamagedError(
                what, "It is damaged, or no whole encrypted message: look at what writes the dump sets."
            )
        raise DecryptionFailedError(
            what, "The key could not be unlocked, or gpg itself failed: try gpg --decrypt by hand where the key is."
        )


@contextlib.contextmanager
def _home(private_key: bytes | None) -> Iterator[Path | None]:
    """None for the caller's own keyring, or a private home that holds ``private_key`` alone."""
    if private_key is None:
        yield None
        return
    with private_home(private_key) as home:
        yield home
