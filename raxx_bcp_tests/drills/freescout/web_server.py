"""A real nginx before the site's stand-in: HTTPS under a canonical name, another site for every other name."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from raxx_bcp_sandbox.dagster_dev import free_port

NAME = "help.raxx.invalid"
"""A name that no DNS knows (RFC 2606)."""
_CONFIG = """\
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/site.crt;
    ssl_certificate_key {folder}/site.key;
    server {{ listen 127.0.0.1:{tls} ssl default_server; server_name _; return 404; }}
    server {{
        listen 127.0.0.1:{tls} ssl;
        server_name {name};
        if ($ssl_server_name != {name}) {{ return 421; }}
        location / {{ proxy_pass http://127.0.0.1:{site}; proxy_set_header Host $host; }}
    }}
    server {{ listen 127.0.0.1:{plain}; return 301 https://{name}$request_uri; }}
}}
"""


@dataclass(frozen=True)
class WebServer:
    """Its ports: with TLS, and one that sends everybody to the canonical name."""

    tls: int
    plain: int


@contextlib.contextmanager
def web_server(folder: Path, site: int) -> Iterator[WebServer]:
    """In front of the site that listens at port ``site``."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/opt/homebrew/bin:/usr/local/bin")
    if program is None:
        pytest.skip("no nginx: install it to run the tests of a site on HTTPS (Debian: apt-get install nginx-light)")
    folder.mkdir()
    _certificate(folder)
    made = WebServer(free_port(), free_port())
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, name=NAME, site=site, tls=made.tls, plain=made.plain))
    process = subprocess.Popen([program, "-p", folder, "-e", folder / "error.log", "-c", config])
    try:
        _await(made.tls)
        yield made
    finally:
        process.terminate()
        process.wait()


def _certificate(folder: Path) -> None:
    """Nobody's but its own, and of another name than the site's: as on a copy whose certificate has run out."""
    files = ("-keyout", folder / "site.key", "-out", folder / "site.crt")
    subject = ("-subj", "/CN=another.raxx.invalid", "-days", "1")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files], capture_output=True, check=True
    )


def _await(port: int) -> None:
    for _attempt in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)  # a real process is being waited for
    raise AssertionError("nginx does not listen")
