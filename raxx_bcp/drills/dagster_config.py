"""Dagster's form of a drill: what an operator enters when starting it, made from the drill's own choices."""

from typing import Any

import dagster as dg
import pydantic

from raxx_bcp.drills.engine.choices import offered_by
from raxx_bcp.drills.kind import Asked, Kind


class DrillConfig(dg.Config):
    """What an operator enters when starting any drill."""

    operator: str = pydantic.Field(description="Who you are; it goes on record.")
    keep: bool = pydantic.Field(
        default=False,
        description="Leave what the drill made for inspection until its lease ends; such a drill closes no card.",
    )


def config_type(kind: Kind[Any]) -> type[DrillConfig]:
    """The class whose fields are the drill's choices, with their help texts and defaults."""
    fields: dict[str, Any] = {
        one.name: (one.type, pydantic.Field(default=one.default, description=one.choice.help))
        for one in offered_by(kind.wanted)
    }
    name = "".join(part.capitalize() for part in kind.name.split("_"))
    return pydantic.create_model(f"{name}DrillConfig", __base__=DrillConfig, **fields)


def wanted_from(kind: Kind[Any], config: DrillConfig) -> Any:
    """What the operator chose, as the drill takes it. Raises ``UsageError`` where it makes no sense."""
    return kind.wanted(**{one.name: getattr(config, one.name) for one in offered_by(kind.wanted)})


def asked_from(config: DrillConfig, *, scheduled: bool, run_id: str, ui_url: str) -> Asked:
    """Who asks, and in which Dagster run."""
    return Asked(
        config.operator,
        keep=config.keep,
        trigger="schedule" if scheduled else "manual",
        run_id=run_id,
        run_url=f"{ui_url}/runs/{run_id}",
    )
