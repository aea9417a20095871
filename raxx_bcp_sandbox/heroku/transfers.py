"""The record of backups and restores: each is started, updated, and ended exactly once."""

from __future__ import annotations

import threading

from raxx_bcp_sandbox.heroku.records import Addon, Transfer, new_id
from raxx_bcp_sandbox.heroku.store import Store
from raxx_bcp_sandbox.heroku.times import RecordedClock


class Transfers:
    """Transfers in a store; those that run are also in memory, with their progress. Acquires ``lock`` itself."""

    def __init__(self, store: Store, clock: RecordedClock, lock: threading.RLock) -> None:
        self._store = store
        self._clock = clock
        self._lock = lock
        self._running: dict[str, Transfer] = {}

    def of(self, app_id: str) -> list[Transfer]:
        """The transfers of an app by number."""
        with self._lock:
            stored = [each for each in self._store.all(Transfer) if each.app_id == app_id]
            return sorted((self._running.get(each.uuid, each) for each in stored), key=lambda each: each.num)

    def new(self, addon: Addon, at: float, *, backup: bool, from_url: str, to_url: str) -> Transfer:
        """A transfer with the app's next number that started ``at``. It is not stored yet: see ``keep``."""
        with self._lock:
            return Transfer(
                uuid=new_id(),
                num=max((each.num for each in self.of(addon.app_id)), default=0) + 1,
                app_id=addon.app_id,
                addon_id=addon.id,
                backup=backup,
                from_url=from_url,
                to_url=to_url,
                created_at=at,
                started_at=at,
                updated_at=at,
            )

    def keep(self, transfer: Transfer) -> None:
        """Store a transfer that has ended."""
        with self._lock:
            self._store.put(transfer)

    def begin(self, addon: Addon, *, backup: bool, from_url: str, to_url: str) -> Transfer:
        """A transfer that runs from now on."""
        with self._lock:
            transfer = self.new(addon, self._clock.now(), backup=backup, from_url=from_url, to_url=to_url)
            self._running[transfer.uuid] = transfer
            self._store.put(transfer)
            return transfer

    def moved(self, uuid: str, processed_bytes: int) -> None:
        """Record how many bytes have been transferred so far."""
        with self._lock:
            transfer = self._running.get(uuid)
            if transfer is not None:
                transfer.processed_bytes = processed_bytes
                transfer.updated_at = self._clock.now()

    def say(self, uuid: str, message: str, level: str = "info") -> None:
        """Add a line to the log of a transfer that runs."""
        with self._lock:
            transfer = self._running.get(uuid)
            if transfer is not None:
                transfer.say(self._clock.now(), level, message)

    def finish(self, uuid: str, *, succeeded: bool, warnings: int = 0) -> None:
        """End it; does nothing when it has ended, was cancelled, or was deleted with its app."""
        with self._lock:
            transfer = self._running.pop(uuid, None)
            if transfer is None:
                return
            transfer.finished_at = transfer.updated_at = self._clock.now()
            transfer.succeeded, transfer.warnings = succeeded, warnings
            self._store.put(transfer)

    def cancel(self, uuid: str) -> bool:
        """End it as cancelled; return False when it does not run."""
        with self._lock:
            transfer = self._running.get(uuid)
            if transfer is None:
                return False
            transfer.canceled_at = self._clock.now()
            self.finish(uuid, succeeded=False)
            return True

    def forget(self, app_id: str) -> None:
        """Delete all transfers of a deleted app."""
        with self._lock:
            for transfer in self.of(app_id):
                self._running.pop(transfer.uuid, None)
                self._store.remove(transfer)

    def end_interrupted(self) -> None:
        """After a start: mark as failed what ran when the stand-in ended."""
        with self._lock:
            for transfer in self._store.all(Transfer):
                if transfer.finished_at is None:
                    self._running[transfer.uuid] = transfer
                    self.say(transfer.uuid, "interrupted", "error")
                    self.finish(transfer.uuid, succeeded=False)
