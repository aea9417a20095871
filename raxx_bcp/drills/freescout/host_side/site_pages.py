"""Asks a restored FreeScout's pages on its own host: for attachments by their links, and for a login that must fail.

Every request goes to the host's own loopback, whatever the name in the address: TLS's server name and the Host header
select the right site, and no redirect is followed. A copy has no name of its own, and its certificate is production's
or has expired, so it is not verified. The login page answers 200 with its database down, so it proves nothing; a login
attempt must look the address up. Tokens are made here and reach curl on its standard input: they are never on a command
line, and never leave the host.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from raxx_bcp.drills.freescout.host_side.site_files import NoAnswerError, Site, size_on_disk

HMAC_TOKENS = 3
"""``attachments.token_type`` of links whose token is an HMAC (Attachment::getToken of FreeScout); others have MD5."""
NOBODY = "restore-drill@raxx.invalid"
"""An address that no user can have (RFC 2606)."""
_LINKED = (
    "SELECT id, COALESCE(size, 0), HEX(COALESCE(file_dir, '')), HEX(file_name) FROM attachments"
    " WHERE ({kind}) = {newer} AND size > 0 ORDER BY id DESC LIMIT 20"
)
_ANSWER_SECONDS = 30
_PLAIN = re.compile("plain HTTP|HTTP request to an HTTPS")
"""Part of the answer of nginx, Apache and servers in Go to a plain request where they expect TLS."""
_CSRF = re.compile(r'name="_token"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="_token"|csrf-token" content="([^"]+)"')
_COOKIE = re.compile(r"^set-cookie:\s*([^=;\s]+=[^;\s]*)", re.IGNORECASE | re.MULTILINE)


class Answer:
    """What curl reported. ``status`` is 0 when nothing answered; ``ended`` is curl's own exit code."""

    def __init__(self, status: int = 0, size: int = 0, address: str = "", text: str = "", ended: int = 0) -> None:
        self.status = status
        self.size = size
        leads_to = urlsplit(address)
        self.path = leads_to.path
        """The redirect's target, without the host."""
        self.origin = f"{leads_to.scheme}://{leads_to.netloc}" if address else ""
        """The site of that page: ``https://name``, with the port where it is not the usual one."""
        self.text = text
        self.ended = ended


class Browser:
    """Asks the site ``url`` (``https://name``) at this machine's ``port``."""

    def __init__(self, url: str, port: int, program: Sequence[str] = ("curl",)) -> None:
        self.base = url
        self._port = port
        self._program = (*program, "-K", "-")

    def ask(self, path: str, *, form: str = "", headers: Sequence[str] = (), keep: bool = False) -> Answer:
        """One request; ``keep`` gives its text too, headers included."""
        lines = [
            "silent",
            f'url = "{self.base}{path}"',
            f'connect-to = "::127.0.0.1:{self._port}"',
            'noproxy = "*"',
            "insecure",
            f"max-time = {_ANSWER_SECONDS}",
            *(f'header = "{_escaped(each)}"' for each in headers),
            'write-out = "\\n%{http_code} %{size_download} %{redirect_url}"',
        ]
        lines += ["include"] if keep else ['output = "/dev/null"']
        lines += [f'data = "{form}"'] if form else []
        done = subprocess.run(self._program, input="\n".join(lines).encode(), capture_output=True, check=False)
        text, _newline, told = done.stdout.decode(errors="replace").rpartition("\n")
        status, size, address, *_none = *told.split(" ", 2), "", "", ""
        if done.returncode != 0 or not status.isdigit():
            return Answer(ended=done.returncode)
        return Answer(int(status), int(size), address, text if keep else "")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def links(site: Site, browser: Browser) -> list[dict[str, Any]]:
    """One attachment by its link for each kind of token. Raises ``NoAnswerError``."""
    kind = f"COALESCE(token_type, 0) = {HMAC_TOKENS}" if site.has("attachments", "token_type") else "FALSE"
    told = []
    for newer in (False, True):
        found = [_Row(*row) for row in site.rows(_LINKED.format(kind=kind, newer=newer))]
        for row in ([one for one in found if one.is_there(site)] or found)[:1]:
            query = urlencode({"id": row.number, "token": row.token(site.app_key, newer=newer)})
            answer = browser.ask(f"/storage/attachment/{quote(row.path, safe='/')}?{query}")
            answered = {"status": answer.status, "size": answer.size, "expected": int(row.size)}
            told.append({"token": "hmac" if newer else "md5", **answered})
    return told


class _Row:
    """One row of ``attachments``."""

    def __init__(self, number: str, size: str, directory: str, name: str) -> None:
        self.number = number
        self.size = size
        self._name = bytes.fromhex(name)
        self.path = bytes.fromhex(directory) + self._name

    def is_there(self, site: Site) -> bool:
        return size_on_disk(site.root, self.path) == int(self.size)

    def token(self, app_key: str, *, newer: bool) -> str:
        """What FreeScout puts into its link."""
        if newer:
            text = f"{self.number}{self.size}".encode() + self._name
            return hmac.new(app_key.encode(), text, hashlib.sha256).hexdigest()
        return hashlib.md5(f"{app_key}{self.number}{self.size}".encode(), usedforsecurity=False).hexdigest()


def login(browser: Browser) -> dict[str, Any]:
    """The login page, and the answer to an unknown address: a redirect to the page, if the database was asked.

    ``origin``, ``ended`` and ``plain`` are of the page: where it redirects to, curl's exit code, and whether a server
    that speaks TLS says that the request was plain.
    """
    page = browser.ask("/login", keep=True)
    told = {"page": page.status, "origin": page.origin, "ended": page.ended, "plain": bool(_PLAIN.search(page.text))}
    found = _CSRF.search(page.text)
    if page.status != 200 or not found:
        return {**told, "status": 0, "path": ""}
    form = {"_token": next(one for one in found.groups() if one), "email": NOBODY, "password": NOBODY}
    cookies = "; ".join(_COOKIE.findall(page.text))
    headers = (f"Cookie: {cookies}", f"Referer: {browser.base}/login")
    answer = browser.ask("/login", form=urlencode(form), headers=headers)
    return {**told, "status": answer.status, "path": answer.path}


def wait(browser: Browser, seconds: float) -> None:
    """Until the site answers anything, or the time is over: it may still be starting."""
    until = time.monotonic() + seconds
    while browser.ask("/login").status == 0 and time.monotonic() < until:
        time.sleep(0.5)


def report(directory: str, database: str, client: Sequence[str], url: str, port: int, patience_seconds: float) -> None:
    """Print the site's answers as one line of JSON. The caller has made sure that there is a key."""
    site, browser = Site(directory, database, client), Browser(url, port)
    wait(browser, patience_seconds)
    try:
        attachments: list[dict[str, Any]] | None = links(site, browser)
    except NoAnswerError:
        attachments = None
    sys.stdout.write(json.dumps({"links": attachments, "login": login(browser)}) + "\n")
