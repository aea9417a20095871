"""Imports point one way: commands and rooms know the clients, the clients know nobody, and nobody knows the sandbox."""

from __future__ import annotations

import ast
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import raxx_bcp
import raxx_bcp_sandbox

PACKAGES = (Path(raxx_bcp.__file__).parent, Path(raxx_bcp_sandbox.__file__).parent)
ROOT = PACKAGES[0].parent
THE_SANDBOX_MAY_USE = (
    "raxx_bcp.clients",
    "raxx_bcp.clock",
    "raxx_bcp.errors",
    "raxx_bcp.freescout.backup_tool",  # a program of its own, as it lies on the help desk's host
)
WITHOUT_DAGSTER = (
    "raxx_bcp.cli",
    "raxx_bcp.commands.doctor",
    "raxx_bcp.commands.snapshot",
    "raxx_bcp.commands.state_bucket",
    "raxx_bcp.commands.vault",
)


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(path for package in PACKAGES for path in package.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(source: str, package: str) -> Iterator[str]:
    """Every module that ``source`` imports anywhere, also inside functions and type-checking blocks."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            yield base
            yield from (f"{base}.{name.name}" for name in node.names)


def imports_of_module(name: str, path: Path) -> set[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return set(imports_of(path.read_text(encoding="utf-8"), package))


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


MODULES = modules()
CLIENTS = {name: path for name, path in MODULES.items() if is_in(name, "raxx_bcp.clients")}
PRODUCT = {name: path for name, path in MODULES.items() if is_in(name, "raxx_bcp")}
STAND_INS = {
    name: path
    for name, path in MODULES.items()
    if is_in(name, "raxx_bcp_sandbox") and not is_in(name, "raxx_bcp_sandbox.commands")
}
"""``raxx_bcp_sandbox.commands`` shows the product at work, so it uses the product as a person does."""


def test_the_scan_sees_every_way_to_import() -> None:
    source = (
        "import a.b\n"
        "from c import d\n"
        "def f():\n    from raxx_bcp_sandbox import keys\n"
        "if TYPE_CHECKING:\n    import dagster as dg\n"
        "from . import near\n"
        "from .. import far\n"
        "from ..other import thing\n"
    )
    assert set(imports_of(source, "raxx_bcp.clients")) == {
        "a.b",
        "c",
        "c.d",
        "raxx_bcp_sandbox",
        "raxx_bcp_sandbox.keys",
        "dagster",
        "raxx_bcp.clients",
        "raxx_bcp.clients.near",
        "raxx_bcp",
        "raxx_bcp.far",
        "raxx_bcp.other",
        "raxx_bcp.other.thing",
    }


def test_the_scan_finds_the_modules() -> None:
    assert {"raxx_bcp", "raxx_bcp.clients.http", "raxx_bcp.vault.export", "raxx_bcp_sandbox.stand_in"} <= set(MODULES)
    assert len(CLIENTS) >= 6


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_a_client_knows_only_the_errors_and_its_fellows(name: str) -> None:
    imported = imports_of_module(name, CLIENTS[name])
    own = {module for module in imported if is_in(module, "raxx_bcp")}
    allowed = {m for m in own if is_in(m, "raxx_bcp.clients") or is_in(m, "raxx_bcp.errors") or m == "raxx_bcp"}
    assert own == allowed
    assert not {module for module in imported if module.startswith("dagster")}


@pytest.mark.parametrize("name", sorted(PRODUCT))
def test_product_code_never_imports_the_sandbox(name: str) -> None:
    assert not {module for module in imports_of_module(name, PRODUCT[name]) if is_in(module, "raxx_bcp_sandbox")}


@pytest.mark.parametrize("name", sorted(STAND_INS))
def test_a_stand_in_knows_no_room_of_the_product(name: str) -> None:
    """What judges the product must not be made of it."""
    imported = {module for module in imports_of_module(name, STAND_INS[name]) if is_in(module, "raxx_bcp")}
    modules = {module for module in imported if module in MODULES}
    packages = {one.rpartition(".")[0] for one in THE_SANDBOX_MAY_USE}
    assert not {one for one in modules - packages if not any(is_in(one, allowed) for allowed in THE_SANDBOX_MAY_USE)}


def test_the_sandbox_is_asked_for_by_name_in_one_place() -> None:
    naming = {name for name, path in PRODUCT.items() if "raxx_bcp_sandbox" in path.read_text(encoding="utf-8")}
    assert naming == {"raxx_bcp.cli"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Neither at run time nor for their types: what cannot be read alone cannot be changed alone."""
    graph = {name: imports_of_module(name, path) & (MODULES.keys() - {name}) for name, path in MODULES.items()}
    for name, path in MODULES.items():
        if path.name == "__init__.py":
            graph[name] = set()  # a package is in every name below it
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, with the circle


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_imports_the_tests(name: str) -> None:
    assert not {module for module in imports_of_module(name, MODULES[name]) if is_in(module, "raxx_bcp_tests")}


def fresh_interpreter(program: str) -> str:
    """What ``program`` prints."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def loaded_after(*names: str) -> set[str]:
    """The modules of a fresh interpreter that imports ``names``."""
    program = f"import sys, json, {', '.join(names)}; print(json.dumps(sorted(sys.modules)))"
    return set(json.loads(fresh_interpreter(program)))


def test_the_command_line_works_without_dagster_and_without_the_sandbox() -> None:
    loaded = loaded_after(*WITHOUT_DAGSTER)
    assert set(WITHOUT_DAGSTER) <= loaded
    assert not {module for module in loaded if module.split(".")[0].startswith("dagster")}
    assert not {module for module in loaded if is_in(module, "raxx_bcp_sandbox")}


ONLY_A_RUN_NEEDS = {"boto3", "botocore", "cryptography", "gnupg", "jinja2", "paramiko", "psycopg", "requests"}


def test_the_definitions_load_nothing_that_only_a_run_needs() -> None:
    """Dagster loads them in every process that it starts, each run's too (benchmarks/load.py)."""
    program = (
        "import sys, dagster\n"
        "before = set(sys.modules)\n"
        "from raxx_bcp.definitions import build_defs\n"
        "build_defs().resolve_all_job_defs()\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    loaded = set(fresh_interpreter(program).split())
    assert "raxx_bcp.drills.heroku_postgres.kinds" in loaded
    assert {name.partition(".")[0] for name in loaded} & ONLY_A_RUN_NEEDS == set()
    ours = {name for name in loaded if name.startswith("raxx_bcp.drills.") and name.endswith(("_drill", ".shell"))}
    assert ours == set(), "a drill is loaded when it is started"


def test_help_loads_no_command() -> None:
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from raxx_bcp.cli import main\n"
        "result = CliRunner().invoke(main, ['--help'])\n"
        "assert result.exit_code == 0, result.output\n"
        "print(*[name for name in sys.modules if name.startswith('raxx_bcp')])\n"
    )
    assert set(fresh_interpreter(program).split()) == {"raxx_bcp", "raxx_bcp.cli"}
