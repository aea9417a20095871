"""An event loop in its own thread, for the SSH servers of all instances, and a thread that runs tasks in order."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

ResultT = TypeVar("ResultT")
_CALL_SECONDS: Final = 30.0
_log = logging.getLogger(__name__)


class LoopThread:
    """An asyncio loop that runs until ``close``."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="hosts", daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run ``coroutine`` there and wait for its result. Do not call this from the loop itself."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(_CALL_SECONDS)

    def close(self) -> None:
        """Cancel what runs there, and end the thread."""
        self.call(_cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_CALL_SECONDS)
        self.loop.close()


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Worker:
    """Runs one task after the other, in the order in which they came; a task's error is only logged."""

    def __init__(self, name: str) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, task: Callable[[], None]) -> None:
        """Run ``task`` after all earlier ones."""
        self._tasks.put(task)

    def finish(self) -> None:
        """End after the last task."""
        self._tasks.put(None)

    def close(self, seconds: float) -> bool:
        """Finish and wait for the end; return whether it came within ``seconds``."""
        self.finish()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception:  # noqa: BLE001 - after any error the next task must run
                _log.exception("A task of %s failed.", self._thread.name)
