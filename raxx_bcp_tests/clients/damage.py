"""Every way in which an answer is damaged on its way, and what must be true of a client that meets it.

An answer that a test damages holds ``MARK`` as its content. A client may end with one of our own errors, which holds
the mark nowhere; or it may have got what the undamaged answer gives. Anything else is a finding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from raxx_bcp.errors import BcpError
from raxx_bcp_tests.clients.leaks import everything_held
from raxx_bcp_tests.clients.servers import Reply, Served

MARK = "planted-4f1d-content"
_MARK = MARK.encode()
_NUMBER = re.compile(rb"(?<=[:\[,\s>])-?\d+(?:\.\d+)?(?=[,}\]\s<])")
_TIME = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| ?\+0000)?")
_TEXT_OF_XML = re.compile(rb">([^<>]+)</(LastModified|Size|IsLatest|Days|Status|MFADelete|KeyCount|MaxKeys)>")
_PAGE = f"<html><body><p>{MARK}</p></body></html>".encode()

Damage = Callable[[Reply], Reply]


def _other_kinds(value: Any) -> Any:
    """The same shape with each value of another kind."""
    if isinstance(value, dict):
        return {name: _other_kinds(one) for name, one in value.items()}
    if isinstance(value, list):
        return {MARK: value}
    if isinstance(value, str):
        return 7
    return [MARK]


def _as_other_kinds(reply: Reply) -> Reply:
    try:
        return replace(reply, body=json.dumps(_other_kinds(json.loads(reply.body))).encode())
    except ValueError:
        return replace(reply, body=_TEXT_OF_XML.sub(rb">%s</\2>" % _MARK, reply.body))


def _doubled(reply: Reply) -> Reply:
    """An unknown key, twice: what it means is nobody's business."""
    return replace(reply, body=re.sub(rb"^\{(?=.)", b'{"%s":1,"%s":2,' % (_MARK, _MARK), reply.body))


def _body(body: bytes, status: int = 200, content_type: str = "") -> Damage:
    return lambda reply: replace(
        reply, body=body, status=status, content_type=content_type or reply.content_type, headers={}
    )


def _status(status: int, **headers: str) -> Damage:
    return lambda reply: replace(reply, status=status, headers={**reply.headers, **headers})


def _in_body(change: Callable[[bytes], bytes]) -> Damage:
    return lambda reply: replace(reply, body=change(reply.body))


DAMAGES: Mapping[str, Damage] = {
    "no UTF-8": _in_body(lambda body: body.replace(_MARK, _MARK[:7] + b"\xff\xfe" + _MARK[7:])),
    "UTF-16": _in_body(lambda body: body.decode().encode("utf-16")),
    "first half": _in_body(lambda body: body[: len(body) // 2]),
    "without its last byte": _in_body(lambda body: body.rstrip()[:-1]),
    "without its first byte": _in_body(lambda body: body[1:]),
    "empty": _body(b""),
    "a page": _body(_PAGE, content_type="text/html"),
    "a page that says it is JSON": _body(_PAGE),
    "a text": _body(b'"%s"' % _MARK),
    "a list of a text": _body(b'["%s"]' % _MARK),
    "a list of lists": _body(b'[["%s"]]' % _MARK),
    "null": _body(b"null"),
    "another object": _body(b'{"%s": "%s"}' % (_MARK, _MARK)),
    "another message": _body(b'{"message": ["%s"], "error": {"a": "%s"}, "id": 7}' % (_MARK, _MARK)),
    "other kinds of values": _as_other_kinds,
    "not a number": _in_body(lambda body: _NUMBER.sub(b"NaN", body) if _NUMBER.search(body) else b"NaN"),
    "numbers without end": _in_body(
        lambda body: _NUMBER.sub(b"9" * 5000, body) if _NUMBER.search(body) else b"9" * 5000
    ),
    "times before all time": _in_body(
        lambda body: _TIME.sub(b"0001-01-01T00:00:00+23:59", body) if _TIME.search(body) else b'"0001-01-01"'
    ),
    "times that are none": _in_body(
        lambda body: _TIME.sub(b"9999-99-99T99:99:99Z", body) if _TIME.search(body) else b'"9999-99-99"'
    ),
    "nested lists without end": _body(b"[" * 200_000 + _MARK),
    "nested objects without end": _body(b'{"%s":' % _MARK * 100_000),
    "nested elements without end": _body(b"<a>" * 50_000 + _MARK),
    "keys twice": _doubled,
    "a teapot": _status(418),
    "a teapot's page": _body(_PAGE, 418, "text/html"),
    "a page for a refusal": _body(_PAGE, 400, "text/html"),
    "a page instead of a login": _body(_PAGE, 401, "text/html"),
    "a page instead of a permission": _body(_PAGE, 403, "text/html"),
    "a page instead of a value": _body(_PAGE, 422, "text/html"),
    "a redirect": _status(302, location=f"http://127.0.0.1:9/{MARK}"),
    "a failing proxy": _body(_PAGE, 502, "text/html"),
    "busy with the content": _status(503),
    "too many": _status(429, **{"retry-after": MARK}),
    "cut in the middle": lambda reply: replace(reply, missing=max(1, len(reply.body) // 2)),
    "cut before the end of a chunk": lambda reply: replace(reply, chunked=True, missing=max(1, len(reply.body) // 2)),
    "a length that is none": _status(200, **{"content-length": MARK}),
    "not gzip": _status(200, **{"content-encoding": "gzip"}),
    "no HTTP": lambda reply: replace(reply, raw=_MARK * 3 + b"\r\n\r\n" + reply.body),
    "headers that are none": lambda reply: replace(
        reply, raw=b"HTTP/1.1 200 OK\r\n" + _MARK + b"\r\nno header\r\n\r\n" + reply.body
    ),
    "hung up": lambda reply: replace(reply, hang_up=True),
}


@dataclass(frozen=True)
class Call:
    """One call of a client. ``before`` is what is answered before the answer that is damaged.

    ``legitimate`` names damages that make another good answer of it, such as an object where any object is one.
    """

    name: str
    ask: Callable[[Served], object]
    answer: Reply
    before: tuple[Reply, ...] = ()
    after: tuple[Reply, ...] = ()
    legitimate: frozenset[str] = field(default_factory=frozenset)

    def undamaged(self, served: Served) -> object:
        return self._with(served, self.answer)

    def findings(self, served: Served, damages: Mapping[str, Damage] = DAMAGES) -> Iterator[str]:
        """What is wrong with what each damage makes of the call."""
        good = self.undamaged(served)
        for name, damage in damages.items():
            if name in self.legitimate:
                continue
            try:
                found = self._with(served, damage(self.answer))
            except BcpError as error:
                if MARK[:7] in everything_held(error):
                    yield f"{name}: the content is in {type(error).__name__}: {error}"
                if not error.what or not error.remedy:
                    yield f"{name}: {type(error).__name__} says nothing"
            except Exception as error:  # noqa: BLE001 - what the table is for
                yield f"{name}: {type(error).__name__} came through: {str(error)[:100]}"
            else:
                if found != good:
                    yield f"{name}: it was taken for {str(found)[:100]}"

    def _with(self, served: Served, answer: Reply) -> object:
        served.replies[:] = [*self.before, answer, *self.after]
        return self.ask(served)


def ids(calls: Sequence[Call]) -> list[str]:
    return [call.name for call in calls]
