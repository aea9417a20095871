"""Puts ``freescout-backup`` on the help desk's host, looks at it, and removes it. It is sent there over SSH, as root.

Python 3.9 and its standard library only. It reads one JSON object (``Given``) from its input and prints one: what it
did, or one sentence. Everything is tried in a directory in memory first; what is there already changes only when that
went well, each file in one step, and the timer is switched on last. No secret is on a command line or on a disk but in
its own file of mode 0600.
"""

from __future__ import annotations

import configparser
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ROOT_VARIABLE: Final = "FREESCOUT_BACKUP_ROOT"
"""Another root directory than ``/``, for a host that is a directory."""
TOOL, CONF, KEY = "usr/local/sbin/freescout-backup", "etc/freescout-backup.conf", "etc/freescout-backup.key.asc"
CREDENTIALS, STATE, UNITS = "etc/freescout-backup.credentials", "var/lib/freescout-backup", "etc/systemd/system"
SERVICE, TIMER = "freescout-backup.service", "freescout-backup.timer"
SECRETS: Final = ("aws-access-key-id", "aws-secret-access-key", "slack-token")
AWS: Final = SECRETS[:2]
NEEDED_BYTES: Final = 64 << 20
"""For the program, its state and tar's list of what was stored."""
OLDEST_SYSTEMD: Final = 247
"""The first with LoadCredential= (its NEWS)."""
CHECK_SECONDS: Final = 300
_TROUBLE: Final = "Nothing on the host was changed."


class RefusedError(Exception):
    """Why nothing was done, and what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class Place:
    """The host's own directories, below its root."""

    def __init__(self, root: str) -> None:
        self.root = Path(root or "/")

    def at(self, name: str) -> Path:
        """Where something is."""
        return self.root / name

    def secret(self, name: str) -> str:
        """A credential that is there already; empty where there is none."""
        with contextlib.suppress(OSError, UnicodeError):
            return (self.at(CREDENTIALS) / name).read_text().strip()
        return ""


def main() -> int:
    """Read what is wanted, do it, print one object."""
    given = json.load(sys.stdin.buffer)
    try:
        told = VERBS[given["verb"]](Place(os.environ.get(ROOT_VARIABLE, "")), given)
    except RefusedError as refusal:
        told = {"ok": False, "error": refusal.what, "remedy": refusal.remedy}
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        told = {"ok": False, "error": f"{error.strerror}{where}.", "remedy": "Look at that, then try again."}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0 if told["ok"] else 1


# --- install ----------------------------------------------------------------------------------------------------------


def install(place: Place, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check what it needs, try it, put it in place, switch the timer on."""
    needs(place, given["settings"]["site"]["directory"])
    secrets = {name: given["credentials"].get(name) or place.secret(name) for name in SECRETS}
    if not all(secrets[name] for name in AWS):
        raise RefusedError("The host has no AWS credentials of its own yet.", "Give them by --credentials.")
    settings = merged(place, given["settings"])
    with staged(place) as stage:
        checked = tried(stage, place, given, settings, secrets)
    wanted = files(place, given, settings, secrets)
    changed = [f"/{name}" for name, (text, mode) in wanted.items() if put(place, name, text, mode)]
    systemctl("daemon-reload")
    systemctl("enable", "--now", TIMER)
    return {
        "ok": True,
        "changed": changed,
        "threads": checked["threads"],
        "warning": checked["warning"],
        **looked(place),
    }


def needs(place: Place, site: str) -> None:
    """Raises ``RefusedError`` that names all that is missing at once."""
    wanted = (("gpg",), ("tar",), ("mariadb", "mysql"), ("mariadb-dump", "mysqldump"))
    missing = [" or ".join(either) for either in wanted if not any(map(shutil.which, either))]
    if shutil.which("tar") and "GNU tar" not in said("tar", "--version"):
        missing.append("GNU tar")
    missing += systemd_missing()
    if missing:
        raise RefusedError(
            f"The host lacks: {', '.join(missing)}.", f"{_TROUBLE} Install that; without systemd, use cron by hand."
        )
    if not (place.root / site / ".env").is_file():
        raise RefusedError(f"{site} on the host has no .env: it is no FreeScout.", "Set freescout.site_directory.")
    if re.match(r"/(home|root|run/user)(/|$)", site):
        raise RefusedError(
            f"The service does not see {site} (ProtectHome=).", "Install it by hand, with ProtectHome=read-only."
        )
    for name in ("usr/local", "etc", "var/lib"):
        there = next(each for each in (place.at(name), *place.at(name).parents) if each.exists())
        if (free := shutil.disk_usage(there).free) < NEEDED_BYTES:
            raise RefusedError(
                f"There are only {free >> 20} MB left in /{name} on the host, and {NEEDED_BYTES >> 20} are needed.",
                f"{_TROUBLE} Free some: df -h /{name}",
            )


def systemd_missing() -> list[str]:
    """Empty where systemd runs and is new enough."""
    found = re.match(r"systemd (\d+)", said("systemctl", "--version"))
    if not found:
        return ["systemd"]
    return [] if int(found[1]) >= OLDEST_SYSTEMD else [f"systemd {OLDEST_SYSTEMD} (it has {found[1]})"]


def merged(place: Place, settings: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The policy's settings, and beside them what is the host's own. Raises ``RefusedError``."""
    result = {section: dict(lines) for section, lines in settings.items()}
    result["site"]["directory"] = str(place.root / result["site"]["directory"])
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(place.at(CONF).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return result
    except (UnicodeError, configparser.Error):
        raise RefusedError(f"/{CONF} on the host cannot be read.", "Correct it, or move it away.") from None
    own = {name: dict(parser[name]) for name in parser.sections()}
    result["database"] = own.get("database") or result["database"]
    result["attachments"] = {**own.get("attachments", {}), **result.get("attachments", {})}
    if "tries" in own.get("storage", {}):
        result["storage"]["tries"] = own["storage"]["tries"]
    return result


def written(settings: Mapping[str, Mapping[str, str]]) -> str:
    """A configuration file's text."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_dict(settings)
    text = io.StringIO()
    parser.write(text)
    return (
        "# Written by raxx-bcp freescout install-backup from bcp.toml. Yours to change, and kept: [database],\n"
        f"# [attachments], storage.tries. No secret is in here.\n\n{text.getvalue()}"
    )


def files(
    place: Place, given: Mapping[str, Any], settings: Mapping[str, Mapping[str, str]], secrets: Mapping[str, str]
) -> dict[str, tuple[str, int]]:
    """What is put in place, in this order: text and mode by name."""
    keyed = {**settings, "encryption": {**settings["encryption"], "public_key_file": str(place.at(KEY))}}
    return {
        **{f"{CREDENTIALS}/{name}": (f"{secret}\n" if secret else "", 0o600) for name, secret in secrets.items()},
        KEY: (given["public_key"], 0o644),
        CONF: (written(keyed), 0o644),
        TOOL: (given["tool"], 0o755),
        f"{UNITS}/{SERVICE}": (given["service"], 0o644),
        f"{UNITS}/{TIMER}": (given["timer"], 0o644),
    }


@contextlib.contextmanager
def staged(place: Place) -> Iterator[Place]:
    """A root directory in memory, for the trial; it is gone afterwards."""
    memory = place.at("run")
    memory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="freescout-backup-", dir=memory) as folder:
        yield Place(folder)


def tried(
    stage: Place,
    place: Place,
    given: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, str]],
    secrets: Mapping[str, str],
) -> dict[str, Any]:
    """``freescout-backup check`` with all that will be put in place. Raises ``RefusedError`` with its sentence."""
    for name, (text, mode) in files(stage, given, settings, secrets).items():
        put(stage, name, text, mode)
    environment = {
        **os.environ,
        "CREDENTIALS_DIRECTORY": str(stage.at(CREDENTIALS)),
        "STATE_DIRECTORY": str(place.at(STATE)),
    }
    argv = [sys.executable, "-I", str(stage.at(TOOL)), "--config", str(stage.at(CONF)), "--json", "check"]
    try:
        done = subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=CHECK_SECONDS, check=False
        )
        told = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise RefusedError(f"freescout-backup check was not over after {CHECK_SECONDS} s.", _TROUBLE) from None
    except ValueError:
        raise RefusedError(f"freescout-backup check ended with exit code {done.returncode}.", _TROUBLE) from None
    if not told["ok"]:
        raise RefusedError(told["error"].replace(str(stage.root), ""), f"{_TROUBLE} {told['remedy']}")
    return dict(told)


def put(place: Place, name: str, text: str, mode: int) -> bool:
    """Write a file in one step, unless it is as it must be; was it written?"""
    file = place.at(name)
    with contextlib.suppress(OSError, UnicodeError):
        if file.read_text(encoding="utf-8") == text and file.stat().st_mode & 0o7777 == mode:
            return False
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if mode == 0o600 else 0o755)
    if mode == 0o600:
        file.parent.chmod(0o700)
    part = file.with_name(f".{file.name}.new")
    part.unlink(missing_ok=True)
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:  # noqa: PTH123 - its mode from the first moment
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return True


# --- status and uninstall ---------------------------------------------------------------------------------------------


def looked(place: Place) -> dict[str, Any]:
    """What is there, and how the last night went by systemd and by the program's own state."""
    names = (TOOL, CONF, KEY, *(f"{CREDENTIALS}/{name}" for name in SECRETS), f"{UNITS}/{SERVICE}", f"{UNITS}/{TIMER}")
    state: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        state = json.loads((place.at(STATE) / "state.json").read_text())
    return {
        "missing": [f"/{name}" for name in names if not place.at(name).is_file()],
        "timer": said("systemctl", "is-active", TIMER).strip() or "unknown",
        "enabled": said("systemctl", "is-enabled", TIMER).strip() or "unknown",
        "next": said("systemctl", "show", "-p", "NextElapseUSecRealtime", "--value", TIMER).strip(),
        "last_result": said("systemctl", "show", "-p", "Result", "--value", SERVICE).strip(),
        "day": str(state.get("day") or ""),
        "whole": bool(state.get("done")),
    }


def status(place: Place, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is there, and whether it is what this package would put there."""
    older = []
    for name, text in ((TOOL, "tool"), (f"{UNITS}/{SERVICE}", "service"), (f"{UNITS}/{TIMER}", "timer")):
        with contextlib.suppress(OSError, UnicodeError):
            older += [f"/{name}"] if place.at(name).read_text(encoding="utf-8") != given[text] else []
    return {"ok": True, "differs": older, **looked(place)}


def uninstall(place: Place, _given: Mapping[str, Any]) -> dict[str, Any]:
    """Remove all of it, what runs first and the credentials before the rest. Stored sets stay."""
    removed = []
    if place.at(f"{UNITS}/{TIMER}").exists():
        systemctl("disable", "--now", TIMER)
    if place.at(f"{UNITS}/{SERVICE}").exists():
        systemctl("stop", SERVICE)
    for name in (CREDENTIALS, f"{UNITS}/{TIMER}", f"{UNITS}/{SERVICE}", TOOL, CONF, KEY, STATE):
        path = place.at(name)
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        else:
            continue
        removed.append(f"/{name}")
    systemctl("daemon-reload")
    return {"ok": True, "changed": removed, **looked(place)}


def systemctl(*arguments: str) -> None:
    """Raises ``RefusedError`` with what failed."""
    done = subprocess.run(["systemctl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise RefusedError(
            f"systemctl {' '.join(arguments)} ended with exit code {done.returncode}.",
            "Run it on the host, and try again.",
        )


def said(*argv: str) -> str:
    """What a program prints, whatever it ends with; empty where it is not there."""
    with contextlib.suppress(OSError):
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout
    return ""


VERBS: Final = {"install": install, "status": status, "uninstall": uninstall}

if __name__ == "__main__":
    sys.exit(main())
