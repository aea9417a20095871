"""Where drills of this machine can have left something."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from raxx_bcp.drills.engine.sweeper import Place
from raxx_bcp.drills.loading import kinds
from raxx_bcp.policy import Policy


@contextlib.contextmanager
def places(policy: Policy) -> Iterator[list[Place]]:
    """Each place once, however many drills use it. A place that cannot be used from here was never used from here."""
    ways = list(dict.fromkeys(kind.leftovers for kind in kinds()))
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(way(policy)) for way in ways]
        yield [place for place in found if place is not None]
