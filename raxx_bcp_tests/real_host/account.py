"""The operator's surroundings of one test host: an AWS account in which it is ``raxx-tickets``, and a state bucket."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from raxx_bcp_sandbox.hosts.certificates import Authority
from raxx_bcp_sandbox.lightsail.app import create_app
from raxx_bcp_sandbox.lightsail.bodies import NoBodies
from raxx_bcp_sandbox.lightsail.records import Instance
from raxx_bcp_sandbox.lightsail.seed import raxx, seed
from raxx_bcp_sandbox.lightsail.signature import AccessKey
from raxx_bcp_sandbox.lightsail.store import Store
from raxx_bcp_sandbox.lightsail.world import World
from raxx_bcp_sandbox.parts.s3 import PART as S3
from raxx_bcp_sandbox.supervisor import UNSET, Sandbox
from raxx_bcp_tests.real_host.login import details
from raxx_bcp_tests.real_host.machine import Machine
from raxx_bcp_tests.sandbox.infisical.support import serving

ROOT: Final = Path(__file__).resolve().parents[2]
_SECONDS: Final = 120.0


@dataclass
class Account:
    """``runs`` a line of a page as an operator types it, on a machine that is let in to the host."""

    machine: Machine
    environ: Mapping[str, str]

    def runs(self, line: str, *, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run one line by sh. stdin: what is typed."""
        argv = ["nsenter", f"--net={self.machine.outside.path}", "sh", "-c", line]
        return subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            env=dict(self.environ),
            cwd=ROOT,
            timeout=_SECONDS,
            check=False,
        )


class _OneHost(NoBodies):
    """Every instance is the same machine."""

    def __init__(self, machine: Machine, authority: Authority) -> None:
        super().__init__()
        self._machine = machine
        self._authority = authority

    def access(self, instance: Instance) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        return details(self._machine, self._authority)


@contextmanager
def account(machine: Machine, authority: Authority) -> Iterator[Account]:
    """Lightsail's stand-in and a real S3 server, reachable from where the operator is."""
    with tempfile.TemporaryDirectory(prefix="rh-") as folder:
        place = Path(folder)
        shelf = Sandbox(place / "s", parts=(S3,), any_ports=True)
        store = Store(place / "store.sqlite3")
        try:
            shelf.up()
            given = shelf.environment()
            world = World(store, bodies=_OneHost(machine, authority), real=time.time)
            seed(world, raxx)
            key = AccessKey(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"])
            with serving(create_app(world, key)) as url:
                for client in (url, given["AWS_ENDPOINT_URL_S3"]):
                    machine.outside.let_in(urlsplit(client).port or 0)
                yield Account(machine, _environ({**given, "AWS_ENDPOINT_URL_LIGHTSAIL": url}, place))
        finally:
            store.close()
            shelf.down(purge=True)


def _environ(given: Mapping[str, str], place: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name not in UNSET}
    path = f"{Path(sys.executable).parent}:{own['PATH']}"
    return {**own, **given, "PATH": path, "HOME": str(place), "TMPDIR": str(place)}
