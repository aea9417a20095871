"""How long a restore takes and how much memory, beside the bare write calls that it makes.

    python benchmarks/restore.py [--secrets 2000 50000] [--runs 5]

Everything runs on this machine against the sandbox's vault, each figure in a process of its own and into a
fresh, empty vault, the two in turn (A B A B …), so that the ratio holds when the machine's speed drifts:

- ``restore``: the document opened and checked, the target looked at, everything written, read back and
  compared item by item (and a login and logout);
- ``floor``: the very write calls of ``restore``, in the same order on one connection, their bodies made
  beforehand and their answers thrown away.

Decryption is left out: it is gpg's own time. Aims: restore ≤ 1.3 × floor, and memory that grows by at most
3 bytes per byte of document.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from raxx_bcp.clients.http import Answer, Door
from raxx_bcp.clients.infisical import Infisical
from raxx_bcp.clients.infisical_writer import InfisicalWriter
from raxx_bcp.vault import walk
from raxx_bcp.vault.document import PieceReader, pieces
from raxx_bcp.vault.opening import open_document
from raxx_bcp.vault.restore import Restored, restore
from raxx_bcp_sandbox.dagster_dev import free_port

NOW = datetime.now(UTC)
VARIANTS = ("restore", "floor")
IDENTITIES = ("RAXX_SANDBOX", "RAXX_SANDBOX_RESTORE")
Call = tuple[str, str, bytes, list[str]]
"""Method, path, body, and the ids that the recorded answer gave to what was made."""


def restored(url: str, plaintext: bytes) -> Restored:
    """Ours. Raises when anything differs: the time of a wrong restore is not a result."""
    login = os.environ["RAXX_SANDBOX_RESTORE_CLIENT_ID"], os.environ["RAXX_SANDBOX_RESTORE_CLIENT_SECRET"]
    with InfisicalWriter(url, *login) as writer:
        done = restore(open_document(plaintext), writer)
    if not done.ok:
        raise RuntimeError("the restore is not equal")
    return done


def floor(url: str, calls: list[Call]) -> int:
    """The same writes, nothing else. Ids of this vault replace the recorded ones."""
    session = requests.Session()
    session.trust_env = False  # as ours: the environment is not searched at each request
    login = {
        "clientId": os.environ["RAXX_SANDBOX_RESTORE_CLIENT_ID"],
        "clientSecret": os.environ["RAXX_SANDBOX_RESTORE_CLIENT_SECRET"],
    }
    token = session.post(f"{url}/api/v1/auth/universal-auth/login", json=login).json()["accessToken"]
    session.headers.update({"authorization": f"Bearer {token}", "content-type": "application/json"})
    ids: dict[str, str] = {}
    for method, path, body, made in calls:
        for recorded, here in ids.items():
            path, body = path.replace(recorded, here), body.replace(recorded.encode(), here.encode())
        answer = session.request(method, url + path, data=body)
        if answer.status_code != 200:
            raise RuntimeError(f"{method} {path}: {answer.status_code}")
        if made:
            ids.update({old: new for old, new in zip(made, ids_made(answer.json()), strict=True) if old != new})
    return len(calls)


def ids_made(answer: dict[str, Any]) -> list[str]:
    """The ids of a new project or tag: what later calls name."""
    return [str(answer[kind]["id"]) for kind in ("project", "tag") if kind in answer]


def recorded_calls(url: str, plaintext: bytes) -> list[Call]:
    """The write calls that ``restore`` makes, in order."""
    calls: list[Call] = []
    original = Door.send

    def send(self: Door, method: str, path: str, **named: Any) -> Answer:
        answer = original(self, method, path, **named)
        if named.get("body") is not None:
            calls.append((method, path, named["body"], ids_made(json.loads(answer.body))))
        return answer

    Door.send = send  # type: ignore[method-assign]
    try:
        restored(url, plaintext)
    finally:
        Door.send = original  # type: ignore[method-assign]
    return calls


def peak_bytes() -> int:
    """This process's peak memory so far. (``getrusage`` would count its parent's before the exec.)"""
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def measure_one(variant: str, url: str, folder: Path) -> None:
    """The child: run one variant and print its seconds and peak growth as JSON."""
    calls: list[Call] = []
    plaintext = b""
    before = peak_bytes()
    if variant == "floor":
        saved = json.loads((folder / "calls.json").read_text())
        calls = [(method, path, base64.b64decode(body), made) for method, path, body, made in saved]
    else:
        plaintext = (folder / "document.json").read_bytes()
    started = time.perf_counter()
    number = floor(url, calls) if variant == "floor" else restored(url, plaintext).written.calls
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "grown_bytes": peak_bytes() - before, "calls": number}))


@contextlib.contextmanager
def vault_of(*seed: str) -> Iterator[str]:
    """The sandbox's vault with this seed, in a process of its own."""
    port = free_port()
    child = subprocess.Popen([sys.executable, "-m", "raxx_bcp_sandbox.infisical", "--port", str(port), "--seed", *seed])
    url = f"http://127.0.0.1:{port}"
    try:
        for _attempt in range(600):
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{url}/api/status", timeout=5).ok:
                    break
            time.sleep(0.05)
        yield url
    finally:
        child.terminate()
        child.wait()


def exported(url: str) -> bytes:
    """The document that an export of the vault would encrypt."""
    login = os.environ["RAXX_SANDBOX_CLIENT_ID"], os.environ["RAXX_SANDBOX_CLIENT_SECRET"]
    with Infisical(url, *login) as vault:
        found = walk.survey(vault, walk.memberships(vault), concurrency=4, progress=lambda _message: None)
    return PieceReader(pieces(found, "2026-01-01", NOW, NOW)).read()


def compare(count: int, runs: int, folder: Path) -> dict[str, dict[str, float]]:
    """Medians of ``runs`` counted runs of each variant, after one warm-up."""
    with vault_of("scale", "--secrets", str(count)) as url:
        plaintext = exported(url)
    (folder / "document.json").write_bytes(plaintext)
    with vault_of("empty") as url:
        calls = recorded_calls(url, plaintext)
    rows = [(method, path, base64.b64encode(body).decode(), made) for method, path, body, made in calls]
    (folder / "calls.json").write_text(json.dumps(rows))
    results: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for run in range(runs + 1):
        for variant in VARIANTS:
            with vault_of("empty") as url:
                argv = [sys.executable, __file__, "--child", variant, "--url", url, "--folder", str(folder)]
                printed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
            if run:
                results[variant].append(json.loads(printed))
    medians = {
        variant: {name: statistics.median(one[name] for one in measured) for name in measured[0]}
        for variant, measured in results.items()
    }
    pairs = zip(results["restore"], results["floor"], strict=True)
    medians["restore"]["vs_floor"] = statistics.median(ours["seconds"] / its["seconds"] for ours, its in pairs)
    medians["restore"]["document_bytes"] = len(plaintext)
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secrets", type=int, nargs="+", default=[2_000, 50_000])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", choices=VARIANTS)
    parser.add_argument("--url")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.child:
        measure_one(asked.child, asked.url, asked.folder)
        return
    os.environ.update(
        {f"{name}_CLIENT_{part}": secrets.token_hex(16) for name in IDENTITIES for part in ("ID", "SECRET")}
    )
    growth = []
    with tempfile.TemporaryDirectory(prefix="rb-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o700)
        for count in asked.secrets:
            medians = compare(count, asked.runs, folder)
            ours = medians["restore"]
            print(f"\n{count} secrets, {ours['calls']:.0f} write calls (medians of {asked.runs} runs)")
            for variant, figures in medians.items():
                print(f"  {variant:<9}{figures['seconds']:>8.3f} s   memory +{figures['grown_bytes'] / 1e6:>7.1f} MB")
            print(f"  ratio, run by run: restore / floor {ours['vs_floor']:.2f}")
            print(f"  document {ours['document_bytes'] / 1e6:.2f} MB")
            growth.append((ours["document_bytes"], ours["grown_bytes"]))
    if len(growth) > 1:
        (small, low), (large, high) = growth[0], growth[-1]
        print(f"\nmemory: {(high - low) / (large - small):.2f} bytes more per byte of document")


if __name__ == "__main__":
    main()
