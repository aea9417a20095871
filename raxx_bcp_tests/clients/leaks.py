"""All the places in which an error is ever shown or stored, as one text to search."""

from __future__ import annotations

import pickle
import traceback


def everything_held(error: BaseException) -> str:
    """What is shown of it, and what it and every exception behind it hold: a debugger or a tracker shows that too."""
    held = [everything_shown(error)]
    behind: BaseException | None = error
    while behind is not None:
        held.append(repr(behind.args))
        behind = behind.__cause__ or behind.__context__
    return "\n".join(held)


def everything_shown(error: BaseException) -> str:
    """Its text, its repr, its printed traceback, and its pickle where it has one."""
    shown = [str(error), repr(error), *traceback.format_exception(error)]
    return "\n".join([*shown, pickle.dumps(error, protocol=0).decode("latin-1")])
