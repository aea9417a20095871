"""What Slack refuses in a message, with Slack's own error texts.

Limits: docs.slack.dev, "Blocks" (50 a message), "Section block" (text 1 to 3000, 10 fields of 2000), "Header
block" (plain_text, 150), "Context block" (10 elements), block_id 255; chat.postMessage ("text" 40,000). The
limit on a message's blocks together is not documented; about 13,200 characters were measured (bolt-js 2509).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MAX_TEXT = 40_000
MAX_BLOCKS = 50
MAX_BLOCKS_TEXT = 13_200
_SECTION_TEXT, _FIELD_TEXT, _HEADER_TEXT, _CONTEXT_TEXT = 3000, 2000, 150, 3000
_FIELDS, _ELEMENTS, _BLOCK_ID = 10, 10, 255

# The types that a message may hold. The content is checked for those that an alert uses.
_TYPES = frozenset(
    [
        "actions",
        "alert",
        "card",
        "carousel",
        "context",
        "context_actions",
        "data_table",
        "divider",
        "file",
        "header",
        "image",
        "input",
        "markdown",
        "rich_text",
        "section",
        "table",
        "video",
    ]
)


def invalid_blocks(blocks: Any) -> list[str]:
    """Why Slack answers ``invalid_blocks``: a sentence with a JSON pointer for each fault; empty when there is none."""
    if not isinstance(blocks, list):
        return [_fault("must be an array", "/blocks")]
    if len(blocks) > MAX_BLOCKS:
        return [_fault(f"no more than {MAX_BLOCKS} items allowed", "/blocks")]
    return [fault for index, block in enumerate(blocks) for fault in _block(block, f"/blocks/{index}")]


def blocks_text_length(blocks: list[Any]) -> int:
    """The characters of all texts in ``blocks`` together."""
    return sum(len(text) for text in texts(blocks))


def texts(content: Any) -> Iterator[str]:
    """Every ``text`` in a tree of blocks, in order."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name == "text" and isinstance(value, str):
                yield value
            else:
                yield from texts(value)
    elif isinstance(content, list):
        for each in content:
            yield from texts(each)


def _fault(what: str, pointer: str) -> str:
    return f"{what} [json-pointer:{pointer}]"


def _block(block: Any, at: str) -> Iterator[str]:
    if not isinstance(block, dict):
        yield _fault("must be an object", at)
        return
    kind = block.get("type")
    if kind not in _TYPES:
        yield _fault(f"unsupported type: {kind}", f"{at}/type")
        return
    if len(str(block.get("block_id", ""))) > _BLOCK_ID:
        yield _fault(f"must be less than {_BLOCK_ID + 1} characters", f"{at}/block_id")
    if kind == "section":
        yield from _section(block, at)
    elif kind == "header":
        yield from _text(block.get("text"), f"{at}/text", _HEADER_TEXT, ("plain_text",))
    elif kind == "context":
        yield from _context(block.get("elements"), f"{at}/elements")


def _section(block: dict[str, Any], at: str) -> Iterator[str]:
    fields = block.get("fields")
    if "text" not in block and not fields:
        yield _fault("missing required field: text", at)
    if "text" in block:
        yield from _text(block["text"], f"{at}/text", _SECTION_TEXT)
    if fields is None:
        return
    if not isinstance(fields, list) or len(fields) > _FIELDS:
        yield _fault(f"no more than {_FIELDS} items allowed", f"{at}/fields")
        return
    for index, each in enumerate(fields):
        yield from _text(each, f"{at}/fields/{index}", _FIELD_TEXT)


def _context(elements: Any, at: str) -> Iterator[str]:
    if not isinstance(elements, list) or not elements:
        yield _fault("missing required field: elements", at)
        return
    if len(elements) > _ELEMENTS:
        yield _fault(f"no more than {_ELEMENTS} items allowed", at)
    for index, each in enumerate(elements):
        if not (isinstance(each, dict) and each.get("type") == "image"):
            yield from _text(each, f"{at}/{index}", _CONTEXT_TEXT)


def _text(value: Any, at: str, limit: int, types: tuple[str, ...] = ("mrkdwn", "plain_text")) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _fault("must be an object", at)
        return
    if value.get("type") not in types:
        yield _fault(f"must be a valid enum value: {', '.join(types)}", f"{at}/type")
    text = value.get("text")
    if not isinstance(text, str):
        yield _fault("must be a string", f"{at}/text")
    elif not text:
        yield _fault("must be more than 0 characters", f"{at}/text")
    elif len(text) > limit:
        yield _fault(f"must be less than {limit + 1} characters", f"{at}/text")
