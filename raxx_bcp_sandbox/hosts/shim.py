"""What each of an instance's own programs runs: it sends its command line to the machine and prints the answer.

A bare Python runs it as a file: it may import only the standard library.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
from pathlib import Path

SOCKET_VARIABLE = "RAXX_BCP_SANDBOX_HOST_SOCKET"
_READS_INPUT = ("-", "-K-", "@-")
_DOWN = 69


def main(name: str, arguments: list[str]) -> int:
    """Send the request, print the answer, and return the exit status."""
    given = sys.stdin.buffer.read() if any(each in _READS_INPUT for each in arguments) else b""
    request = {
        "name": name,
        "arguments": arguments,
        "directory": str(Path.cwd()),
        "pid": os.getpid(),
        "input": base64.b64encode(given).decode(),
    }
    try:
        answer = _ask(json.dumps(request).encode() + b"\n")
    except (OSError, ValueError):
        sys.stderr.write(f"{name}: the machine does not answer\n")
        return _DOWN
    sys.stderr.buffer.write(base64.b64decode(answer["err"]))
    sys.stderr.flush()
    try:
        sys.stdout.buffer.write(base64.b64decode(answer["out"]))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return int(answer["status"])


def _ask(request: bytes) -> dict[str, str]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect(os.environ.get(SOCKET_VARIABLE, ""))
        line.sendall(request)
        with line.makefile("rb") as answer:
            read: dict[str, str] = json.loads(answer.readline())
    return read


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
