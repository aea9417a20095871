"""What the sandbox says about itself, as frozen types: for people, for ``--json`` and for tests."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Condition(enum.StrEnum):
    """The state of a part. ``KEPT_DOWN``: a fault keeps it down; ``READY``: a part without a process."""

    RUNNING = "running"
    READY = "ready"
    STOPPED = "stopped"
    NOT_ANSWERING = "not answering"
    KEPT_DOWN = "kept down"


GOOD = frozenset({Condition.RUNNING, Condition.READY})


@dataclass(frozen=True)
class PartReport:
    """One part."""

    name: str
    title: str
    state: Condition
    pid: int | None
    url: str | None
    ports: dict[str, int]
    log: str | None
    last_words: str = ""
    """Its last log message, when it has stopped by itself."""

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "name": self.name,
            "title": self.title,
            "state": self.state.value,
            "pid": self.pid,
            "url": self.url,
            "ports": self.ports,
            "log": self.log,
            "last_words": self.last_words,
        }


@dataclass(frozen=True)
class FaultReport:
    """One fault: which part offers it, what it shows, and whether it is switched on."""

    name: str
    part: str
    shows: str
    active: bool

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"name": self.name, "part": self.part, "shows": self.shows, "active": self.active}


@dataclass(frozen=True)
class Report:
    """The whole sandbox."""

    directory: Path
    parts: tuple[PartReport, ...]
    faults: tuple[FaultReport, ...]
    missing: str = ""
    """When there is no sandbox: where we looked for it, and what to do."""

    @property
    def healthy(self) -> bool:
        """Does every part run and answer? A part that a fault keeps down is not healthy."""
        return all(part.state in GOOD for part in self.parts)

    @property
    def active_faults(self) -> tuple[str, ...]:
        """The names of the faults that are switched on."""
        return tuple(fault.name for fault in self.faults if fault.active)

    def part(self, name: str) -> PartReport:
        """The report of part ``name``. Raises ``KeyError`` when there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "ok": self.healthy,
            "directory": str(self.directory),
            "missing": self.missing,
            "parts": [part.as_dict() for part in self.parts],
            "faults": [fault.as_dict() for fault in self.faults],
        }

    def text(self) -> str:
        """For people: a line a part, then the faults that are switched on."""
        if self.missing:
            return self.missing
        name_width = max((len(part.name) for part in self.parts), default=0)
        state_width = max((len(part.state) for part in self.parts), default=0)
        lines = [f"Sandbox in {self.directory}"]
        for part in self.parts:
            where = f"{part.url or part.title}{f'  (pid {part.pid})' if part.pid else ''}"
            lines.append(f"  {part.name:<{name_width}}  {part.state:<{state_width}}  {where}")
            lines += [f"  {'':<{name_width}}  its last words: {part.last_words}"] if part.last_words else []
        lines += [f"  broken by {fault.name}: {fault.shows}" for fault in self.faults if fault.active]
        return "\n".join(lines)
