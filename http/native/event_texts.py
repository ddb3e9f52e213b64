"""Events in XML: their stored bytes as text, so that the hashes in them can be checked by who reads it.

    <events><header>{"org":"acme",…}</header><content>{"data":…}</content></events>

The text of an element is what was hashed, octet for octet in UTF-8. Where a content holds one of the few characters that
XML forbids, its element is ``content_base64``; where it was purged, ``<content nil="true"/>``.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from jobledger.http.xml_document import can_be_written
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.recorder import Page


def events_in_xml(page: Page) -> dict[str, Any]:
    """The document of a page."""
    return {"events": [_texts(it) for it in page.events], "next_after": page.next_after}


def _texts(stored: StoredEvent) -> dict[str, str | None]:
    members: dict[str, str | None] = {}
    parts = [("header", stored.header), ("content", stored.content)]
    if stored.private is not None:
        parts.append(("private", stored.private))
    for name, body in parts:
        text = None if body is None else body.decode()
        if body is not None and text is not None and not can_be_written(text):
            name, text = f"{name}_base64", b64encode(body).decode()
        members[name] = text
    return members
