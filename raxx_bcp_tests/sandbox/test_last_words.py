"""What stands in a log last and says something: real endings of the programs that the sandbox runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from raxx_bcp_sandbox.last_words import last_words, log_size, with_last_words

PYTHON = """\
Traceback (most recent call last):
  File "<string>", line 1, in <module>
    import nothing
ModuleNotFoundError: No module named 'nothing'
"""
POSTGRES = """\
2026-11-28 13:00:00.101 UTC [77] LOG:  starting PostgreSQL 18.6 on x86_64-pc-linux-gnu, 64-bit
2026-11-28 13:00:00.102 UTC [77] LOG:  could not bind IPv4 address "127.0.0.1": Address already in use
2026-11-28 13:00:00.102 UTC [77] HINT:  Is another postmaster already running on port 8706? If not, wait and retry.
2026-11-28 13:00:00.102 UTC [77] WARNING:  could not create listen socket for "127.0.0.1"
2026-11-28 13:00:00.102 UTC [77] FATAL:  could not create any TCP/IP sockets
2026-11-28 13:00:00.103 UTC [77] LOG:  database system is shut down
"""
MARIADB = """\
2026-11-28  9:05:33 0 [Note] Starting MariaDB 10.11.19-MariaDB source revision  as process 99
2026-11-28  9:05:33 0 [ERROR] Can't start server : Bind on unix socket: Permission denied
2026-11-28  9:05:33 0 [Note] Do you already have another server running on socket: /tmp/s ?
2026-11-28  9:05:33 0 [ERROR] Aborting
"""
BROKEN_MARIADB = """\
2026-11-28 14:19:31 0 [ERROR] InnoDB: The Auto-extending data file './ibdata1' is of a different size 0 pages
2026-11-28 14:19:31 0 [ERROR] InnoDB: Plugin initialization aborted with error Generic error
2026-11-28 14:19:31 0 [Note] InnoDB: Starting shutdown...
2026-11-28 14:19:31 0 [ERROR] Plugin 'InnoDB' registration as a STORAGE ENGINE failed.
2026-11-28 14:19:32 0 [ERROR] Unknown/unsupported storage engine: InnoDB
2026-11-28 14:19:32 0 [ERROR] Aborting
"""
SEAWEED = """\
I1128 13:00:00.000001 volume.go:1 starting
F1128 13:00:00.000002 s3.go:2 S3 API Server listener on :8333: address already in use
I1128 13:00:00.000003 grace.go:3 exiting
"""
PANIC = """\
panic: runtime error: index out of range [3] with length 3

goroutine 1 [running]:
main.main()
\t/src/main.go:12 +0x1d
exit status 2
"""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (
            "PostgreSQL was not found in /x. Point PG_BIN at one.\n",
            "PostgreSQL was not found in /x. Point PG_BIN at one.",
        ),
        (PYTHON, "ModuleNotFoundError: No module named 'nothing'"),
        (POSTGRES, "FATAL: could not create any TCP/IP sockets"),
        (MARIADB, "[ERROR] Can't start server : Bind on unix socket: Permission denied"),
        (BROKEN_MARIADB, "[ERROR] InnoDB: The Auto-extending data file './ibdata1' is of a different size 0 pages"),
        (SEAWEED, "F1128 13:00:00.000002 s3.go:2 S3 API Server listener on :8333: address already in use"),
        (PANIC, "panic: runtime error: index out of range [3] with length 3"),
        ("INFO:     Application startup complete.\n\n", "INFO: Application startup complete."),
        ("\n  \n", ""),
        ("bell\x07 and \x1b[31mred\n", "bell and [31mred"),
        ("x" * 1000, "x" * 399 + "…"),
    ],
    ids=[
        "ours",
        "python",
        "postgres",
        "mariadb",
        "its data",
        "seaweed",
        "go",
        "nothing else",
        "empty",
        "control",
        "long",
    ],
)
def test_the_reason_is_found(tmp_path: Path, log: str, words: str) -> None:
    (tmp_path / "log").write_text(log)
    assert last_words(tmp_path / "log") == words


def test_only_what_was_said_since_counts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of yesterday\n")
    since = log_size(log)
    assert last_words(log, since) == ""
    with log.open("a") as file:
        file.write("of today\n")
    assert last_words(log, since) == "of today"
    log.write_text("anew\n")
    assert last_words(log, since) == "anew"


def test_no_log_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    assert (log_size(tmp_path / "none"), last_words(tmp_path / "none")) == (0, "")
    (tmp_path / "log").write_bytes(b"\xff\xfe what?\n")
    assert last_words(tmp_path / "log").endswith("what?")


def test_secrets_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("key abc refused; key xyz too\n")
    assert last_words(tmp_path / "log", hidden=["abc", "", "xyz"]) == "key … refused; key … too"


def test_a_sentence_ends_once() -> None:
    assert with_last_words("It stopped.", "") == "It stopped."
    assert with_last_words("It stopped.", "no room") == "It stopped. Its last words: no room."
    assert with_last_words("It stopped.", "No room.") == "It stopped. Its last words: No room."
