"""Many small objects, read in parallel and handed on in their order, a bounded number of them in memory."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from raxx_bcp.clients.s3 import Bucket, ObjectAbsentError

READERS: Final = 8
_AHEAD: Final = 4
"""How many objects each reader may be ahead of the consumer."""


def in_order(bucket: Bucket, keys: Iterable[str], *, readers: int = READERS) -> Generator[tuple[str, bytes | None]]:
    """Each key with its body, in the order of ``keys``; None for one that is not there.

    Raises ``TransientError`` or ``CouldNotVerifyError`` at the first object that cannot be read.
    """
    source = iter(keys)
    with ThreadPoolExecutor(readers, thread_name_prefix="evidence") as pool:
        waiting: deque[tuple[str, Future[bytes | None]]] = deque()
        try:
            for key in itertools.islice(source, readers * _AHEAD):
                waiting.append((key, pool.submit(_body, bucket, key)))
            while waiting:
                key, future = waiting.popleft()
                yield key, future.result()
                for key in itertools.islice(source, 1):
                    waiting.append((key, pool.submit(_body, bucket, key)))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _body(bucket: Bucket, key: str) -> bytes | None:
    try:
        return bucket.get(key)
    except ObjectAbsentError:
        return None
