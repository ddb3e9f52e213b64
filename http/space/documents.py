"""The dialect's media types and documents: an attribute is ``"@name"``, the root element stays as the outer key.

    {"task":{"@href":"/api/space/job-management/jobs/7","id":7}}
    <task href="/api/space/job-management/jobs/7"><id>7</id></task>

A text in XML that holds what would have to be escaped is CDATA: clients are known to unescape documents before they parse them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from jobledger.http.context import FORM
from jobledger.http.negotiation import JSON, XML, AnyHandler, Form, gives
from jobledger.http.whole_answer import WholeAnswer
from jobledger.http.xml_document import FORBIDDEN, REPLACEMENT

VENDOR = "application/vnd.net.juniper.space.job-management."
CHARSET = "UTF-8"
UNWRITABLE = re.compile(f"[{FORBIDDEN}]")
SPECIAL = re.compile('[<>&"\r]')
CDATA_END = "]]>"
ESCAPES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;", "\r": "&#13;"}
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"


class Markup(str):
    """A text that is CDATA in XML, whatever it holds."""

    __slots__ = ()


def forms_of(name: str, version: int) -> tuple[Form, ...]:
    """The forms of the resource of that name: XML first, and by their plain names for who asks for these."""
    parameters = {"version": str(version), "charset": CHARSET}
    return (
        Form("xml", f"{VENDOR}{name}+xml", parameters),
        Form("json", f"{VENDOR}{name}+json", parameters),
        XML,
        JSON,
    )


def speaks(name: str, version: int) -> Callable[[AnyHandler], AnyHandler]:
    """Say that a handler answers with the resource of that name."""
    return gives(*forms_of(name, version))


def reply(
    request: web.Request, document: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The answer to a request; *document* has one member, the root."""
    form = request[FORM]
    body = written(document) if form.syntax == "xml" else orjson.dumps(plain(document))
    return WholeAnswer(body=body, status=status, headers={**(headers or {}), "Content-Type": form.content_type})


def written(document: Mapping[str, Any]) -> bytes:
    """The document in XML. It has no prologue: what is in UTF-8 needs none, and some readers take none."""
    out: list[str] = []
    for name, value in document.items():
        _write(out, name, value)
    return "".join(out).encode()


def plain(value: Any) -> Any:
    """The document as it is in JSON: types are ``"@type"``, and no namespace is declared."""
    if isinstance(value, Mapping):
        return {
            "@type" if name == "@xsi:type" else name: plain(it) for name, it in value.items() if name != "@xmlns:xsi"
        }
    if isinstance(value, list):
        return [plain(it) for it in value]
    return str(value) if isinstance(value, Markup) else value


def _write(out: list[str], name: str, value: Any) -> None:
    if isinstance(value, list):
        for it in value:
            _write(out, name, it)
        return
    attributes = ""
    inner: list[str] = []
    if isinstance(value, Mapping):
        for key, it in value.items():
            if key.startswith("@"):
                attributes += f' {key[1:]}="{SPECIAL.sub(lambda found: ESCAPES[found[0]], _text(it))}"'
            else:
                _write(inner, key, it)
    elif isinstance(value, Markup):
        inner.append(_cdata(_text(value)))
    else:
        inner.append(_shown(_text(value)))
    text = "".join(inner)
    out.append(f"<{name}{attributes}>{text}</{name}>" if text else f"<{name}{attributes}/>")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return UNWRITABLE.sub(REPLACEMENT, value) if isinstance(value, str) else repr(value)


def _shown(text: str) -> str:
    if SPECIAL.search(text) is None:
        return text
    return _cdata(text)


def _cdata(text: str) -> str:
    return f"<![CDATA[{text.replace(CDATA_END, ']]]]><![CDATA[>')}]]>"
