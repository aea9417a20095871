"""The table of drills: its names, and that what each promises is what its own modules look at."""

from __future__ import annotations

import pytest

from raxx_bcp.drills.freescout import artefact, examine
from raxx_bcp.drills.heroku_postgres import database, restore_warnings
from raxx_bcp.drills.hosts.isolation import ISOLATION
from raxx_bcp.drills.hosts.silence import SILENT
from raxx_bcp.drills.kinds import DRILL_NAMES
from raxx_bcp.drills.loading import kind, kinds
from raxx_bcp.drills.terraform_state.real_states import REAL_STATE, UNTOUCHED
from raxx_bcp.drills.vault.export_compare import APPROVALS, EQUAL
from raxx_bcp.drills.vault.host import STILL_ISOLATED

LOOKED_AT = {
    "heroku_postgres": (restore_warnings.NAME, *database.CHECKS),
    "freescout_snapshot": (SILENT, ISOLATION, *examine.CHECKS),
    "freescout_dump": (ISOLATION, *artefact.CHECKS, *examine.CHECKS),
    "vault_export": (APPROVALS, *EQUAL.values()),
    "vault_snapshot": (SILENT, ISOLATION, STILL_ISOLATED),
    "state_recovery": (REAL_STATE, UNTOUCHED),
}


@pytest.mark.parametrize("name", DRILL_NAMES)
def test_a_pass_needs_every_check_that_the_drills_modules_make(name: str) -> None:
    """The table knows them without loading the drill; a check left out there could fail and the drill still pass."""
    promised = kind(name).checks
    assert [check for check in promised if check in LOOKED_AT[name]] == list(LOOKED_AT[name])
    assert len(set(promised)) == len(promised)


def test_every_drill_stands_in_the_table_by_its_own_name() -> None:
    assert tuple(each.name for each in kinds()) == DRILL_NAMES == tuple(LOOKED_AT)
