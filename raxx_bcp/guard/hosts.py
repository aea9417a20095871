"""The copy guard on a production host, over SSH: what ``deploy/copy-guard`` reports there, install it, remove it.

It runs the guard's own command as root. The command line holds only the kind of the host.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from raxx_bcp.clients.host_access import HostAccess
from raxx_bcp.clients.instance_shapes import Access
from raxx_bcp.clients.ssh import Completed, HostUnknownError, Shell, connect
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, TransientError
from raxx_bcp.guard.sightings import Sighting
from raxx_bcp.policy import Policy

FILES: Final = Path(__file__).parent / "files"
"""The guard itself: deploy/copy-guard."""
NOT_INSTALLED: Final = "not-installed"
ORIGINAL: Final = "same"
SECONDS: Final = 120.0

Login = Callable[[Access, int], Shell]

_THERE: Final = "command -v copy-guard >/dev/null"
_STATUS: Final = f"if {_THERE}; then copy-guard status; else echo machine={NOT_INSTALLED}; exit 1; fi"
_UNINSTALL: Final = f"if {_THERE}; then copy-guard uninstall; fi"
_INSTALL: Final = (
    'set -e; place=$(mktemp -d); trap \'rm -rf "$place"\' EXIT; tar -x -C "$place"; "$place/copy-guard" install {kind}'
)
_FIELD: Final = re.compile(r"^(\w+)=([\w.:+-]*)$", re.MULTILINE)
_REFUSED: Final = re.compile(r"^copy-guard: (.{1,400})$", re.MULTILINE)
_VERDICTS: Final = {
    NOT_INSTALLED: "the copy guard is not installed",
    "differs": "the guard takes it for a copy: its identity is not the one on record",
    "record-missing": "the guard takes it for a copy: there is no identity on record",
    "identity-unreadable": "the guard takes it for a copy: its identity cannot be read",
}


@dataclass(frozen=True)
class HostGuard:
    """What the guard reports on a host."""

    instance: str
    machine: str
    """``same``: the original. Otherwise the guard's own word."""
    in_order: bool
    kind: str = ""
    version: str = ""
    installed_utc: str = ""
    identity_sha256: str = ""
    list_sha256: str = ""
    a_copy_masks: int = 0
    """How many units a copy would mask, found by a rehearsal on the host."""

    @property
    def why(self) -> str:
        """Why it is not in order; empty when it is."""
        if self.in_order:
            return ""
        if self.machine != ORIGINAL:
            return _VERDICTS.get(self.machine, "the guard does not say what the machine is")
        return "the guard is not whole: install it again"

    def sighting(self, by: str, now: datetime) -> Sighting:
        """For the record."""
        return Sighting(
            instance=self.instance,
            seen_utc=now,
            guarded=self.in_order,
            by=by,
            kind=self.kind,
            guard_version=self.version,
            identity_sha256=self.identity_sha256,
            list_sha256=self.list_sha256,
            why=self.why,
        )


def kinds(policy: Policy) -> dict[str, str]:
    """The hosts with a guard, and which list each gets."""
    return {policy.freescout.instance: "freescout", policy.vault_snapshot.instance: "vault"}


def log_in(client: HostAccess, instance: str, port: int, login: Login = connect) -> Shell:
    """Log in to a production host. Raises ``CouldNotVerifyError`` where it cannot be reached."""
    access = client.access(instance)
    try:
        return login(access, port)
    except (TransientError, HostUnknownError) as error:
        raise CouldNotVerifyError(
            f"{instance} could not be looked at: {error.what}",
            "Look at the instance and at its firewall in the Lightsail console: it must let this machine in by SSH.",
        ) from None


def status(shell: Shell, instance: str) -> HostGuard:
    """What the guard reports. Raises ``CouldNotVerifyError`` where its state cannot be found out."""
    done = _as_root(shell, _STATUS)
    said = dict(_FIELD.findall(done.stdout.decode("utf-8", "replace")))
    if done.exit_code not in (0, 1) or "machine" not in said:
        raise CouldNotVerifyError(
            f"The copy guard of {instance} could not be asked (exit code {done.exit_code}).",
            f"Log in to {instance} and run: sudo copy-guard status",
        )
    masks = said.get("a_copy_masks", "")
    return HostGuard(
        instance=instance,
        machine=said["machine"],
        in_order=done.exit_code == 0,
        kind=said.get("kind", ""),
        version=said.get("version", ""),
        installed_utc=said.get("installed_utc", ""),
        identity_sha256=said.get("identity_sha256", ""),
        list_sha256=said.get("list_sha256", ""),
        a_copy_masks=int(masks) if masks.isdigit() else 0,
    )


def install(shell: Shell, instance: str, kind: str) -> HostGuard:
    """Install or update the guard, and look. Raises ``PermanentError`` with the guard's reason."""
    done = _as_root(shell, _INSTALL.format(kind=kind), stdin=_packed())
    _refuse(done, f"The copy guard could not be installed on {instance}")
    return status(shell, instance)


def uninstall(shell: Shell, instance: str) -> HostGuard:
    """Remove the guard, and look. Raises ``PermanentError`` with the guard's reason."""
    _refuse(_as_root(shell, _UNINSTALL), f"The copy guard could not be removed from {instance}")
    return status(shell, instance)


def _as_root(shell: Shell, script: str, *, stdin: bytes = b"") -> Completed:
    quoted = script.replace("'", "'\\''")
    return shell.run(f"sudo -n sh -c '{quoted}'", stdin=stdin, timeout_seconds=SECONDS)


def _refuse(done: Completed, what: str) -> None:
    if done.exit_code == 0:
        return
    reason = _REFUSED.search(done.stderr.decode("utf-8", "replace"))
    said = reason.group(1) if reason else f"it ended with exit code {done.exit_code}."
    raise PermanentError(f"{what}: {said}", "Nothing of the host's own was changed. Fix that, then try again.")


def _packed() -> bytes:
    """The guard's files as a tar archive, the same bytes for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for file in sorted(each for each in FILES.rglob("*") if each.is_file()):
            member = tarfile.TarInfo(str(file.relative_to(FILES)))
            content = file.read_bytes()
            member.size, member.mode = len(content), 0o755 if content.startswith(b"#!") else 0o644
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
