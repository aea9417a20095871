"""Copies of directory trees: a disk's copy is complete, or it does not exist."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def copy_tree(source: Path, target: Path) -> None:
    """Copy ``source`` to ``target``, which replaces what an earlier attempt left."""
    _whole(source, target, _copy)


def link_tree(source: Path, target: Path) -> None:
    """As ``copy_tree``, but with shared files: for copies that are never written to."""
    _whole(source, target, _link)


def _whole(source: Path, target: Path, one: Callable[[str, str], str]) -> None:
    """Copy into a temporary directory first: after a kill -9 there is no partial copy under the final name."""
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(source, part, symlinks=True, copy_function=one, ignore=_special)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def _copy(source: str, target: str) -> str:
    return str(shutil.copy2(source, target, follow_symlinks=False))


def _link(source: str, target: str) -> str:
    os.link(source, target, follow_symlinks=False)
    return target


def _special(directory: str, names: list[str]) -> set[str]:
    """Sockets and pipes are not copied."""
    paths = {name: Path(directory, name) for name in names}
    return {name for name, path in paths.items() if not (path.is_symlink() or path.is_file() or path.is_dir())}
