"""Slack's mrkdwn as HTML, simply: everything is escaped, then a few marks become HTML."""

from __future__ import annotations

import html
import re

# What is set aside before the search for marks: code, and what a message puts between < and > (a link, a mention, or a
# date with its fallback).
_ASIDE = re.compile(r"```(?P<block>.+?)```|`(?P<code>[^`\n]+)`|<(?P<angle>[^<>\n]+)>", re.DOTALL)
_HELD = re.compile("\ue000([0-9]+)\ue001")
_EMOJI = re.compile(r":([a-z0-9_+-]+):")
_MARKS = tuple(
    (re.compile(rf"(?<![\w{mark}])\{mark}(?=\S)([^\n{mark}]*?\S)\{mark}(?![\w{mark}])"), tag)
    for mark, tag in (("*", "b"), ("_", "i"), ("~", "s"))
)
_QUOTE = re.compile(r"^&gt; ?(.*)$\n?", re.MULTILINE)

_EMOJIS = {
    "bell": "🔔",
    "heavy_check_mark": "✔️",
    "hourglass": "⌛",
    "information_source": "ℹ️",
    "large_green_circle": "🟢",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "no_entry": "⛔",
    "question": "❓",
    "red_circle": "🔴",
    "rotating_light": "🚨",
    "tada": "🎉",
    "warning": "⚠️",
    "white_check_mark": "✅",
    "white_circle": "⚪",
    "x": "❌",
}


def render(text: str) -> str:
    """``text`` as safe HTML; the style sheet handles line breaks (``white-space: pre-wrap``)."""
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(_aside(match))
        return f"\ue000{len(held) - 1}\ue001"

    rendered = plain(_ASIDE.sub(hold, text.replace("\ue000", "").replace("\ue001", "")))
    rendered = _EMOJI.sub(lambda match: _EMOJIS.get(match.group(1), match.group(0)), rendered)
    for pattern, tag in _MARKS:
        rendered = pattern.sub(rf"<{tag}>\1</{tag}>", rendered)
    rendered = _QUOTE.sub(r"<q>\1</q>", rendered)
    return _HELD.sub(lambda match: held[int(match.group(1))], rendered)


def plain(text: str) -> str:
    """``text`` escaped for HTML; the three entities that Slack accepts for &, < and > are decoded first."""
    unescaped = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return html.escape(unescaped)


def _aside(match: re.Match[str]) -> str:
    if match["block"]:
        return f"<pre>{plain(match['block'].strip())}</pre>"
    if match["code"]:
        return f"<code>{plain(match['code'])}</code>"
    return _angle(match["angle"])


def _angle(content: str) -> str:
    target, _, label = content.partition("|")
    if target.startswith(("http://", "https://", "mailto:")):
        return f'<a href="{plain(target)}" rel="noopener noreferrer">{plain(label or target)}</a>'
    if target.startswith(("@", "#", "!")):
        return f'<span class="mention">{plain(label or target)}</span>'
    return plain(f"<{content}>")
