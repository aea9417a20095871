"""Which revision is ahead, from a list or from the migration files, none of which is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from raxx_bcp.drills.heroku_postgres.database import RevisionHistory
from raxx_bcp.errors import UsageError

LINE = RevisionHistory.of_list(["1a", "2b", "3c", "4d"])
TREE = RevisionHistory({"1a": (), "2b": ("1a",), "2x": ("1a",), "3m": ("2b", "2x")})


@pytest.mark.parametrize(
    ("history", "production", "restored", "said"),
    [
        (LINE, ["4d"], ["3c"], "the restore is 1 revision behind: the backup is older than those migrations"),
        (LINE, ["4d"], ["1a"], "the restore is 3 revisions behind: the backup is older than those migrations"),
        (LINE, ["2b"], ["4d"], "the restore is 2 revisions ahead: production was downgraded since"),
        (LINE, ["4d"], ["zz"], "the revision history does not know zz"),
        (LINE, ["yy"], ["zz"], "the revision history does not know yy, zz"),
        (TREE, ["3m"], ["2b"], "the restore is 2 revisions behind: the backup is older than those migrations"),
        (TREE, ["3m"], ["2b", "2x"], "the restore is 1 revision behind: the backup is older than those migrations"),
        (TREE, ["2b"], ["2x"], "neither follows from the other: another branch, or another database"),
        (TREE, ["2b", "2x"], ["2b"], "the restore is 1 revision behind: the backup is older than those migrations"),
    ],
)
def test_which_is_ahead(history: RevisionHistory, production: list[str], restored: list[str], said: str) -> None:
    assert history.compared(production, restored) == said


def migrations(directory: Path) -> Path:
    """As ``alembic revision`` writes them, of today and of some years ago; each would fail the test if it were run."""
    files = {
        "1a_first.py": 'revision = "1a"\ndown_revision = None\n',
        "2b_left.py": 'revision: str = "2b"\ndown_revision: str | None = "1a"\nbranch_labels = None\n',
        "2x_right.py": 'revision = "2x"\ndown_revision = "1a"\ndepends_on = None\n',
        "3m_merge.py": 'revision: str = "3m"\ndown_revision: tuple[str, ...] = ("2b", "2x")\n',
    }
    for name, text in files.items():
        (directory / name).write_text(f'"""A migration."""\n{text}')
    return directory


def test_a_directory_is_read_as_alembic_reads_it(tmp_path: Path) -> None:
    directory = migrations(tmp_path)
    history = RevisionHistory.of_directory(directory)
    assert history == TREE
    script = ScriptDirectory(str(tmp_path), version_locations=[str(directory)])
    assert history.with_ancestors(script.get_heads()) == {one.revision for one in script.walk_revisions()}


def test_no_migration_is_run_and_odd_files_are_passed_over(tmp_path: Path) -> None:
    directory = migrations(tmp_path)
    for path in directory.glob("*.py"):
        path.write_text(path.read_text() + 'raise SystemExit("it was run")\n')
    (directory / "broken.py").write_text("def (:\n")
    (directory / "computed.py").write_text('revision = make()\ndown_revision: "str"\na.b = 1\n')
    (directory / "binary.py").write_bytes(b"\xff\xfe\x00")
    (directory / "__init__.py").write_text("")
    assert RevisionHistory.of_directory(directory) == TREE


def test_a_directory_without_revisions_is_a_mistake(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="no Alembic revisions"):
            RevisionHistory.of_directory(directory)
