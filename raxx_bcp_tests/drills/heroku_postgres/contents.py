"""Production of any schema, dumped and restored for real, whose copies go their own ways."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from raxx_bcp.drills.engine.drill import CheckResult
from raxx_bcp.drills.heroku_postgres.database import Allowance, Facts, actual_from, compare, expected_from
from raxx_bcp.evidence.row import CheckStatus
from raxx_bcp_tests.clients.postgres_lab import PostgresLab, postgres_lab

BEGUN = datetime(2024, 6, 1, 6, 0, tzinfo=UTC)
FINISHED = datetime(2024, 6, 1, 6, 2, tzinfo=UTC)
TOLERANCE = 0.05
DAY = Allowance(TOLERANCE)
EXACTLY = Allowance()
PRODUCTION, RESTORED = "production", "restored"
_ALEMBIC = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('9f2c41d07a3e');
"""


@dataclass(frozen=True)
class Contents:
    """Production, dumped and restored; each test changes copies of the two."""

    server: PostgresLab

    def found(self, damage: Sequence[str] = (), since: Sequence[str] = ()) -> tuple[Facts, Facts]:
        """What is found when production went on with ``since``, and the restore came back with ``damage``."""
        with self.copy(PRODUCTION, since) as there, self.copy(RESTORED, damage) as here:
            expected = expected_from(self.server.url(there), backup_created=BEGUN)
            return expected, actual_from(self.server.url(here), backup_finished=FINISHED, like=expected)

    def checks(
        self, damage: Sequence[str] = (), since: Sequence[str] = (), allowance: Allowance = DAY
    ) -> dict[str, CheckResult]:
        """Every check by its name."""
        expected, actual = self.found(damage, since)
        return {one.name: one for one in compare(expected, actual, tolerance_ratio=TOLERANCE, allowance=allowance)}

    @contextlib.contextmanager
    def copy(self, of: str, statements: Sequence[str]) -> Iterator[str]:
        """The database ``of``, or where there are ``statements`` a copy that they have changed."""
        if not statements:
            yield of
            return
        name = f"{of}_copy"
        self.server.create(name, template=of)
        try:
            self.server.run(name, *statements)
            yield name
        finally:
            self.server.drop(name)


@contextlib.contextmanager
def contents(schema: str) -> Iterator[Contents]:
    """A server with both."""
    with postgres_lab() as server, tempfile.TemporaryDirectory() as folder:
        server.create(PRODUCTION)
        server.run(PRODUCTION, _ALEMBIC, schema)
        dump = str(Path(folder) / "production.dump")
        server.tool("pg_dump", PRODUCTION, "-Fc", f"--file={dump}")
        server.create(RESTORED)
        server.tool("pg_restore", RESTORED, "--no-owner", "--no-acl", dump)
        yield Contents(server)


def failed(checks: dict[str, CheckResult]) -> dict[str, str]:
    """The checks that failed, and why."""
    return {name: one.reason for name, one in checks.items() if one.status is CheckStatus.FAIL}
