"""Puts modules of ``host_side`` into one program that a host's bare Python can run."""

from __future__ import annotations

import inspect
from types import ModuleType

_FRAME = """\
import sys, types
def add(name, source):
    module = types.ModuleType(name)
    module.__path__ = []
    sys.modules[name] = module
    if source:
        exec(compile(source, name, "exec"), module.__dict__)
for name, source in {sources}:
    add(name, source)
sys.modules[{main}].report(*{arguments})
"""


def program(*modules: ModuleType, arguments: tuple[object, ...]) -> str:
    """A program that calls ``report(*arguments)`` of the last of ``modules``; the others come first, in order of use.

    ``arguments`` are texts and numbers. They are in the program, which goes to the host on standard input: nothing is
    on a command line.
    """
    names = [module.__name__ for module in modules]
    parents = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 1)}
    sources = [(name, "") for name in sorted(parents)]
    sources += [(module.__name__, inspect.getsource(module)) for module in modules]
    return _FRAME.format(sources=repr(sources), main=repr(names[-1]), arguments=repr(arguments))
