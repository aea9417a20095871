"""How long the export takes and how much memory, beside a plain sequential walk and the bare floor.

    python benchmarks/export.py [--secrets 300 50000] [--runs 5]

Everything runs on this machine against the sandbox's vault, each figure in a process of its own, the three
in turn (A B C A B C …), so that the ratios hold when the machine's speed drifts:

- ``export``: our walk, gate, document and encryption (and a login and logout);
- ``sequential``: the plain way: one connection, folder after folder, ``json`` module, then the same gpg;
- ``floor``: the very list calls of ``export`` with the same concurrency, their answers thrown away.

Storing is left out: it is one PUT of the same bytes for all. Aims: export ≤ 1.25 × floor, faster than
sequential, and memory that grows by at most 3 bytes per byte of document.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import requests

from raxx_bcp.clients.gpg import keyring
from raxx_bcp.clients.http import Door
from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.policy import VaultExport
from raxx_bcp.vault import gate, walk
from raxx_bcp.vault.document import PieceReader, pieces
from raxx_bcp_sandbox.dagster_dev import free_port
from raxx_bcp_sandbox.keys import make_key

NOW = datetime.now(UTC)
VARIANTS = ("export", "sequential", "floor")


def export(url: str, key: bytes, fingerprint: str) -> int:
    """Ours. Returns the document's size in bytes."""
    return export_in_phases(url, key, fingerprint)[0]


def export_in_phases(url: str, key: bytes, fingerprint: str) -> tuple[int, float]:
    """Ours; also the seconds before encryption started."""
    policy = VaultExport()
    started = time.perf_counter()
    with keyring(key, fingerprint, now=NOW) as ring:
        with Infisical(url, os.environ["RAXX_SANDBOX_CLIENT_ID"], os.environ["RAXX_SANDBOX_CLIENT_SECRET"]) as vault:
            joined = walk.memberships(vault)
            gate.refuse_if(gate.membership_findings(joined, None, policy))
            survey = walk.survey(vault, joined, concurrency=policy.concurrency, progress=lambda _message: None)
        gate.refuse_if(gate.content_findings(survey))
        read = time.perf_counter() - started
        reader = PieceReader(pieces(survey, "2026-01-01", NOW, NOW))
        ring.encrypt(reader)
    return reader.size_bytes, read


def sequential(url: str, key: bytes, fingerprint: str) -> int:
    """What a straightforward script does: a call for each folder, one after the other."""
    session = requests.Session()
    session.headers["authorization"] = f"Bearer {_token(session, url)}"

    def read(route: str, /, **params: str) -> dict[str, list[dict[str, object]]]:
        answer = session.get(url + route, params=params)
        answer.raise_for_status()
        return answer.json()  # type: ignore[no-any-return]

    found = []
    for project in read("/api/v1/projects", type="secret-manager")["projects"]:
        identity = str(project["id"])
        read(f"/api/v1/projects/{identity}/tags")
        for environment in project["environments"]:  # type: ignore[attr-defined]
            place = {"projectId": identity, "environment": environment["slug"]}
            folders = read("/api/v2/folders", path="/", recursive="true", **place)["folders"]
            for path in ["/", *(str(folder["relativePath"]) for folder in folders)]:
                plain = {"expandSecretReferences": "false", "includeImports": "false", "secretPath": path}
                found.append(read("/api/v4/secrets", **place, **plain))
                found.append(read("/api/v2/secret-imports", path=path, **place))
    document = json.dumps(found).encode()
    with keyring(key, fingerprint, now=NOW) as ring:
        ring.encrypt(io.BytesIO(document))
    return len(document)


def floor(url: str, calls: list[tuple[str, dict[str, str]]]) -> int:
    """The same list calls, nothing else. Returns the size in bytes."""
    local: dict[int, requests.Session] = {}
    token = _token(requests.Session(), url)

    def call(request: tuple[str, dict[str, str]]) -> int:
        session = local.setdefault(threading.get_ident(), requests.Session())
        with session.get(
            url + request[0], params=request[1], headers={"authorization": f"Bearer {token}"}, stream=True
        ) as answer:
            return len(answer.raw.read(decode_content=True))

    with ThreadPoolExecutor(VaultExport().concurrency) as pool:
        return sum(pool.map(call, calls))


def _token(session: requests.Session, url: str) -> str:
    login = {
        "clientId": os.environ["RAXX_SANDBOX_CLIENT_ID"],
        "clientSecret": os.environ["RAXX_SANDBOX_CLIENT_SECRET"],
    }
    return str(session.post(f"{url}/api/v1/auth/universal-auth/login", json=login).json()["accessToken"])


def recorded_calls(url: str, key: bytes, fingerprint: str) -> list[tuple[str, dict[str, str]]]:
    """The GET calls that ``export`` makes, in order."""
    calls: list[tuple[str, dict[str, str]]] = []
    original = Door.send

    def send(self: Door, method: str, path: str, **named: object) -> object:
        if method == "GET":
            calls.append((path, dict(named.get("params") or {})))  # type: ignore[call-overload]
        return original(self, method, path, **named)  # type: ignore[arg-type]

    Door.send = send  # type: ignore[method-assign,assignment]
    try:
        export(url, key, fingerprint)
    finally:
        Door.send = original  # type: ignore[method-assign]
    return calls


def measure_one(variant: str, url: str, folder: Path) -> None:
    """The child: run one variant and print its seconds, peak growth and size as JSON."""
    key, fingerprint = (folder / "key.asc").read_bytes(), (folder / "fingerprint").read_text()
    calls = [(path, params) for path, params in json.loads((folder / "calls.json").read_text())]
    before = peak_bytes()
    started = time.perf_counter()
    read = 0.0
    if variant == "export":
        size, read = export_in_phases(url, key, fingerprint)
    else:
        size = floor(url, calls) if variant == "floor" else sequential(url, key, fingerprint)
    seconds = time.perf_counter() - started
    figures = {"seconds": seconds, "grown_bytes": peak_bytes() - before, "size_bytes": size, "read_seconds": read}
    print(json.dumps(figures))


def peak_bytes() -> int:
    """This process's peak memory so far. (``getrusage`` would count its parent's before the exec.)"""
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


@contextlib.contextmanager
def vault_of(count: int) -> Iterator[str]:
    """The sandbox's vault with ``count`` generated secrets."""
    port = free_port()
    argv = [sys.executable, "-m", "raxx_bcp_sandbox.infisical", "--port", str(port)]
    child = subprocess.Popen([*argv, "--seed", "scale", "--secrets", str(count)])
    url = f"http://127.0.0.1:{port}"
    try:
        for _attempt in range(600):
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{url}/_sandbox/faults", timeout=5).ok:
                    break
            time.sleep(0.05)
        yield url
    finally:
        child.terminate()
        child.wait()


def compare(count: int, runs: int, folder: Path) -> dict[str, dict[str, float]]:
    """Medians of ``runs`` counted runs of each variant, after one warm-up."""
    key, fingerprint = (folder / "key.asc").read_bytes(), (folder / "fingerprint").read_text()
    results: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    with vault_of(count) as url:
        (folder / "calls.json").write_text(json.dumps(recorded_calls(url, key, fingerprint)))
        for run in range(runs + 1):
            for variant in VARIANTS:
                argv = [sys.executable, __file__, "--child", variant, "--url", url, "--folder", str(folder)]
                printed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
                if run:
                    results[variant].append(json.loads(printed))
    medians = {
        variant: {name: statistics.median(one[name] for one in measured) for name in measured[0]}
        for variant, measured in results.items()
    }
    for other in ("floor", "sequential"):
        pairs = zip(results["export"], results[other], strict=True)
        medians["export"][f"vs_{other}"] = statistics.median(ours["seconds"] / its["seconds"] for ours, its in pairs)
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secrets", type=int, nargs="+", default=[300, 50_000])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", choices=VARIANTS)
    parser.add_argument("--url")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.child:
        measure_one(asked.child, asked.url, asked.folder)
        return
    names = ("RAXX_SANDBOX", "RAXX_SANDBOX_ORG_ADMIN", "RAXX_SANDBOX_RESTORE")
    os.environ.update({f"{name}_CLIENT_{part}": secrets.token_hex(16) for name in names for part in ("ID", "SECRET")})
    growth = []
    with tempfile.TemporaryDirectory(prefix="rb-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o700)
        operator = make_key()
        (folder / "key.asc").write_text(operator.public)
        (folder / "fingerprint").write_text(operator.fingerprint)
        for count in asked.secrets:
            medians = compare(count, asked.runs, folder)
            print(f"\n{count} secrets (medians of {asked.runs} runs, each in its own process)")
            for variant, figures in medians.items():
                print(
                    f"  {variant:<11}{figures['seconds']:>8.3f} s   memory +{figures['grown_bytes'] / 1e6:>7.1f} MB"
                    f"   {figures['size_bytes'] / 1e6:>7.2f} MB"
                )
            read = medians["export"]["read_seconds"]
            print(
                f"  of the export, reading and gate {read:.3f} s ({read / medians['floor']['seconds']:.2f} x floor), "
                f"encryption {medians['export']['seconds'] - read:.3f} s"
            )
            print(
                f"  ratios, run by run: export / floor {medians['export']['vs_floor']:.2f}, "
                f"export / sequential {medians['export']['vs_sequential']:.2f}"
            )
            growth.append((medians["export"]["size_bytes"], medians["export"]["grown_bytes"]))
    if len(growth) > 1:
        (small, low), (large, high) = growth[0], growth[-1]
        print(f"\nmemory: {(high - low) / (large - small):.2f} bytes more per byte of document")


if __name__ == "__main__":
    main()
