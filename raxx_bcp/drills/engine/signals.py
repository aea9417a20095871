"""Lets a teardown finish: SIGINT and SIGTERM wait until it is over."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class CancelledError(BaseException):
    """The drill was asked to stop. Not an ``Exception``: no ordinary handler may swallow it."""


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Hold signals back while the block runs, and deliver the first one afterwards.

    Only the main thread can do this. Other threads do not receive signals anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        held.append(number)

    before: dict[signal.Signals, Any] = {number: signal.signal(number, hold) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


@contextlib.contextmanager
def cancelled_by_signals() -> Iterator[None]:
    """On the command line: Ctrl-C and SIGTERM raise ``CancelledError``, so that every lease is released.

    Also where SIGINT was ignored at the start (``nohup … &``). Dagster has its own handlers: do not use this in a run.
    """

    def cancel(_number: int, _frame: FrameType | None) -> None:
        raise CancelledError

    before: dict[signal.Signals, Any] = {number: signal.signal(number, cancel) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
