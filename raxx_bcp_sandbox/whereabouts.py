"""Describes which sandbox a command looked for: outside the clone's folder it finds none and must say so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from raxx_bcp_sandbox import processes, state

_SHOWN: Final = 3


def looked_in(directory: Path) -> str:
    """``directory``, and how it was chosen: named by the variable, or where the command was run."""
    if directory != state.default_directory().resolve():
        return str(directory)
    if os.environ.get(state.DIRECTORY_VARIABLE):
        return f"{directory} ({state.DIRECTORY_VARIABLE} says so)"
    return f"{directory} (the folder where this command was run; {state.DIRECTORY_VARIABLE} is not set)"


def what_to_do(directory: Path) -> str:
    """How to reach the intended sandbox: start one here, or name the one that runs elsewhere."""
    start = "Run raxx-bcp sandbox up to have one here."
    others = [each for each in processes.directories() if each != directory and state.is_sandbox(each)]
    if not others:
        return (
            f"{start} If yours is in another folder, run the command there, or set {state.DIRECTORY_VARIABLE} to its "
            ".sandbox."
        )
    shown = ", ".join(str(each) for each in others[:_SHOWN])
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return f"{start} For one that is up elsewhere ({shown}{more}): export {state.DIRECTORY_VARIABLE}={others[0]}"
