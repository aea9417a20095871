"""What production installs: a wheel without the local Raxx, which does its work against one that runs elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import raxx_bcp
from raxx_bcp_sandbox.supervisor import UNSET, Sandbox

CLONE = Path(raxx_bcp.__file__).parent.parent
BUILT_FROM = ("pyproject.toml", "README.md", "raxx_bcp", "raxx_bcp_sandbox", "raxx_bcp_tests/__init__.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing that an earlier build left in this clone gets into it."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in BUILT_FROM:
        source, copy = CLONE / name, folder / "source" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, copy)
    uv = Path(sys.executable).with_name("uv")
    command: list[str | Path] = [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "--out-dir", folder / "made", folder / "source"], check=True, timeout=120)
    (made,) = (folder / "made").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command ``raxx-bcp`` of an installation from the wheel; its dependencies are this environment's."""
    home = tmp_path_factory.mktemp("production")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True, timeout=60)
    uv: list[str | Path] = [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--offline", "--no-deps"]
    subprocess.run([*uv, "--python", home / "bin" / "python", wheel], check=True, timeout=60)
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return home / "bin" / "raxx-bcp"


def run(command: Path, *arguments: str, environ: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Away from the clone, so that nothing is found by chance."""
    return subprocess.run(
        [command, *arguments], env=environ, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


def environment(folder: Path, sandbox: Sandbox) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in UNSET and not name.startswith("PYTHON")}
    policy = folder / "bcp.toml"
    shipped = (CLONE / "bcp.toml").read_text(encoding="utf-8")
    policy.write_text(shipped.replace('"vault-exports/"', '"wheel-exports/"'), encoding="utf-8")
    own = {"HOME": folder, "RAXX_BCP_STATE_DIR": folder / "state", "RAXX_BCP_POLICY": policy}
    return {**kept, **sandbox.environment(), **{name: str(value) for name, value in own.items()}}


def test_the_wheel_holds_the_product_and_nothing_of_the_sandbox_or_the_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"raxx_bcp"}
    assert not [name for name in names if "sandbox" in name]
    assert {"raxx_bcp/py.typed", "raxx_bcp/cli.py", "raxx_bcp/drills/engine/drill.py"} <= set(names)


def test_all_files_beside_the_code_are_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {
        path.relative_to(CLONE).as_posix()
        for path in (CLONE / "raxx_bcp").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files - names == set()


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_without_the_sandbox_its_commands_say_what_to_do(installed: Path, tmp_path: Path, command: str) -> None:
    ended = run(installed, command, "status", environ={"HOME": str(tmp_path)}, folder=tmp_path)
    assert ended.returncode == 2
    assert f"The local Raxx that {command} needs is not installed here" in ended.stderr
    assert "run make setup in a clone of raxx-bcp" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_wheel_works_against_a_sandbox_that_runs_elsewhere(
    installed: Path, tmp_path: Path, breakable_sandbox: Sandbox
) -> None:
    environ = environment(tmp_path, breakable_sandbox)
    python = installed.with_name("python")
    found = run(python, "-c", "import raxx_bcp; print(raxx_bcp.__file__)", environ=environ, folder=tmp_path)
    assert not Path(found.stdout.strip()).is_relative_to(CLONE)

    for arguments in (("vault", "export"), ("drill", "state-recovery", "--operator", "alice")):
        ended = run(installed, *arguments, "--json", environ=environ, folder=tmp_path)
        said = json.loads(ended.stdout)
        assert (ended.returncode, said["ok"]) == (0, True), (arguments, said)
    looked = run(installed, "doctor", "--json", environ=environ, folder=tmp_path)
    seen = {check["name"]: check["status"] for check in json.loads(looked.stdout)["checks"]}
    assert looked.returncode in (0, 1), "what is late depends on the hour; that all could be seen does not"
    assert (seen["drill leftovers"], seen["today_is_there"]) == ("PASS", "PASS")
