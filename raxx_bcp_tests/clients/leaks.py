"""All the places in which an error is ever shown or stored, as one text to search."""

from __future__ import annotations

import pickle
import traceback


def everything_shown(error: BaseException) -> str:
    """Its text, its repr, its printed traceback, and its pickle where it has one."""
    shown = [str(error), repr(error), *traceback.format_exception(error)]
    return "\n".join([*shown, pickle.dumps(error, protocol=0).decode("latin-1")])
