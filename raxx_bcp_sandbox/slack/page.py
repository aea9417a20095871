"""The sink's page: what the on-call person would have read, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from raxx_bcp_sandbox.slack.blocks import texts
from raxx_bcp_sandbox.slack.mrkdwn import plain, render

REFRESH_SECONDS = 3

# No scripts, no images, no external content: messages are shown, never run or fetched.
SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.46 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.1rem; margin: 0; } header p, time, .context, .mention { color: GrayText; }
header p { margin: .2rem 0 1.5rem; }
article { border-top: 1px solid color-mix(in srgb, CanvasText 15%, transparent); padding: .8rem 0; }
time, .context { font-size: .85rem; } article h2 { font-size: 1.1rem; margin: .3rem 0; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: .3rem 1rem; }
code, pre { font: 13px/1.4 ui-monospace, monospace; background: color-mix(in srgb, CanvasText 8%, transparent); }
code { padding: .1em .3em; border-radius: 3px; } pre { padding: .5rem; border-radius: 4px; overflow-x: auto; }
q { quotes: none; display: block; border-left: 3px solid GrayText; padding-left: .6rem; }
.active { color: #c33; }
"""


def page(messages: Iterable[Mapping[str, Any]], active_faults: Iterable[str]) -> str:
    """The whole page."""
    newest_first = list(messages)[::-1]
    faults = ", ".join(plain(name) for name in active_faults)
    broken = f' <strong class="active">Broken now: {faults}.</strong>' if faults else ""
    articles = "\n".join(_article(message) for message in newest_first) or "<p>No message has arrived yet.</p>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Slack sandbox ({len(newest_first)})</title>
<meta http-equiv="refresh" content="{REFRESH_SECONDS}"><style>{_STYLE}</style></head>
<body><header><h1>Slack sandbox</h1>
<p>What the bot has posted on this machine, newest first. Nothing leaves it.{broken}</p></header>
{articles}
</body></html>
"""


def _article(message: Mapping[str, Any]) -> str:
    when, channel = plain(str(message["received_utc"])), plain(str(message["channel"]))
    thread = " · in a thread" if message.get("thread_ts") else ""
    blocks = message.get("blocks") or []
    body = "".join(_block(block) for block in blocks) or _text(str(message.get("text") or ""))
    attachments = "".join(_text(text) for text in texts(message.get("attachments") or []))
    return f'<article><time datetime="{when}">{when}</time> · {channel}{thread}\n{body}{attachments}</article>'


def _block(block: Mapping[str, Any]) -> str:
    kind = block.get("type")
    if kind == "divider":
        return "<hr>"
    if kind == "header":
        return f"<h2>{_inner(block.get('text'))}</h2>"
    if kind == "section":
        text = f'<div class="text">{_inner(block["text"])}</div>' if block.get("text") else ""
        fields = "".join(f'<div class="text">{_inner(each)}</div>' for each in block.get("fields") or [])
        return text + (f'<div class="fields">{fields}</div>' if fields else "")
    if kind == "context":
        elements = " ".join(_inner(each) for each in block.get("elements") or [])
        return f'<div class="text context">{elements}</div>'
    return "".join(_text(text) for text in texts(dict(block))) or f'<div class="context">[{plain(str(kind))}]</div>'


def _inner(value: Any) -> str:
    if not isinstance(value, Mapping):
        return ""
    text = str(value.get("text") or value.get("alt_text") or "")
    return render(text) if value.get("type") == "mrkdwn" else plain(text)


def _text(text: str) -> str:
    return f'<div class="text">{render(text)}</div>'
