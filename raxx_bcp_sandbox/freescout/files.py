"""The attachments' bytes: real text, real pictures, real PDF pages, the same every time."""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass, field
from typing import Final

from raxx_bcp_sandbox.freescout import words


@dataclass(frozen=True)
class Sample:
    """A file as a customer would attach it. ``kind`` is FreeScout's number for its type."""

    name: str
    mime_type: str
    kind: int
    content: bytes = field(repr=False)


def sample(number: int) -> Sample:
    """The ``number``-th attachment: text, picture and page in turn, a little larger each time."""
    return _FILES[number % len(_FILES)](number)


def _text(number: int) -> Sample:
    line = words.SENTENCES[number % len(words.SENTENCES)]
    return Sample(f"notes-{number}.txt", "text/plain", 0, f"{line}.\n".encode() * (5 * number))


def _png(number: int) -> Sample:
    """A picture of ``number`` rows of noise."""
    width = 96
    noise = random.Random(number)  # noqa: S311
    pixels = b"".join(b"\0" + noise.randbytes(width * 3) for _ in range(8 + number))
    header = struct.pack(">IIBBBBB", width, 8 + number, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return Sample(
        f"photo {number}.png", "image/png", 5, b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _pdf(number: int) -> Sample:
    """A page that says which invoice it is."""
    text = f"BT /F1 24 Tf 72 720 Td (Invoice {number}) Tj ET".encode()
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<</Type/Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources <</Font <</F1 5 0 R>> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    content, places = b"%PDF-1.4\n", []
    for index, one in enumerate(objects, start=1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (index, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = len(content)
    content += (
        b"xref\n0 6\n0000000000 65535 f \n"
        + table
        + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % end
    )
    return Sample(f"Rechnung-ü-{number}.pdf", "application/pdf", 3, content)


_FILES: Final = (_text, _png, _pdf)
