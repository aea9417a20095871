"""Manages the parts' processes: knows which ones run, starts what does not, stops what should not.

It works on the sandbox's ``State``, which the caller has loaded under the lock, and saves it after every start,
so that a killed supervisor leaves no unrecorded process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psutil

from raxx_bcp.errors import BcpError, PermanentError, TransientError
from raxx_bcp_sandbox import ports, processes, state
from raxx_bcp_sandbox.last_words import last_words, log_size, with_last_words
from raxx_bcp_sandbox.part import Fault, Part, Place, Port
from raxx_bcp_sandbox.report import Condition
from raxx_bcp_sandbox.waiting import Clock, Say

_START_SECONDS = 60.0
_HEALTH_SECONDS = 4.0
_PORT_ATTEMPTS = 3


class Runner:
    """The processes of one sandbox."""

    def __init__(self, directory: Path, parts: Sequence[Part], say: Say, clock: Clock, *, any_ports: bool) -> None:
        self.directory = directory
        self.parts = tuple(parts)
        self.say = say
        self.state = state.State()
        self._clock = clock
        self._any_ports = any_ports

    def save(self) -> None:
        """Save the state to state.json."""
        state.save(self.directory, self.state)

    def remembered(self, part: Part) -> state.PartState:
        """The stored state of ``part``."""
        return self.state.parts.get(part.name, state.PartState())

    def place(self, part: Part) -> Place:
        """The current place of ``part``."""
        return part.place(self.directory, self.remembered(part).ports, self.state.credentials)

    def log(self, part: Part) -> Path:
        """Where the output of ``part`` goes."""
        return self.directory / "logs" / f"{part.name}.log"

    def last_words(self, part: Part) -> str:
        """The last log message of ``part`` since its last start, if it did not stop on purpose; without credentials."""
        own = self.remembered(part)
        return "" if own.child is None else last_words(self.log(part), own.log_from, self.state.credentials.values())

    def stopping_fault(self, part: Part) -> Fault | None:
        """The fault that keeps ``part`` down, if one is switched on."""
        return next((each for each in part.faults if each.stops_part and each.name in self.state.faults), None)

    # -- looking -----------------------------------------------------------------------------------------

    def main(self, part: Part, known: Sequence[psutil.Process]) -> psutil.Process | None:
        """The recorded process of ``part``, if it is among our living ones."""
        child = self.remembered(part).child
        return next((each for each in known if child is not None and processes.matches(each, child)), None)

    def condition(self, part: Part, main: psutil.Process | None) -> Condition:
        """The current state of ``part``."""
        if part.launch is None:
            return Condition.READY if self.state.up else Condition.STOPPED
        if self.stopping_fault(part) is not None:
            return Condition.KEPT_DOWN
        if main is None:
            return Condition.STOPPED
        return Condition.RUNNING if self._healthy(part, main) else Condition.NOT_ANSWERING

    def _healthy(self, part: Part, main: psutil.Process) -> bool:
        return self._clock.until(lambda: self._ready(part, main), _HEALTH_SECONDS)

    def _ready(self, part: Part, main: psutil.Process) -> bool:
        """Does it answer, and is the listener really ours? On a port lost to another program it is not."""
        wanted = set(self.remembered(part).ports.values())
        return processes.alive(main) and wanted <= processes.listening(main) and part.answers(self.place(part))

    # -- stopping ----------------------------------------------------------------------------------------

    def settled(self, part: Part, known: Sequence[psutil.Process]) -> bool:
        """Is there nothing to start, because it is healthy or kept down? Stops what is half dead."""
        fault = self.stopping_fault(part)
        if fault is not None:
            self.say(f"{part.name} is kept down by {fault.name} (raxx-bcp sandbox mend {fault.name}).")
            self.clear(part, known)
            return True
        main = self.main(part, known)
        if main is not None and self._healthy(part, main):
            family = processes.family(main)
            processes.stop([each for each in known if each not in family], self._clock)
            return True
        self._explain(part, main, known)
        self.clear(part, known)
        return False

    def clear(self, part: Part, known: Sequence[psutil.Process]) -> None:
        """Stop ``known``, which are all the processes of ``part``."""
        processes.stop(known, self._clock)
        self._after_end(part)

    def stop_all(self) -> tuple[str, ...]:
        """Stop every process with this sandbox's mark; return the names of the parts that ran."""
        known = processes.find(self.directory)
        processes.stop([each for members in known.values() for each in members], self._clock)
        for part in self.parts:
            self._after_end(part)
        return tuple(sorted(known))

    def forget(self) -> None:
        """Make every part remove what it stores outside the state directory; see ``Part.forget``."""
        for part in self.parts:
            part.forget()

    def _after_end(self, part: Part) -> None:
        own = self.remembered(part)
        if own.child is not None:
            processes.let_end(own.child, self._clock)
        part.tidy(self.place(part))
        own.pid = None

    def stop_unknown(self) -> None:
        """Stop what runs for a part that this version does not have."""
        names = {part.name for part in self.parts}
        for name, members in processes.find(self.directory).items():
            if name not in names:
                self.say(f"{name} is not a part of this sandbox: it is stopped.")
                processes.stop(members, self._clock)

    def _explain(self, part: Part, main: psutil.Process | None, known: Sequence[psutil.Process]) -> None:
        child = self.remembered(part).child
        if main is not None:
            self.say(f"{part.name} (pid {main.pid}) runs but does not answer: it is restarted.")
        elif known:
            pids = ", ".join(str(each.pid) for each in known)
            self.say(f"{part.name} runs as pid {pids}, which nothing remembers: it is stopped and started again.")
        elif child is not None and processes.exists(child.pid):
            self.say(f"{part.name} has stopped, and pid {child.pid} is now another program, which is left alone.")
        elif child is not None:
            sentence = f"{part.name} (pid {child.pid}) has stopped by itself: it is started again."
            self.say(with_last_words(sentence, self.last_words(part)))

    # -- starting ----------------------------------------------------------------------------------------

    def start(self, parts: Sequence[Part]) -> None:
        """Start ``parts`` in parallel and wait until each answers."""
        pending = list(parts)
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            mains = [(part, self._launch(part)) for part in pending]
            pending = [part for part, main in mains if not self._came_up(part, main)]
            failed = [part for part in pending if not self._lost_a_port(part)]
            if failed or (pending and attempt == _PORT_ATTEMPTS):
                raise self._did_not_start((failed or pending)[0])

    def _launch(self, part: Part) -> psutil.Process | None:
        if part.launch is None:
            raise ValueError(part.name)
        self._assign_ports(part)
        launch = part.launch(self.place(part))
        environment = processes.child_environment(self.directory, part.name, launch.environment)
        self.say(f"Starting {part.title} …")
        own = self.state.parts[part.name]
        own.log_from = log_size(self.log(part))
        child = processes.spawn(launch.argv, environment, self.log(part))
        own.pid, own.started = child.pid, child.started
        self.save()
        try:
            return psutil.Process(child.pid)
        except psutil.NoSuchProcess:
            return None

    def _came_up(self, part: Part, main: psutil.Process | None) -> bool:
        if main is None:
            return False
        ready = False

        def over() -> bool:
            nonlocal ready
            ready = self._ready(part, main)
            return ready or not processes.alive(main)

        def waiting(seconds: float) -> None:
            self.say(f"Waiting for {part.name} ({seconds:.0f} s) …")

        self._clock.until(over, _START_SECONDS, waiting=waiting)
        return ready

    def _lost_a_port(self, part: Part) -> bool:
        """Did a part die at its start because another program took a port after it had been chosen?"""
        child = self.remembered(part).child
        if child is None or processes.exists(child.pid):
            return False
        return not all(ports.is_free(number) for number in self.remembered(part).ports.values())

    def _did_not_start(self, part: Part) -> BcpError:
        child = self.remembered(part).child
        log, words = self.log(part), self.last_words(part)
        if child is not None and processes.exists(child.pid):
            return TransientError(
                with_last_words(
                    f"{part.name} (pid {child.pid}) does not answer {_START_SECONDS:.0f} seconds after its start.",
                    words,
                ),
                f"Run raxx-bcp sandbox up, which tries again; all that it said is in {log}.",
            )
        return PermanentError(
            with_last_words(f"{part.name} stopped right after its start.", words),
            f"Put that right, then run raxx-bcp sandbox up again; all that it said is in {log}.",
        )

    def _assign_ports(self, part: Part) -> None:
        own = self.state.parts[part.name]
        others = {
            number for name, each in self.state.parts.items() if name != part.name for number in each.ports.values()
        }
        chosen: dict[str, int] = {}
        for port in part.ports:
            before = own.ports.get(port.name)
            wanted = before or (None if self._any_ports else port.preferred)
            chosen[port.name] = ports.choose(port, wanted, {*others, *chosen.values()})
            if wanted is not None and wanted != chosen[port.name]:
                self._say_port(part, port, wanted, chosen[port.name], moved=before is not None)
        own.ports = chosen

    def _say_port(self, part: Part, port: Port, wanted: int, number: int, *, moved: bool) -> None:
        label = part.name if port.name == "http" else f"{part.name} ({port.name})"
        after = " Its address changes: run raxx-bcp sandbox env again." if moved else ""
        self.say(f"Port {wanted} of {label} is in use by another program: {number} is used instead.{after}")
