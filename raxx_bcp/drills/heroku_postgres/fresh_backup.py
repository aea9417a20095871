"""A backup of production made by a drill itself, with facts of its own moment (``--fresh``)."""

from __future__ import annotations

from raxx_bcp.clients.heroku import Heroku
from raxx_bcp.clients.heroku_shapes import Database, Transfer, TransferState
from raxx_bcp.drills.heroku_postgres.stored_facts import FactsStore, Measure, from_facts, take_facts
from raxx_bcp.errors import BcpError, CouldNotVerifyError
from raxx_bcp.policy import HerokuPostgres
from raxx_bcp.waiting import Deadline, Progress, Waiting


def capture_with_facts(
    heroku: Heroku,
    policy: HerokuPostgres,
    production: Database,
    store: FactsStore | None,
    patience: Deadline,
    progress: Progress,
) -> tuple[Transfer, Measure]:
    """Back production up, wait for the end, and look at production then: what it says is from later is excused.

    Heroku stores a limited number of manual backups and may drop the oldest for this one. Raises
    ``CouldNotVerifyError`` when it fails or does not end in time, and what ``take_facts`` raises. Facts that cannot be
    stored are still used, and the progress reports that.
    """
    made = _ended(heroku, policy, heroku.capture(production.id), patience, progress)
    taken, key = take_facts(heroku, policy, made, patience.clock)
    if store is not None:
        try:
            store.put(taken, key)
        except BcpError as error:
            progress(f"the facts of {made.label} were not stored: {error.what}")
    return made, from_facts(taken, policy, key)


def _ended(heroku: Heroku, policy: HerokuPostgres, begun: Transfer, patience: Deadline, progress: Progress) -> Transfer:
    def look() -> Transfer | Waiting:
        transfer = heroku.transfer(policy.app, begun.uuid)
        if transfer.state is TransferState.RUNNING:
            return Waiting(f"backed up {transfer.processed_bytes} bytes")
        return transfer

    def late(seen: str) -> CouldNotVerifyError:
        return CouldNotVerifyError(
            f"The backup {begun.label} of {policy.app} was not over after {patience.length}: {seen}",
            "It goes on without the drill: look at heroku pg:backups, then start the drill with it by its name.",
        )

    transfer = patience.ask(look, late, progress)
    if not transfer.restorable:
        raise CouldNotVerifyError(
            f"Heroku could not back {policy.app} up: {transfer.label} ended as {transfer.state.value}.",
            "Look at heroku pg:backups:info; until one succeeds, the newest good backup is all there is.",
        )
    return transfer
