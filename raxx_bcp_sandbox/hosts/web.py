"""curl as far as an instance needs it: one request over HTTP, to the instance itself or to the outside world.

The outside world is one address: FreeScout's releases at GitHub, which the sandbox makes itself. No request ever goes
to the real one. Exit codes and the write-out variables are curl's.
"""

from __future__ import annotations

import argparse
import http.client
import ipaddress
import re
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.hosts.answer import Answer
from raxx_bcp_sandbox.hosts.machine import Machine

BLOCKED_SECONDS: Final = 0.1
"""How long a program here waits after a dropped packet."""
_USAGE, _MALFORMED, _RESOLVE, _CONNECT, _HTTP_ERROR, _WRITE, _TIMEOUT, _REDIRECTS, _EMPTY = (
    2,
    3,
    6,
    7,
    22,
    23,
    28,
    47,
    52,
)
_PORTS: Final = {"http": 80, "https": 443}
_OWN: Final = ("127.0.0.1", "localhost")
_RELEASE: Final = re.compile(
    r"https://github\.com/freescout-help-desk/freescout/archive/refs/tags/(\d+(?:\.\d+)*)\.tar\.gz"
)
_CONFIG_LINE: Final = re.compile(r'-{0,2}([A-Za-z][\w-]*)(?:\s*[=:]\s*|\s+|$)(?:"((?:[^"\\]|\\.)*)"|(.*))')
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}
_CONNECT_TO: Final = re.compile(r"::([\w.-]+):(\d{1,5})")
_VARIABLE: Final = re.compile(r"%\{(\w+)\}")
_ILLEGAL: Final = re.compile(r"[\x00-\x20\x7f]")
_MOST_REDIRECTS: Final = 50
_FAILS_FROM: Final = 400


class CurlError(Exception):
    """curl's exit code and message."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CurlError(_USAGE, message)


@dataclass
class Page:
    """The answer."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    redirect: str = ""
    """The target of a redirect."""

    @property
    def type(self) -> str:
        """The content type."""
        return next((value for name, value in self.headers if name.lower() == "content-type"), "")


def seen_by(machine: Machine, host: str) -> str:
    """The address of ``host`` on this instance: its loopback is the instance's own address."""
    return machine.address if host in _OWN else host


def curl(machine: Machine, arguments: list[str], given: bytes, directory: Path) -> Answer:
    """Carry out one command line; ``given`` is its standard input, relative paths start at ``directory``."""
    page, words, code = Page(), "", 0
    options = argparse.Namespace(silent=False, show_error=False, fail=False, write_out="", output=None, include=False)
    try:
        options = _options(arguments, given)
        page = _fetch(machine, options)
    except CurlError as error:
        words, code = f"curl: ({error.code}) {error}\n", error.code
    if not code and options.fail and page.status >= _FAILS_FROM:
        words, code = f"curl: ({_HTTP_ERROR}) The requested URL returned error: {page.status}\n", _HTTP_ERROR
        page.body = b""
    out = (_head(page) if options.include else b"") + page.body
    if options.output not in (None, "-"):
        try:
            (directory / options.output).write_bytes(out)
        except OSError as error:
            words, code = f"curl: ({_WRITE}) {error.strerror}\n", _WRITE
        out = b""
    shown = words if not options.silent or options.show_error else ""
    return Answer(out + _written_out(options.write_out or "", page, code), shown.encode(), code)


def _options(arguments: list[str], given: bytes) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.config is not None:
        if options.config != "-":
            raise CurlError(_USAGE, "only -K - is there on this host")
        options = parser.parse_args([*arguments, *_config(given.decode())])
    options.url = [*options.url, *options.urls]
    if len(options.url) != 1:
        raise CurlError(_USAGE, "give one URL")
    return options


def _parser() -> _Parser:
    parser = _Parser(prog="curl", add_help=False, allow_abbrev=False)
    for flags in (
        ("-s", "--silent"),
        ("-S", "--show-error"),
        ("-f", "--fail"),
        ("-L", "--location"),
        ("-i", "--include"),
        ("-k", "--insecure"),
    ):
        parser.add_argument(*flags, action="store_true")
    parser.add_argument("-G", "--get", action="store_true")
    parser.add_argument("-o", "--output")
    parser.add_argument("-w", "--write-out")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-X", "--request")
    parser.add_argument("-d", "--data", "--data-raw", "--data-binary", dest="data", action="append", default=[])
    parser.add_argument("--data-urlencode", action="append", default=[])
    parser.add_argument("-m", "--max-time", type=float, default=30.0)
    parser.add_argument("--connect-timeout", type=float)
    parser.add_argument("--noproxy")
    parser.add_argument("--connect-to")
    parser.add_argument("-K", "--config")
    parser.add_argument("--url", dest="url", action="append", default=[])
    parser.add_argument("urls", nargs="*")
    return parser


def _config(text: str) -> list[str]:
    """The lines of a config file as arguments (curl's manual, ``--config``)."""
    arguments: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _CONFIG_LINE.fullmatch(stripped)
        if match is None:
            raise CurlError(_USAGE, "a line of the config is wrong")
        name, quoted, plain = match.groups()
        value = (
            re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), quoted) if quoted is not None else plain
        )
        flag = f"-{name}" if len(name) == 1 else f"--{name}"
        arguments += (
            [flag] if not value and quoted is None else [flag, value] if len(name) == 1 else [f"{flag}={value}"]
        )
    return arguments


def _fetch(machine: Machine, options: argparse.Namespace) -> Page:
    method = options.request or ("POST" if options.data or options.data_urlencode else "GET")
    data = "&".join([*options.data, *map(_encoded, options.data_urlencode)])
    url = options.url[0]
    if options.get and data:
        url, data, method = f"{url}{'&' if '?' in url else '?'}{data}", "", options.request or "GET"
    deadline = time.monotonic() + options.max_time
    for _ in range(_MOST_REDIRECTS):
        page = _one(machine, options, method, url, data.encode() or None, deadline)
        if not options.location or not page.redirect:
            return page
        url, data, method = page.redirect, "", "GET"
    raise CurlError(_REDIRECTS, f"Maximum ({_MOST_REDIRECTS}) redirects followed")


def _encoded(text: str) -> str:
    name, equals, value = text.partition("=")
    return f"{name}{equals}{urllib.parse.quote(value, safe='')}"


def _one(
    machine: Machine, options: argparse.Namespace, method: str, url: str, data: bytes | None, deadline: float
) -> Page:
    if _ILLEGAL.search(url):
        raise CurlError(_MALFORMED, "URL using bad/illegal format or missing URL")
    parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise CurlError(_USAGE, "the URL is not one of HTTP")
    host, port = _connected(options, parts.hostname, parts.port or _PORTS[parts.scheme])
    address = seen_by(machine, host)
    if not machine.lets_out(address, port):
        if machine.refuses(address, port):  # and so is the query to the name server
            raise _refused(parts.hostname, port) if _is_address(address) else _unresolved(parts.hostname)
        time.sleep(min(options.max_time, BLOCKED_SECONDS))
        raise CurlError(_TIMEOUT, f"Connection timed out after {int(options.max_time * 1000)} milliseconds")
    if address != machine.address:
        return _outside(url, parts.hostname)
    connection = http.client.HTTPConnection(
        address, port, timeout=max(0.05, deadline - time.monotonic()), source_address=(address, 0)
    )
    path = _bytes_only(urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")))
    try:
        connection.request(method, path, body=data, headers=_headers(options, parts.netloc, data))
        answer = connection.getresponse()
        page = Page(answer.status, answer.getheaders(), answer.read())
    except TimeoutError:
        raise CurlError(_TIMEOUT, "Operation timed out") from None
    except http.client.HTTPException:
        raise CurlError(_EMPTY, "Empty reply from server") from None
    except OSError:
        raise _refused(parts.hostname, port) from None
    finally:
        connection.close()
    location = answer.getheader("location")
    page.redirect = urllib.parse.urljoin(url, location) if location and 300 <= page.status < 400 else ""
    return page


def _connected(options: argparse.Namespace, host: str, port: int) -> tuple[str, int]:
    """Where curl connects to.

    Only one form of ``--connect-to`` is supported, the one for every address: ``::HOST:PORT``.
    """
    if options.connect_to is None:
        return host, port
    match = _CONNECT_TO.fullmatch(options.connect_to)
    if match is None:
        raise CurlError(_USAGE, "only --connect-to ::HOST:PORT is there on this host")
    return match[1], int(match[2])


def _refused(host: str, port: int) -> CurlError:
    return CurlError(_CONNECT, f"Failed to connect to {host} port {port}: Connection refused")


def _unresolved(host: str) -> CurlError:
    return CurlError(_RESOLVE, f"Could not resolve host: {host}")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _bytes_only(path: str) -> str:
    """curl sends non-ASCII characters as raw bytes, which servers read as if they were encoded."""
    return urllib.parse.quote(path, safe="".join(map(chr, range(0x21, 0x7F))))


def _headers(options: argparse.Namespace, host: str, data: bytes | None) -> dict[str, str]:
    headers = {"Host": host, "User-Agent": "curl/7.81.0", "Accept": "*/*"}
    if data is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    for each in options.header:
        name, _colon, value = each.partition(":")
        known = next((given for given in headers if given.lower() == name.strip().lower()), name.strip())
        headers[known] = value.strip()
    return headers


def _outside(url: str, host: str) -> Page:
    release = _RELEASE.fullmatch(url)
    if release is None:
        raise _unresolved(host)
    return Page(200, [("content-type", "application/x-gzip")], freescout.code_archive(release.group(1)))


def _head(page: Page) -> bytes:
    lines = [f"HTTP/1.1 {page.status} {http.client.responses.get(page.status, '')}"]
    lines += [f"{name}: {value}" for name, value in page.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _written_out(form: str, page: Page, code: int) -> bytes:
    values = {
        "http_code": f"{page.status:03}",
        "response_code": f"{page.status:03}",
        "size_download": str(len(page.body)),
        "redirect_url": page.redirect,
        "content_type": page.type,
        "exitcode": str(code),
    }
    text = _VARIABLE.sub(lambda found: values.get(found[1], ""), form)
    return re.sub(r"\\([nrt])", lambda found: _ESCAPES[found[1]], text).encode()
