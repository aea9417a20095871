"""``[freescout.adopted]``: where another program's backups of FreeScout are, as patterns of keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, model_validator

from raxx_bcp.freescout.patterns import PARTS, Pattern, parse


def _pattern(value: str, info: ValidationInfo) -> str:
    if value:
        parse(str(info.field_name), value)
    return value


KeyPattern = Annotated[str, AfterValidator(_pattern)]


class Adopted(BaseModel):
    """Patterns by part; all empty: dump sets are those of freescout-backup, under ``dump_prefix``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    database: KeyPattern = ""
    """One dump a day: ``backups/freescout-{date}.sql.gz``."""
    everything: KeyPattern = ""
    """One archive a day that holds the dump, and ``.env``, attachments and modules where they exist."""
    env: KeyPattern = ""
    attachments: KeyPattern = ""
    modules: KeyPattern = ""

    @model_validator(mode="after")
    def _one_dump(self) -> Adopted:
        if self.configured and bool(self.database) == bool(self.everything):
            raise ValueError("name the dump once: database, or everything for an archive that holds it")
        return self

    @property
    def configured(self) -> bool:
        return any(getattr(self, part) for part in PARTS)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """The given patterns, the dump's first."""
        return tuple(parse(part, text) for part in PARTS if (text := getattr(self, part)))

    @property
    def main(self) -> str:
        """The pattern of the dump."""
        return self.database or self.everything
