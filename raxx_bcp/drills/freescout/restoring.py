"""Restores a dump set onto an empty host: the database over several connections, then the files of the site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from raxx_bcp.clients.decoding import understood
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.clients.ssh import CommandFailedError
from raxx_bcp.drills.engine.drill import Drill
from raxx_bcp.drills.freescout import archive, artefact, database_client, dump_set, examine, remote_program
from raxx_bcp.drills.freescout.artefact import Stored
from raxx_bcp.drills.freescout.dump_set import DumpSet
from raxx_bcp.drills.freescout.host_protocol import LOOK_AGAIN, Host, reported
from raxx_bcp.drills.freescout.host_side import arrange, loader, login, splitter, unpacking, wire
from raxx_bcp.errors import BackupWrongError, BcpError, CouldNotVerifyError
from raxx_bcp.policy import FreeScout

ENV: Final = "env"
ARCHIVES: Final = ("attachments", "modules")
_UNPACK: Final = ("tar", "-xz", "--no-same-owner", "--no-same-permissions", "-C")
"""GNU tar itself refuses members that lead out of the directory."""
_INCREMENTAL: Final = "--listed-incremental=/dev/null"
"""A base, and what changed since: files that were deleted in between are removed again (GNU tar's manual)."""
_OWNED: Final[Mapping[str, frozenset[str]]] = {
    ".env": frozenset({ENV}),
    "storage": frozenset(),
    "Modules": frozenset({ENV, "modules"}),
}
"""What the site must own, and the parts that bring it. What needs no part is in the code."""


@dataclass(frozen=True)
class Target:
    """Where it is restored to."""

    host: Host
    policy: FreeScout
    timeout_seconds: float

    @property
    def client(self) -> tuple[str, ...]:
        """The command that asks its database."""
        return database_client.of_new_host(self.policy)


def restore(
    drill: Drill, target: Target, bucket: Bucket, dumped: DumpSet, private_key: bytes | None
) -> Mapping[str, Any]:
    """Restore ``dumped`` and record every check of ``artefact`` but the rows; what the loader reported.

    Raises ``BackupWrongError`` where there is no dump, or an archive of it cannot be unpacked anywhere;
    ``CouldNotVerifyError`` where there is nothing that it can be restored into.
    """
    drill.add(artefact.complete(dumped, target.policy.dump_parts))
    if dump_set.DATABASE not in dumped.members:
        raise BackupWrongError(
            f"The dump set of {dumped.day} has no database: nothing could be restored.",
            "Look at what writes the dump sets, and make one now.",
        )
    problem = examine.no_database(drill, target.host, target.policy)
    if problem:
        raise CouldNotVerifyError(
            f"No database runs on the empty instance: {problem}",
            "Look at the launch script's log on a host that was kept (--keep): its packages may not have come.",
        )
    streams = {part: Stored(bucket, member) for part, member in dumped.members.items()}
    report = load_database(target, streams[dump_set.DATABASE].plaintext(private_key))
    told_rows = dumped.manifest.expectation.rows if dumped.manifest else None
    server = target.policy.database_server
    with understood("What the loader reported", LOOK_AGAIN):
        judged, unjudged = artefact.judge(report, told_rows, server=server), artefact.unjudged(report)
        _rows = {str(name): int(rows) for name, rows in report["rows"].items()}
    for one in judged:
        drill.add(one)
    if unjudged:
        raise CouldNotVerifyError(
            f"The dump could not be restored on {target.policy.restored_instance}: {unjudged}.",
            "Choose a larger bundle (freescout.bundle) where it was full; else look at its packages, and at what else "
            "works on it. Then start the drill again.",
        )
    bases = {part: Stored(bucket, member) for part, member in dumped.bases.items()}
    _place_files(drill, target, streams, bases, private_key)
    drill.add(artefact.checksums(dumped, [*streams.values(), *bases.values()]))
    return report


def load_database(target: Target, dump: Iterator[bytes]) -> Mapping[str, Any]:
    """Stream the packed ``dump`` into the policy's database, which is made where it is missing.

    What ``host_side.loader.restore`` reports. Raises what iterating ``dump`` raises.
    """
    database = target.policy.database
    target.host.sql(f"CREATE DATABASE IF NOT EXISTS `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;\n")
    arguments = (database, target.policy.connections, target.client)
    source = remote_program.program(splitter, wire, unpacking, loader, arguments=arguments)
    printed = target.host.python(source, stdin=dump, timeout_seconds=target.timeout_seconds)
    return reported(printed, "the loader")


def _place_files(
    drill: Drill,
    target: Target,
    streams: Mapping[str, Stored],
    bases: Mapping[str, Stored],
    private_key: bytes | None,
) -> None:
    site, host = target.policy.site_directory, target.host
    if ENV in streams:
        source = remote_program.program(login, arrange, arguments=(site, target.policy.database, target.client))
        told = reported(host.python(source, stdin=streams[ENV].plaintext(private_key)), "the program for the site")
        if not told.get("user"):
            drill.progress("the site's user of the database could not be made")
    for part in ARCHIVES:
        options = [_INCREMENTAL] if part in bases else []
        for stored in filter(None, (bases.get(part), streams.get(part))):
            argv = [*_UNPACK, site, *options]
            content = stored.plaintext(private_key)
            try:
                host.run(f"unpack the {part}", argv, stdin=content, timeout_seconds=target.timeout_seconds)
            except CommandFailedError as failed:
                raise _unpacking(part, stored.plaintext(private_key), failed) from None
    places = [f"{site}/{name}" for name, parts in _OWNED.items() if not parts or streams.keys() & parts]
    host.run("give the site its files", ["chown", "-R", f"--reference={site}/artisan", *places])


def _unpacking(part: str, content: Iterator[bytes], failed: CommandFailedError) -> BcpError:
    """Whose fault it is that a host could not unpack an archive: reads it here as well, where no disk can be full."""
    problem = archive.problem(content)
    if problem:
        return BackupWrongError(
            f"The {part} of the dump set cannot be unpacked: {problem}.", "Look at what writes the dump sets."
        )
    return CouldNotVerifyError(
        f"{failed.what} The archive itself can be read to its end.",
        "The instance may be full: choose a larger bundle (freescout.bundle), then start the drill again.",
    )
