"""RTO and RPO against their targets over time, as small pictures in SVG: no script, nothing loaded from elsewhere.

The mark's shape shows a verdict as well as its colour does. Each picture has a title and a description that say in
words what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from raxx_bcp.evidence.formatting import spoken
from raxx_bcp.evidence.row import Objective, Verdict

WIDTH: Final = 460
HEIGHT: Final = 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 16, 14, 30
_HEADROOM: Final = 1.15


@dataclass(frozen=True)
class Measurement:
    """One drill's figure: when it ran, its target and measurement, and its verdict."""

    at: datetime
    row_sequence: int
    objective: Objective
    verdict: Verdict


@dataclass(frozen=True)
class Mark:
    """A drill in the picture."""

    x: float
    y: float
    shape: str
    """``pass``, ``fail`` or ``unknown``."""
    words: str


@dataclass(frozen=True)
class Picture:
    """All that a template needs to draw it. ``target`` is the line of the promise, as SVG points."""

    title: str
    description: str
    marks: tuple[Mark, ...]
    line: str
    target: str
    target_label: str
    target_y: float
    top_label: str
    first_day: str
    last_day: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


_SHAPES: Final = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.COULD_NOT_VERIFY: "unknown"}


def picture(title: str, measurements: Sequence[Measurement]) -> Picture | None:
    """The picture of ``measurements``, or None when nothing was measured."""
    known = sorted((one for one in measurements if one.objective.measured_seconds is not None), key=lambda one: one.at)
    if not known:
        return None
    tallest = max(max(_measured(one), one.objective.target_seconds, 1) for one in known) * _HEADROOM
    first, last = known[0].at, known[-1].at

    def x(moment: datetime) -> float:
        span = (last - first).total_seconds()
        share = (moment - first).total_seconds() / span if span else 0.5
        return round(_LEFT + 8 + share * (WIDTH - _LEFT - _RIGHT - 16), 1)

    def y(seconds: float) -> float:
        return round(HEIGHT - _BOTTOM - max(seconds, 0) / tallest * (HEIGHT - _TOP - _BOTTOM), 1)

    newest = known[-1].objective
    targets = [(x(one.at), y(one.objective.target_seconds)) for one in known]
    edges = [(float(_LEFT), targets[0][1]), *targets, (float(WIDTH - _RIGHT), targets[-1][1])]
    return Picture(
        title=title,
        description=_described(known),
        marks=tuple(Mark(x(one.at), y(_measured(one)), _SHAPES[one.verdict], _words(one)) for one in known),
        line=_points([(x(one.at), y(_measured(one))) for one in known]),
        target=_points(edges),
        target_label=spoken(newest.target_seconds),
        target_y=y(newest.target_seconds),
        top_label=spoken(max(_measured(one) for one in known)),
        first_day=f"{first:%Y-%m-%d}",
        last_day=f"{last:%Y-%m-%d}" if last.date() != first.date() else "",
    )


def _described(known: Sequence[Measurement]) -> str:
    missed = [one for one in known if not one.objective.met]
    newest = known[-1]
    times = "once" if len(known) == 1 else f"{len(known)} times"
    held = "and met every time" if not missed else f"and missed {len(missed)} of {len(known)}"
    return (
        f"Measured {times}, {held}. Newest, on {newest.at:%Y-%m-%d}: {spoken(_measured(newest))}, "
        f"target {spoken(newest.objective.target_seconds)}."
    )


def _words(one: Measurement) -> str:
    return f"row {one.row_sequence}, {one.at:%Y-%m-%d}: {spoken(_measured(one))}, {one.verdict.value}"


def _measured(one: Measurement) -> int:
    return one.objective.measured_seconds or 0


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)
