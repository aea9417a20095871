"""What the documents say exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from raxx_bcp.cli import main
from raxx_bcp_sandbox.heroku.faults import KNOWN as HEROKU
from raxx_bcp_sandbox.infisical.faults import KNOWN
from raxx_bcp_sandbox.lightsail.faults import KNOWN as LIGHTSAIL
from raxx_bcp_sandbox.parts import PARTS
from raxx_bcp_tests import command_reference

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}


def _quoted(text: str) -> str:
    """Code blocks and inline code only: prose may name a command in passing."""
    blocks = re.findall(r"```.*?```", text, re.DOTALL)
    return "\n".join(blocks + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)))


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXTS[page]):
        if not target.startswith(("http://", "https://")):
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


COMMAND = re.compile(r"(?:^|/bin/|[;|&(]\s*|\s-\s)raxx-bcp ((?:--?)?[a-z][^\n;|&>#'`]*)", re.MULTILINE)


@pytest.mark.parametrize("page", TEXTS)
def test_commands_and_options_exist(page: str) -> None:
    for line in COMMAND.findall(_quoted(TEXTS[page])):
        words = line.split()
        command: click.Command = main
        while words and isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", words[0]):
            found = command.get_command(click.Context(command), words[0])
            assert found is not None, f"{page}: raxx-bcp {line}: no command {words[0]}"
            command, words = found, words[1:]
        known = {option for parameter in command.params for option in parameter.opts}
        for word in words:
            if word.startswith("--"):
                assert word in known, f"{page}: raxx-bcp {line}: no option {word}"


def test_the_reference_of_commands_is_current() -> None:
    assert command_reference.PAGE.read_text(encoding="utf-8") == command_reference.reference(), "run make reference"


def test_the_search_for_commands_finds_them() -> None:
    found = [line for text in TEXTS.values() for line in COMMAND.findall(_quoted(text))]
    assert len(found) > 20
    assert any(line.startswith("vault export --accept-shrink") for line in found)


@pytest.mark.parametrize("page", TEXTS)
def test_faults_exist(page: str) -> None:
    known = set(KNOWN) | set(LIGHTSAIL) | set(HEROKU) | {fault.name for part in PARTS for fault in part.faults}
    for name in re.findall(r"sandbox (?:break|mend) ([a-z][a-z0-9-]+)", TEXTS[page]):
        assert name in known | {"slack-down"}, f"{page} names the fault {name}"


@pytest.mark.parametrize("page", TEXTS)
def test_make_targets_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in re.findall(r"make ([a-z]+)", _quoted(TEXTS[page])):
        assert name in targets, f"{page} names make {name}"


@pytest.mark.parametrize("page", TEXTS)
def test_files_named_in_code_exist(page: str) -> None:
    named = re.findall(
        r"`((?:raxx_bcp|raxx_bcp_tests|deploy|docs|benchmarks|requirements)/[\w./-]+\.\w+)`", TEXTS[page]
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_table_of_failures_names_tests_that_exist() -> None:
    rows = [line for line in TEXTS["docs/failures.md"].splitlines() if re.match(r"\| \d", line)]
    numbers = [int(row.split("|")[1]) for row in rows]
    assert numbers == list(range(1, max(28, len(rows)) + 1))
    for row in rows:
        tests = re.findall(r"`([^`]+)`", row.split("|")[-2])
        assert bool(tests) != ("**none yet**" in row), "a guard has a test, and what has no guard says so"
        for name in tests:
            assert (ROOT / "raxx_bcp_tests" / name).exists(), name
