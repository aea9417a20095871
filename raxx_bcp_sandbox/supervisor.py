"""The sandbox supervisor: brings a local Raxx up, keeps track of it, breaks and mends it, and takes it down.

Everything that it knows is in the state directory; any process may read it. A lock allows one command at a time to
change it. The supervisor never touches a process without the sandbox's own mark (see ``processes``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from raxx_bcp.errors import UsageError
from raxx_bcp_sandbox import breaking, processes, state, whereabouts
from raxx_bcp_sandbox.last_words import with_last_words
from raxx_bcp_sandbox.part import Part
from raxx_bcp_sandbox.parts import PARTS
from raxx_bcp_sandbox.report import FaultReport, PartReport, Report
from raxx_bcp_sandbox.runner import Runner
from raxx_bcp_sandbox.waiting import Clock, Say, silent

# Variables of the operator's own shell that would lead the product away from the sandbox.
UNSET = (
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "RAXX_BCP_GPG_PUBLIC_KEY",
)


class Sandbox:
    """A local Raxx in ``state_dir``.

    ``any_ports`` picks random ports instead of the preferred ones, for several sandboxes on one machine.
    ``say`` gets one sentence for everything that the supervisor does or finds. Every method raises
    ``BcpError`` with what failed and what to do.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        parts: Sequence[Part] = PARTS,
        say: Say = silent,
        clock: Clock | None = None,
        any_ports: bool = False,
    ) -> None:
        self.directory = (state_dir or state.default_directory()).resolve()
        self._clock = clock or Clock()
        self._runner = Runner(self.directory, parts, say, self._clock, any_ports=any_ports)

    def up(self) -> Report:
        """Start what does not run, repair what is half dead, leave alone what is healthy."""
        state.open_directory(self.directory)
        runner = self._runner
        with self._locked():
            self._remember_or_begin()
            for part in runner.parts:
                part.prepare(runner.place(part))
            runner.stop_unknown()
            known = processes.find(self.directory)
            launched = [part for part in runner.parts if part.launch is not None]
            waiting = [part for part in launched if not runner.settled(part, known.get(part.name, []))]
            runner.start(waiting)
            for part in launched:
                if runner.stopping_fault(part) is None:
                    part.fill(runner.place(part))
            for part in runner.parts:
                breaking.apply_again(runner, part)
            runner.state.up = True
            runner.save()
            return self._report()

    def down(self, *, purge: bool = False) -> tuple[str, ...]:
        """Stop every process of the sandbox, confirm that they are gone, and return the parts that ran.

        ``purge`` also deletes the state directory, which must be marked as a sandbox's.
        """
        if not state.is_sandbox(self.directory):
            if purge and self.directory.exists():
                state.purge(self.directory)  # refuses, and says why
            stopped = self._runner.stop_all()  # somebody may have deleted the directory while parts run
            if purge:
                self._runner.forget()
            return stopped
        with self._locked():
            self._runner.state = state.load(self.directory) or state.State()
            stopped = self._runner.stop_all()
            self._runner.state.up = False
            self._runner.save()
            if purge:
                self._runner.forget()
                state.purge(self.directory)
        return stopped

    def status(self) -> Report:
        """The current state of every part."""
        self._runner.state = state.load(self.directory) or state.State()
        return self._report()

    def missing(self) -> str:
        """Where we looked for a sandbox and what to do, when there is none; empty when there is one."""
        if state.is_sandbox(self.directory):
            return ""
        return f"No sandbox in {whereabouts.looked_in(self.directory)}. {whereabouts.what_to_do(self.directory)}"

    def environment(self) -> dict[str, str]:
        """The variables that lead the product into this sandbox (see also ``UNSET``)."""
        self._require_up()
        runner = self._runner
        known = processes.find(self.directory)
        variables: dict[str, str] = {}
        for part in runner.parts:
            expected = part.launch is not None and runner.stopping_fault(part) is None
            if expected and runner.main(part, known.get(part.name, [])) is None:
                raise UsageError(
                    with_last_words(
                        f"The sandbox in {self.directory} is not whole: {part.name} has stopped.",
                        runner.last_words(part),
                    ),
                    "Run raxx-bcp sandbox up, which starts it again.",
                )
            variables |= part.environment(runner.place(part))
        return {**variables, state.DIRECTORY_VARIABLE: str(self.directory)}

    def credentials(self) -> dict[str, str]:
        """Every secret that the sandbox made for itself, also those that ``environment`` does not hand out."""
        self._require_up()
        return dict(self._runner.state.credentials)

    def break_(self, name: str) -> FaultReport:
        """Switch fault ``name`` on; it stays on, even over restarts, until it is switched off."""
        with self._changing():
            return breaking.break_(self._runner, name)

    def mend(self, name: str) -> FaultReport:
        """Switch fault ``name`` off."""
        with self._changing():
            return breaking.mend(self._runner, name)

    def mend_all(self) -> tuple[str, ...]:
        """Switch every fault off and return the names of those that were on."""
        with self._changing():
            return breaking.mend_all(self._runner)

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return state.locked(self.directory, self._clock, self._runner.say)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        self._require_up()
        with self._locked():
            self._require_up()  # again: it may have changed while we waited for the lock
            yield

    def _require_up(self) -> None:
        remembered = state.load(self.directory)
        if remembered is None or not remembered.up:
            raise UsageError(
                f"No sandbox is up in {whereabouts.looked_in(self.directory)}.", whereabouts.what_to_do(self.directory)
            )
        self._runner.state = remembered

    def _remember_or_begin(self) -> None:
        remembered = state.load(self.directory)
        if remembered is None and state.was_written(self.directory):
            self._runner.say("state.json cannot be read: every part is started anew, with new credentials.")
        current = self._runner.state = remembered or state.State()
        for part in self._runner.parts:
            current.parts.setdefault(part.name, state.PartState())
            for name, make in part.credentials.items():
                if not current.credentials.get(name):
                    current.credentials[name] = make()
        self._runner.save()

    def _report(self) -> Report:
        runner = self._runner
        known = processes.find(self.directory)
        parts = []
        for part in runner.parts:
            main = runner.main(part, known.get(part.name, []))
            parts.append(
                PartReport(
                    part.name,
                    part.title,
                    runner.condition(part, main),
                    main.pid if main is not None else None,
                    runner.place(part).url() if "http" in runner.remembered(part).ports else None,
                    dict(runner.remembered(part).ports),
                    str(runner.log(part)) if part.launch is not None else None,
                    runner.last_words(part) if part.launch is not None and main is None else "",
                )
            )
        active = runner.state.faults
        faults = [offer.report(active=name in active) for name, offer in breaking.offers(runner).items()]
        return Report(self.directory, tuple(parts), tuple(faults), self.missing())


def sandbox_environment(state_dir: Path) -> dict[str, str]:
    """The variables that lead the product into the sandbox in ``state_dir``."""
    return Sandbox(state_dir).environment()
