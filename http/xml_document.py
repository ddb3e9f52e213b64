"""JSON documents as XML, and back.

    {"jobs":[{"id":1,"tags":["a","b"],"stage":null}],"next":null}
    <response><jobs><id>1</id><tags>a</tags><tags>b</tags><stage nil="true"/></jobs><next nil="true"/></response>

``@key`` is an attribute. A list repeats its element, an empty one is absent; a list in a list, and one that is the whole
document, holds ``<item>``. A key that is no XML name, or that means something here, becomes ``<entry key="…">``. A character
that XML forbids becomes U+FFFD. What is read has texts for values, which the endpoint types; kept are all keys, their order
but for that of repeated ones, nulls, and every list but the empty ones (absent) and those of one (their element).

Elements are read by their local names, whatever their namespace; attributes that declare namespaces, and those of XML Schema
instances (``xsi:type``, ``xsi:schemaLocation``), say nothing here, but for ``xsi:nil``. Other attributes keep their prefix.

xmltodict reads. It does not write: it takes eighteen times as long, and has a list in a list as Python's text of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from xml.parsers import expat  # DTDs are refused at their first sign, before anything of them is read

import orjson
import xmltodict

from jobledger.http.document import DEEPEST, BodyTooLargeError, MalformedDocumentError
from jobledger.http.xml_attributes import must_have_few_attributes

PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>\n'
DEFAULT_ROOT = "response"
# A document of these takes some hundred MB at most, whatever its 8 MiB hold.
MOST_ELEMENTS = 500_000
LONGEST_CACHED_KEY = 64

# XML 1.0, section 2.2: what a document cannot hold in any form.
FORBIDDEN = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
UNWRITABLE = re.compile(f"[{FORBIDDEN}]")
IN_TEXT = re.compile(f"[&<>\r{FORBIDDEN}]")
SPECIAL_IN_TEXT = IN_TEXT.search
IN_ATTRIBUTE = re.compile(f'[&<>"\r\n\t{FORBIDDEN}]')
ESCAPES = {it: f"&#{ord(it)};" for it in "\r\n\t"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
REPLACEMENT = "\ufffd"
# Section 2.3, without the colon, which would need a namespace. What begins with "xml" is reserved.
NAME = re.compile(
    "(?![xX][mM][lL])[A-Z_a-zÀ-ÖØ-öø-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff"
    "\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff][-.0-9A-Z_a-z·À-ÖØ-öø-\u037d\u037f-\u1fff\u200c\u200d\u203f\u2040"
    "\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff]*"
)
# These say something of the element that they stand in or are.
RESERVED_ELEMENTS = frozenset({"entry", "item"})
RESERVED_ATTRIBUTES = frozenset({"key", "nil"})
# Between the namespace and the local name of a name that has both; no part of either.
SEPARATOR = "\n"
# Source: XML Schema Part 1, section 2.6.
SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
TRUE = frozenset({"true", "1"})


class XmlText(str):
    """The text of an element or attribute: of what type it is, its reader knows."""

    __slots__ = ()


class XmlObject(dict[str, Any]):
    """An element with others in it: one, where a list may be due."""

    __slots__ = ()


class XmlList(list[Any]):
    """The items of an element."""

    __slots__ = ()


# Shared by all elements that are empty.
EMPTY = XmlText()


def write_xml(document: Any, root: str | None = DEFAULT_ROOT, namespace: str | None = None) -> bytes:
    """*document* in an element *root*; None: in its one outer key."""
    name = DEFAULT_ROOT if root is None else root
    if root is None and isinstance(document, dict) and len(document) == 1:
        [(key, value)] = document.items()
        if not isinstance(value, list | tuple) and _is_name(key):
            name, document = key, value
    out = [PROLOGUE]
    start = f"<{name}" if namespace is None else f'<{name} xmlns="{namespace}"'
    _write(out, start, f"</{name}>", document)
    return "".join(out).encode()


def can_be_written(text: str) -> bool:
    """Whether all of *text* can stand in XML."""
    return UNWRITABLE.search(text) is None


def plain(document: Any) -> Any:
    """What was read as ordinary objects, lists and strings."""
    if isinstance(document, XmlText):
        return str(document)
    if isinstance(document, XmlObject):
        return {key: plain(it) for key, it in document.items()}
    return [plain(it) for it in document] if isinstance(document, XmlList) else document


class _Tags(NamedTuple):
    """The tags of the element that a key becomes; ``attribute`` is how it begins as one, None where it is none."""

    start: str
    opening: str
    end: str
    nil: str
    attribute: str | None


def _write(out: list[str], start: str, end: str, value: Any) -> None:
    """One element; *start* is its tag, not yet closed."""
    kind = type(value)
    if kind is str or kind is XmlText:
        out.append(f"{start}>{_escaped(value, IN_TEXT)}{end}" if value else f"{start}/>")
    elif value is None:
        out.append(f'{start} nil="true"/>')
    elif value is True or value is False:
        out.append(f"{start}>{'true' if value else 'false'}{end}")
    elif kind is int or kind is float:
        out.append(f"{start}>{value!r}{end}")
    elif isinstance(value, dict):
        _write_members(out, start, end, value)
    elif isinstance(value, list | tuple):
        mark = len(out)
        out.append(f"{start}>" if value else f"{start}/>")
        for it in value:
            _write(out, "<item", "</item>", it)
        if len(out) > mark + 1:
            out.append(end)
    else:
        # What JSON has its own way to show, it shows here too.
        _write(out, start, end, orjson.loads(orjson.dumps(value, option=orjson.OPT_UTC_Z, default=str)))


def _write_members(out: list[str], start: str, end: str, members: dict[str, Any]) -> None:
    mark = len(out)
    out.append("")
    attributes = ""
    for key, value in members.items():
        tags = _tags(key) if len(key) <= LONGEST_CACHED_KEY else _tags.__wrapped__(key)
        kind = type(value)
        if tags.attribute is not None and isinstance(value, str | int | float):
            shown = value if isinstance(value, str) else str(value).lower() if kind is bool else repr(value)
            attributes += f'{tags.attribute}"{_escaped(shown, IN_ATTRIBUTE)}"'
        # These three are most of what there is: written here, not by a call each.
        elif value is None:
            out.append(tags.nil)
        elif (kind is str and value and SPECIAL_IN_TEXT(value) is None) or kind is int:
            out.append(f"{tags.opening}{value}{tags.end}")
        elif kind is list or kind is XmlList or kind is tuple:
            for it in value:
                _write(out, tags.start, tags.end, it)
        else:
            _write(out, tags.start, tags.end, value)
    if len(out) == mark + 1:
        out[mark] = f"{start}{attributes}/>"
    else:
        out[mark] = f"{start}{attributes}>"
        out.append(end)


@lru_cache(4096)
def _tags(key: str) -> _Tags:
    attribute = None
    if key not in RESERVED_ELEMENTS and _is_name(key):
        start, end = f"<{key}", f"</{key}>"
    else:
        start, end = f'<entry key="{_escaped(key, IN_ATTRIBUTE)}"', "</entry>"
        if key[:1] == "@" and key[1:] not in RESERVED_ATTRIBUTES and _is_name(key[1:]):
            attribute = f" {key[1:]}="
    return _Tags(start, f"{start}>", end, f'{start} nil="true"/>', attribute)


def _is_name(key: str) -> bool:
    if NAME.fullmatch(key) is None:
        return False
    if key.isascii():
        return True
    # Of letters beyond ASCII there are two lists, by the edition of XML; a name is what readers of either take.
    try:
        expat.ParserCreate("UTF-8").Parse(f"<{key}/>".encode(), True)
    except expat.ExpatError:
        return False
    return True


def _escaped(text: str, special: re.Pattern[str]) -> str:
    if special.search(text) is None:
        return text
    return special.sub(lambda it: ESCAPES.get(it[0], REPLACEMENT), text)


def read_xml(text: bytes, encoding: str | None = None) -> tuple[str, Any]:
    """The name of the root, and what is in it. *encoding* is what the request's headers say, over what the text does.

    Raises MalformedDocumentError: not XML, a DOCTYPE, nested too deep; BodyTooLargeError: too many elements or attributes.
    """
    must_have_few_attributes(text)
    try:
        _must_be_taken(text, encoding)
        [(name, [root])] = xmltodict.parse(text, encoding, force_list=True, strip_whitespace=False).items()
    except expat.ExpatError as error:
        raise MalformedDocumentError(f"This is not XML: {error}") from error
    except (LookupError, ValueError) as error:
        raise MalformedDocumentError("This XML is in an encoding that is not known here.") from error
    name = _local(name)
    return name, _member(name, root, {})[1]


def _must_be_taken(text: bytes, encoding: str | None) -> None:
    """Look at nothing but its size and form, before any of it is kept."""
    count = depth = 0

    def start(_name: str, attributes: dict[str, str]) -> None:
        nonlocal count, depth
        count += 1 + len(attributes)
        if count > MOST_ELEMENTS:
            raise BodyTooLargeError(
                f"A document holds at most {MOST_ELEMENTS} elements and attributes.", limit=MOST_ELEMENTS
            )
        # One more than there are objects and lists in a document: the innermost element holds a text.
        if depth > DEEPEST:
            raise MalformedDocumentError(f"This nests deeper than {DEEPEST} levels.", limit=DEEPEST)
        depth += 1

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        # Entities and what they grow to are never looked at.
        raise MalformedDocumentError("A document type declaration (DOCTYPE) is not taken.")

    # With a separator, prefixes that nothing declares are refused.
    parser = expat.ParserCreate(encoding, SEPARATOR)
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    # At once: of a tag that comes in pieces the parser may begin anew with each.
    parser.Parse(text, True)


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _value(read: Any, namespaces: Mapping[str, str]) -> Any:
    """What an element says, of which xmltodict has *read* this; *namespaces* by their prefixes, as declared around it."""
    if not isinstance(read, dict):
        return XmlText(read) if read else EMPTY
    declared = {key[7:]: uri for key, uri in read.items() if key.startswith("@xmlns:")}
    if declared:
        namespaces = {**namespaces, **declared}
    attributes: dict[str, str] = {}
    members: dict[str, list[Any]] = {}
    text, is_nil, is_list = "", False, True
    for key, given in read.items():
        if key == "#text":
            text = given[0]
        elif key[0] == "@":
            prefix, colon, name = key[1:].rpartition(":")
            is_of_schema = namespaces.get(prefix) == SCHEMA_INSTANCE
            if name == "nil" and (is_of_schema or not colon):
                is_nil = is_nil or given in TRUE
            elif not is_of_schema and key != "@xmlns" and prefix != "xmlns":
                attributes[key] = given
        else:
            name = _local(key)
            is_list = is_list and name == "item"
            for it in given:
                member, value = _member(name, it, namespaces)
                members.setdefault(member, []).append(value)
    if members and text.isspace():
        text = ""
    if not attributes and not members:
        return None if is_nil and not text.strip() else XmlText(text) if text else EMPTY
    if is_list and members and not attributes and not text:
        return XmlList(members["item"])
    document = XmlObject({key: XmlText(it) for key, it in attributes.items()})
    for key, values in members.items():
        is_one = len(values) == 1 and not isinstance(values[0], XmlList)
        document[key] = values[0] if is_one else XmlList(values)
    if text:
        document["#text"] = XmlText(text)
    return document


def _member(name: str, read: Any, namespaces: Mapping[str, str]) -> tuple[str, Any]:
    """The key of an element, and what it says."""
    if name == "entry" and isinstance(read, dict) and "@key" in read:
        rest = {key: it for key, it in read.items() if key != "@key"}
        return read["@key"], _value(rest or None, namespaces)
    return name, _value(read, namespaces)
