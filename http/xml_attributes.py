"""Bounding an element's attributes before the parser, which nothing can interrupt, takes its time over them."""

from __future__ import annotations

import re

from jobledger.http.document import BodyTooLargeError

MOST_ATTRIBUTES = 1_000
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
# XML 1.0, section 3.1: no "<" stands in an attribute, so that from one to the next there is a tag and the text behind it.
ASSIGNED = re.compile(rb"""=[ \t\r\n]*["']""")
TAG = re.compile(rb"""[^>"']*(?:"[^"]*"[^>"']*|'[^']*'[^>"']*)*""")


def must_have_few_attributes(text: bytes) -> None:
    """Raise BodyTooLargeError where an element has more than 1,000 attributes. *text* may be in UTF-16."""
    if b"\0" in text[:4] or text[:2] in BYTE_ORDER_MARKS:
        order = "utf-16" if text[:2] in BYTE_ORDER_MARKS else "utf-16-be" if text[:1] == b"\0" else "utf-16-le"
        # Halves of its characters may look like any of these.
        text = text.decode(order, "replace").encode("utf-8", "replace")
    if len(text) < 4 * MOST_ATTRIBUTES:
        return
    begin = 0
    while begin < len(text):
        end = text.find(b"<", begin)
        end = len(text) if end < 0 else end
        # A shorter one has no room for so many.
        if end - begin > 4 * MOST_ATTRIBUTES:
            tag = TAG.match(text, begin, end)
            if tag is not None and len(ASSIGNED.findall(tag[0])) > MOST_ATTRIBUTES:
                raise BodyTooLargeError(
                    f"An element has more than {MOST_ATTRIBUTES} attributes.", limit=MOST_ATTRIBUTES
                )
        begin = end + 1
