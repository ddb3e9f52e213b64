"""Events as tables and documents, for those who read them otherwise than by program: what was selected, by the stored bytes."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

import orjson

HEADER = ("position", "recorded_at", "stream", "version", "type", "by")
COLUMNS = (*HEADER, "via", "from", "data", "private")
# Whatever begins so, a spreadsheet may take for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Rendering:
    """``csv`` or ``xml``: what stands before the events, each of them, and behind."""

    def __init__(self, form: str) -> None:
        self._is_csv = form == "csv"
        self.name = f"events.{form}"
        self.begin = (",".join(COLUMNS) + "\r\n").encode() if self._is_csv else b'<?xml version="1.0"?>\n<events>\n'
        self.end = b"" if self._is_csv else b"</events>\n"

    def event(self, header: bytes, content: bytes | None, private: bytes | None) -> bytes:
        """One event; a content that is gone is empty."""
        known = orjson.loads(header)
        told = {} if content is None else orjson.loads(content)
        secret = {} if private is None else orjson.loads(private)
        members = [str(known[it]) for it in HEADER]
        members += [told.get("via") or "", told.get("from") or ""]
        members += [orjson.dumps(it["data"]).decode() if "data" in it else "" for it in (told, secret)]
        if self._is_csv:
            return (",".join(map(_field, members)) + "\r\n").encode()
        elements = "".join(
            f"<{name}>{escape(NOT_XML.sub(chr(0xFFFD), it))}</{name}>"
            for name, it in zip(COLUMNS, members, strict=True)
            if it
        )
        return f"<event>{elements}</event>\n".encode()


def _field(text: str) -> str:
    if text.startswith(FORMULA):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if any(it in text for it in ',"\r\n') else text
