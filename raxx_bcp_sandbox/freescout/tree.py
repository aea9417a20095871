"""FreeScout's directory as it is on a host, and the archive of its code as GitHub gives it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from raxx_bcp_sandbox.freescout import env, schema
from raxx_bcp_sandbox.freescout.rows import AttachedFile
from raxx_bcp_sandbox.freescout.seed import APP_KEY, DATABASE, DATABASE_USER, database_password

ATTACHMENTS: Final = "storage/app/attachment"
INSTALLED: Final = "storage/.installed"
MIGRATIONS: Final = "database/migrations"
MODULES: Final = "Modules"
_EMPTY_DIRECTORIES: Final = (
    "bootstrap/cache",
    "storage/app/attachment",
    "storage/framework/cache",
    "storage/framework/sessions",
    "storage/framework/views",
    "storage/logs",
)
_MODULES: Final = {"SatisfactionRatings": "1.0.31", "SavedReplies": "1.0.42"}
_EXECUTABLE: Final = 0o755


def write(root: Path, files: Sequence[AttachedFile], *, app_key: str = APP_KEY, version: str = schema.VERSION) -> None:
    """Write an installed FreeScout into ``root``: code, ``.env``, modules and attachments."""
    for name, content in _code(version).items():
        _write(root / name, content)
    (root / "artisan").chmod(_EXECUTABLE)
    for name in _EMPTY_DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, content in _modules().items():
        _write(root / MODULES / name, content)
    for file in files:
        _write(root / ATTACHMENTS / file.directory / file.name, file.content)
    _write(root / INSTALLED, b"")
    _write(root / env.NAME, environment(app_key).encode())
    (root / env.NAME).chmod(0o600)


def environment(app_key: str = APP_KEY) -> str:
    """The text of ``.env``."""
    return f"""\
APP_URL=http://localhost
APP_KEY={app_key}
APP_TIMEZONE=UTC
APP_DEBUG=false
DB_CONNECTION=mysql
DB_HOST=localhost
DB_PORT=3306
DB_DATABASE={DATABASE}
DB_USERNAME={DATABASE_USER}
DB_PASSWORD="{database_password()}"
"""


def code_archive(version: str = schema.VERSION) -> bytes:
    """The code of ``version`` as GitHub archives a tag: one folder, no ``.env``, nothing in storage or modules."""
    top = f"freescout-{version}"
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in sorted(_code(version).items()):
            _add(tar, f"{top}/{name}", content, _EXECUTABLE if name == "artisan" else 0o644)
        for name in (*_EMPTY_DIRECTORIES, MODULES):
            _add(tar, f"{top}/{name}/.gitkeep", b"", 0o644)
    return packed.getvalue()


def _code(version: str) -> dict[str, bytes]:
    """The files of a release that anything here looks at."""
    code = {
        ".env.example": b"APP_URL=\nAPP_KEY=\nDB_CONNECTION=mysql\nDB_HOST=localhost\nDB_PORT=3306\n"
        b"DB_DATABASE=\nDB_USERNAME=\nDB_PASSWORD=\n",
        "artisan": b"#!/usr/bin/env php\n<?php\n// The sandbox has no PHP: see the worker beside it.\n",
        "composer.json": json.dumps({"name": "freescout-helpdesk/freescout"}, indent=4).encode(),
        "config/app.php": f"<?php\n\nreturn [\n    'version' => '{version}',\n];\n".encode(),
        "public/index.php": b"<?php\n",
    }
    return code | {f"{MIGRATIONS}/{name}.php": b"<?php\n" for name in schema.migrations(version)}


def _modules() -> dict[str, bytes]:
    modules = {}
    for name, version in _MODULES.items():
        about = {"name": name, "alias": name.lower(), "version": version, "active": 0}
        modules[f"{name}/module.json"] = json.dumps(about, indent=4).encode()
    return modules | {f"SatisfactionRatings/Database/Migrations/{schema.MODULE_MIGRATION}.php": b"<?php\n"}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))
