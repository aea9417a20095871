"""A client for a JSON-over-HTTP service: connection reuse, bounded retries, and errors in one sentence."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from raxx_bcp.clients.decoding import decoded, emptied
from raxx_bcp.clients.retries import AwayError, BusyError, RateLimitedError, Repeat, Repeater, UnconnectedError
from raxx_bcp.errors import PermanentError, UsageError

if TYPE_CHECKING:
    import requests  # imported on first use at run time: Dagster loads this module long before it sends anything

T = TypeVar("T")
CONNECT_TIMEOUT_SECONDS: Final = 10.0
_BUSY_STATUSES: Final = {429: RateLimitedError, 500: BusyError, 502: AwayError, 503: AwayError, 504: AwayError}
_UNCONNECTED: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to its host",
    errno.ENETUNREACH: "its network is unreachable",
}
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class _ErrorBody(msgspec.Struct):
    message: Any = ""
    error: str = ""
    reqId: str | None = None  # noqa: N815 - the vendor's spelling


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: ``status``, the whole ``body`` in memory, and the parts of an error."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = ""
    retry_after_seconds: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Every header of the answer; names are case-insensitive."""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def decoded(self, kind: type[T]) -> T | None:
        """The body as ``kind``, or None when it is anything else: see ``decoding.decoded``."""
        return decoded(self.body, kind)

    def error(self) -> _ErrorBody:
        """The ``{message, error}`` of an error answer; empty for any other body, such as HTML."""
        return self.decoded(_ErrorBody) or _ErrorBody()


class Door:
    """Requests to one base URL. Thread-safe: every thread keeps its own pooled session.

    By default it repeats only ``GET``, by the rule of ``raxx_bcp.clients.retries``. It never follows redirects,
    since they could carry the token away.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        timeout_seconds: float,
        attempts: int = 4,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._timeout = (CONNECT_TIMEOUT_SECONDS, timeout_seconds)
        service = f"{name.replace('The ', 'the ', 1)} at {self.base_url}"
        self._repeater = Repeater(service, attempts=attempts, sleep=sleep, clock=clock)
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()
        _refuse_clear_text(name, self.base_url)

    def close(self) -> None:
        """Close every pooled connection."""
        with self._lock:
            for session in self._sessions:
                session.close()
            self._sessions.clear()
        self._local = threading.local()

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        retry: bool | None = None,
        retry_undone: bool = False,
    ) -> Answer:
        """Send one request and return the answer, whatever its status.

        ``json`` is encoded here; ``body`` is JSON that the caller encoded (and measured).

        Raises ``TransientError`` when the service cannot be reached, or still answers with a transient
        status after the last attempt (``RateLimitedError`` for 429). ``retry`` defaults to True for ``GET``
        only. ``retry_undone`` repeats a request only after what certainly did nothing: no connection, or a 429
        of a service that refuses before it does anything.
        """
        always = method == "GET" if retry is None else retry
        given = dict(headers or {})
        if body is not None:
            given["content-type"] = "application/json"
        repeat = Repeat.ANYTHING if always else Repeat.UNDONE if retry_undone else Repeat.NEVER
        return self._repeater.run(lambda: self._once(method, path, params, json, body, given), repeat)

    def _once(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        json: Any,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        from requests.exceptions import RequestException, SSLError
        from urllib3.exceptions import HTTPError

        try:
            response = self._session().request(
                method,
                self.base_url + path,
                params=params,
                json=json,
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            # One read of the whole body: requests' own .content joins 10 KiB pieces, which doubles the peak.
            content = response.raw.read(decode_content=True)
        except SSLError as error:
            cause = _cause(error)
            emptied(error)
            raise PermanentError(
                f"{self.name} at {self.base_url} did not show a certificate that is trusted here ({cause}).",
                "Renew its certificate, or point REQUESTS_CA_BUNDLE at the authority that signed it.",
            ) from None
        except (RequestException, OSError, HTTPError) as error:
            (kind, reason), cause = _trouble(error), _cause(error)
            emptied(error)  # it quotes a line that is not HTTP, which holds the request with its token
            raise kind(
                f"{self.name} at {self.base_url} cannot be reached ({cause}).",
                "Check that the host is up and reachable from here, then try again.",
                reason,
            ) from None
        answer = Answer(
            status=response.status_code,
            body=content,
            content_type=response.headers.get("content-type", ""),
            retry_after_seconds=_seconds(response.headers.get("retry-after")),
            headers=response.headers,
        )
        busy = _BUSY_STATUSES.get(answer.status)
        if busy is not None:
            raise busy(
                f"{self.name} answered {method} {path} with {answer.status}.",
                "It is overloaded, restarting or behind a failing proxy: look at its log, then try again.",
                f"it answers {answer.status}",
                answer.retry_after_seconds,
            )
        return answer

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            import requests
            from requests.adapters import HTTPAdapter

            session = requests.Session()
            # Proxies and certificate authorities of the environment are read once, not at each request. A .netrc,
            # which would replace our own authorization, is never read.
            found = session.merge_environment_settings(self.base_url, {}, None, None, None)
            session.proxies, session.verify, session.cert = found["proxies"], found["verify"], found["cert"]
            session.trust_env = False
            session.headers.update({"accept": "application/json"})
            session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=1))
            session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=1))
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


def _trouble(error: Exception) -> tuple[type[BusyError], str]:
    """Was there a connection at all? A request that was sent after that may have taken effect, whatever the answer."""
    from requests.exceptions import ConnectTimeout

    inner = _innermost(error)
    if isinstance(error, ConnectTimeout):
        return UnconnectedError, "it does not take the connection"
    if isinstance(inner, OSError) and inner.errno in _UNCONNECTED:
        return UnconnectedError, _UNCONNECTED[inner.errno]
    return BusyError, f"the connection failed ({type(inner).__name__})"


def _innermost(error: BaseException) -> BaseException:
    inner = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return inner


def _cause(error: BaseException) -> str:
    """The innermost reason, by class only: texts of URL errors can hold parts of a request."""
    return type(_innermost(error)).__name__


def _refuse_clear_text(name: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"The address of {name} is not an http(s) URL.", "Write it as https://host[:port].")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise UsageError(
            f"The address of {name} is plain http:// to {parts.hostname}: secrets would cross the network in clear.",
            "Use https://; plain http is accepted for loopback only.",
        )
    if parts.username or parts.password:
        raise UsageError(
            f"The address of {name} holds a user name or password.",
            "Give credentials in their own variables.",
        )
