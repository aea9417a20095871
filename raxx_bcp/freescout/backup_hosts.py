"""``freescout-backup`` on the help desk's host, over SSH: put there, looked at, removed by ``backup_on_host``.

Nothing but that program is on a command line there: settings, key and credentials go through its input.
"""

from __future__ import annotations

import configparser
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from raxx_bcp.clients.ssh import Shell
from raxx_bcp.errors import CouldNotVerifyError, PermanentError, UsageError
from raxx_bcp.freescout import backup_on_host, backup_tool
from raxx_bcp.policy import Policy
from raxx_bcp.vault.keys import OperatorKey

FILES: Final = Path(__file__).parent / "files"
"""The service and its timer: deploy/freescout-backup."""
SECONDS: Final = 420.0
"""More than the program's own limit for its check."""
ACCESS_KEY, SECRET_KEY, SLACK_TOKEN = backup_on_host.SECRETS
_START: Final = (
    "import sys;b=sys.stdin.buffer;sys.version_info>=(3,9) or sys.exit(9);"
    "exec(compile(b.read(int(b.readline())),'freescout-backup','exec'))"
)
_OLD_PYTHON, _NOT_THERE = 9, 127


@dataclass(frozen=True)
class Setting:
    """What the host is given. A credential that is not in here stays what it is there."""

    policy: Policy
    key: OperatorKey
    region: str
    endpoint: str = ""
    slack_url: str = ""
    full_every_days: int | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """``backup_on_host``'s input."""
        freescout = self.policy.freescout
        storage = {
            "bucket": freescout.dump_bucket or self.policy.state_bucket.name,
            "region": self.region,
            "prefix": freescout.dump_prefix,
            **({"endpoint": self.endpoint} if self.endpoint else {}),
        }
        return {
            "settings": {
                "site": {"directory": freescout.site_directory},
                "database": {"name": freescout.database, "user": "root", "socket": "/run/mysqld/mysqld.sock"},
                "storage": storage,
                "encryption": {"fingerprint": self.key.fingerprint},
                "slack": {
                    "channel": self.policy.alerts.slack_channel,
                    **({"url": self.slack_url} if self.slack_url else {}),
                },
                "attachments": {"full_every_days": str(self.full_every_days)} if self.full_every_days else {},
            },
            "public_key": self.key.armoured.decode("ascii", "replace"),
            "credentials": dict(self.credentials),
        }


@dataclass(frozen=True)
class HostBackup:
    """What is on a host."""

    host: str
    missing: tuple[str, ...]
    differs: tuple[str, ...]
    """Files of another version than this package's."""
    timer: str
    enabled: str
    next: str
    last_result: str
    day: str
    """Of the newest set that the host began; ``whole``: it also ended."""
    whole: bool
    changed: tuple[str, ...] = ()
    threads: int | None = None
    warning: str = ""

    @property
    def why(self) -> str:
        """Why it is not in order; empty when it is. That the last night went well is the inventory's to judge."""
        if backup_on_host.TOOL in {name.lstrip("/") for name in self.missing}:
            return "it is not installed"
        if self.missing:
            return f"{', '.join(self.missing)} is missing"
        if self.differs:
            return f"{', '.join(self.differs)} is not what this version installs"
        if (self.enabled, self.timer) != ("enabled", "active"):
            return f"its timer is {self.enabled} and {self.timer}"
        if self.last_result not in ("", "success"):
            return f"its last run failed ({self.last_result})"
        return ""

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        names = ("host", "timer", "enabled", "next", "last_result", "day", "whole", "threads", "warning", "why")
        lists = ("missing", "differs", "changed")
        return {
            "in_order": not self.why,
            **{name: getattr(self, name) for name in names},
            **{name: list(getattr(self, name)) for name in lists},
        }


def install(shell: Shell, host: str, setting: Setting) -> HostBackup:
    """Put it there, or a newer one in its place. Raises ``PermanentError`` with the host's reason."""
    return _found(host, _ask(shell, host, {"verb": "install", **_files(), **setting.as_dict()}))


def status(shell: Shell, host: str) -> HostBackup:
    """What is there. Raises ``CouldNotVerifyError`` where nobody can tell."""
    try:
        return _found(host, _ask(shell, host, {"verb": "status", **_files()}))
    except PermanentError as error:
        raise CouldNotVerifyError(error.what, error.remedy) from None


def uninstall(shell: Shell, host: str) -> HostBackup:
    """Remove it; the stored sets stay. Raises ``PermanentError`` with the host's reason."""
    return _found(host, _ask(shell, host, {"verb": "uninstall"}))


def read_credentials(raw: bytes, source: str) -> dict[str, str]:
    """From what ``aws iam create-access-key`` prints, or a file as ``~/.aws/credentials``. Raises ``UsageError``."""
    text = raw.decode("utf-8", "replace")
    try:
        pair = _of_json(text) if text.lstrip().startswith("{") else _of_ini(text)
    except (ValueError, KeyError, TypeError, configparser.Error):
        pair = ("", "")
    if not all(pair) or any(not word.isascii() or any(map(str.isspace, word)) for word in pair):
        raise UsageError(
            f"{source} holds no AWS access key.",
            "Give what aws iam create-access-key prints, or the lines aws_access_key_id = … and "
            "aws_secret_access_key = ….",
        )
    return dict(zip((ACCESS_KEY, SECRET_KEY), pair, strict=True))


def read_private(path: Path) -> bytes:
    """A file with a secret. Raises ``UsageError`` for one that others may read, or that cannot be read."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError(f"{path} may be read by others than you.", f"chmod 600 {path}; was it read by anybody?")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).", "Name another file.") from None


def _of_json(text: str) -> tuple[str, str]:
    told = json.loads(text)["AccessKey"]
    return str(told["AccessKeyId"]), str(told["SecretAccessKey"])


def _of_ini(text: str) -> tuple[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text if text.lstrip().startswith("[") else f"[default]\n{text}")
    (section,) = parser.sections()
    return parser[section]["aws_access_key_id"].strip(), parser[section]["aws_secret_access_key"].strip()


def _files() -> dict[str, str]:
    return {
        "tool": Path(backup_tool.__file__).read_text(encoding="utf-8"),
        "service": (FILES / backup_on_host.SERVICE).read_text(encoding="utf-8"),
        "timer": (FILES / backup_on_host.TIMER).read_text(encoding="utf-8"),
    }


def _ask(shell: Shell, host: str, given: Mapping[str, Any]) -> dict[str, Any]:
    program = Path(backup_on_host.__file__).read_bytes()
    sent = b"%d\n%b%b" % (len(program), program, json.dumps(given).encode())
    done = shell.run(f'sudo -n python3 -I -c "{_START}"', stdin=sent, timeout_seconds=SECONDS)
    if done.exit_code == _OLD_PYTHON:
        raise PermanentError(f"{host} has a Python older than 3.9.", "Nothing was changed. Install a newer python3.")
    try:
        told = json.loads(done.stdout)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise PermanentError(
            f"{host} could not be asked about freescout-backup (exit code {done.exit_code}).",
            "The login needs python3 (3.9 or newer) and sudo without a password: try sudo -n python3 -V there.",
        )
    if not told.get("ok"):
        raise PermanentError(f"{host}: {told['error']}", str(told["remedy"]))
    return told


def _found(host: str, told: Mapping[str, Any]) -> HostBackup:
    known = {name: told[name] for name in HostBackup.__dataclass_fields__ if name in told}
    lists = {name: tuple(known.get(name, ())) for name in ("missing", "differs", "changed")}
    return HostBackup(host=host, **{**known, **lists})
