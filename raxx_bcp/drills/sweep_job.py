"""The sweeper in Dagster: every hour it looks for what killed drills left behind."""

import dagster as dg

from raxx_bcp.dagster_terms import failure
from raxx_bcp.drills.engine.sweeper import sweep
from raxx_bcp.drills.places import places
from raxx_bcp.errors import BcpError
from raxx_bcp.resources import Raxx


@dg.op(description="Deletes what killed drills left past its lease, and writes the rows that they could not write.")
def sweep_drills(context: dg.OpExecutionContext, raxx: dg.ResourceParam[Raxx]) -> None:
    """Touches only what carries our mark and says that its time is over."""
    try:
        record = raxx.record()
        with places(raxx.policy) as where:
            swept = sweep(
                where,
                record.journal,
                record.ledger,
                record.spool,
                clock=raxx.clock,
                sleep=raxx.sleep,
                progress=context.log.info,
            )
    except BcpError as error:
        raise failure(error) from None
    context.log.info(swept.text())
    context.add_output_metadata(
        {"cost_usd": round(swept.cost_usd, 4), "result": dg.MetadataValue.json(swept.as_dict())}
    )
    if not swept.clean:
        raise dg.Failure(
            f"The sweeper could not finish: {swept.text()}\n"
            "What to do: delete by hand what is still there (it costs money), or mend what could not be seen; the next "
            "hour tries again.",
            allow_retries=False,
        )


@dg.job(name="drill_sweeper", description="D4: what a killed drill left behind is found and deleted, every hour.")
def drill_sweeper() -> None:
    """One op."""
    sweep_drills()
