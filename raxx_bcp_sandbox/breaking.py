"""Switches faults on and off. state.json records which are on; a restarted part gets its faults again."""

from __future__ import annotations

from dataclasses import dataclass

from raxx_bcp.errors import TransientError, UsageError
from raxx_bcp_sandbox import processes
from raxx_bcp_sandbox.part import Fault, Part, stand_in_faults, switch_stand_in_fault
from raxx_bcp_sandbox.report import FaultReport
from raxx_bcp_sandbox.runner import Runner


@dataclass(frozen=True)
class Offer:
    """A fault, and the part that offers it; ``fault`` is None for one that a stand-in switches itself."""

    part: Part
    name: str
    shows: str
    fault: Fault | None = None

    @property
    def stops_part(self) -> bool:
        """Does the fault stop the part?"""
        return self.fault is not None and self.fault.stops_part

    def report(self, *, active: bool) -> FaultReport:
        """For people, ``--json`` and tests."""
        return FaultReport(self.name, self.part.name, self.shows, active)


def offers(runner: Runner) -> dict[str, Offer]:
    """Every fault that can be switched now, by name. The processes of the stand-ins report their own."""
    return {offer.name: offer for part in runner.parts for offer in _offers_of(runner, part)}


def _offers_of(runner: Runner, part: Part) -> list[Offer]:
    own = [Offer(part, fault.name, fault.shows, fault) for fault in part.faults]
    if part.stand_in and runner.remembered(part).pid is not None:
        own += [Offer(part, name, shows) for name, shows in stand_in_faults(runner.place(part)).items()]
    return own


def break_(runner: Runner, name: str) -> FaultReport:
    """Switch fault ``name`` on. It is recorded before it takes effect, so that it can always be switched off."""
    offer = _offer(runner, name)
    _require_running(runner, offer)
    if name not in runner.state.faults:
        runner.state.faults.append(name)
        runner.save()
    _switch(runner, offer, on=True)
    runner.save()
    return offer.report(active=True)


def mend(runner: Runner, name: str) -> FaultReport:
    """Switch fault ``name`` off, whether or not it was on."""
    offer = _offer(runner, name)
    _require_running(runner, offer)
    _forget(runner, name)
    _switch(runner, offer, on=False)
    apply_again(runner, offer.part)
    runner.save()
    return offer.report(active=False)


def mend_all(runner: Runner) -> tuple[str, ...]:
    """Switch every fault off, those that stop a server first; return the names of those that were on."""
    on = tuple(runner.state.faults)
    known = offers(runner)
    for name in sorted((each for each in on if each in known), key=lambda each: not known[each].stops_part):
        mend(runner, name)
    for name in on:
        _forget(runner, name)  # a stand-in that does not run comes back without its faults
    runner.save()
    return on


def apply_again(runner: Runner, part: Part) -> None:
    """Switch on again what a restart has undone, or the end of another fault of the same part."""
    if runner.stopping_fault(part) is not None:
        return
    for offer in _offers_of(runner, part):
        if offer.name in runner.state.faults:
            _switch(runner, offer, on=True)


def _offer(runner: Runner, name: str) -> Offer:
    known = offers(runner)
    if name in known:
        return known[name]
    silent = [part.name for part in runner.parts if part.stand_in and not stand_in_faults(runner.place(part))]
    hint = f" {' and '.join(silent)} did not answer: run raxx-bcp sandbox up." if silent else ""
    raise UsageError(f"The sandbox has no fault named {name}.", f"Choose one of: {', '.join(sorted(known))}.{hint}")


def _forget(runner: Runner, name: str) -> None:
    runner.state.faults = [each for each in runner.state.faults if each != name]


def _require_running(runner: Runner, offer: Offer) -> None:
    kept_down = runner.stopping_fault(offer.part)
    if kept_down is not None and not offer.stops_part:
        raise UsageError(
            f"{offer.part.name} is kept down by {kept_down.name}, so {offer.name} cannot be switched.",
            f"Run raxx-bcp sandbox mend {kept_down.name} first.",
        )


def _switch(runner: Runner, offer: Offer, *, on: bool) -> None:
    part, fault = offer.part, offer.fault
    place = runner.place(part)
    if fault is None:
        if not switch_stand_in_fault(place, offer.name, on=on):
            raise TransientError(
                f"{part.name} did not take the fault {offer.name}.", "Run raxx-bcp sandbox up, then try again."
            )
    elif fault.stops_part:
        known = processes.find(runner.directory).get(part.name, [])
        if on:
            runner.clear(part, known)
        elif not runner.settled(part, known):
            part.prepare(place)
            runner.start([part])
            part.fill(runner.place(part))
    elif on:
        fault.apply(place)
    else:
        fault.undo(place)
