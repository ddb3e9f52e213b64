"""JSON as XML, and back: what is kept, that it is always XML, and what is refused."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobledger.http.document import BodyTooLargeError, MalformedDocumentError
from jobledger.http.xml_document import MOST_ELEMENTS, XmlText, can_be_written, plain, read_xml, write_xml

ODD = [
    "",
    "a",
    "@a",
    "@",
    "entry",
    "item",
    "key",
    "nil",
    "@key",
    "@nil",
    "#text",
    "@#text",
    "xmlns",
    "@xmlns",
    "@xml:lang",
    "a:b",
    "a b",
    "1",
    "-",
    ".",
    "é",
    "\u0141",
    "\U00010000",
    "\ufffe",
    "]]>",
    "<a>",
    '"',
    "&amp;",
    "\r\n",
    " ",
    "\t",
    "\0",
    "x" * 100,
    "XMLa",
    "_",
    "·",
]
TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(ODD))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=20,
)
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def kept(document: Any) -> Any:
    """What of *document* comes through, as the module says it."""
    if isinstance(document, dict):
        members: dict[str, list[Any]] = {}
        for key, value in document.items():
            values = value if isinstance(value, list) else [value]
            # Keys that differ in forbidden characters alone become one.
            if values:
                members.setdefault(FORBIDDEN.sub("\ufffd", key), []).extend(map(kept, values))
        return {
            key: them[0] if len(them) == 1 and not isinstance(them[0], list) else them for key, them in members.items()
        } or ""
    if isinstance(document, list):
        return [kept(it) for it in document] or ""
    if isinstance(document, bool):
        return "true" if document else "false"
    if isinstance(document, str):
        return FORBIDDEN.sub("\ufffd", document)
    return None if document is None else repr(document)


def through(document: Any) -> Any:
    """*document*, written and read."""
    root, value = read_xml(write_xml(document))
    assert root == "response"
    return plain(value)


@given(DOCUMENTS)
@example({"@a\x00": 1, "a": [[1, [2, []]], []], "@b": [1], "@c": None, "@d": {}})
@example({"@\ufffe": 1, "@\uffff": 2})
@example({"entry": {"@key": "a", "entry": {"item": [1, [2]]}}, "item": [{"nil": True}], "@nil": "true"})
def test_what_is_written_is_read(document: Any) -> None:
    assert through(document) == kept(document)


@given(DOCUMENTS)
@example({"": None, "@A": {}})
def test_what_came_through_once_comes_through_unchanged(document: Any) -> None:
    """Also its members' order, but that attributes stand first: what is empty may become one."""
    once = through(document)
    twice = through(once)

    assert twice == once
    assert orjson.dumps(through(twice)) == orjson.dumps(twice)


@given(DOCUMENTS, st.sampled_from([None, "response", "jobs"]), st.sampled_from([None, "urn:x"]))
def test_what_is_written_is_xml(document: Any, root: str | None, namespace: str | None) -> None:
    """For parsers that know namespaces and those that do not; and nothing of it is markup but our own."""
    text = write_xml(document, root, namespace)

    expat.ParserCreate().Parse(text, True)
    element = ElementTree.fromstring(text)
    assert all(set(it.attrib) <= {"key", "nil"} or "@" in str(document) for it in element.iter())


@given(st.text())
def test_a_text_that_can_be_written_comes_through_octet_for_octet(text: str) -> None:
    """What events rely on."""
    if can_be_written(text):
        assert through({"a": text}) == {"a": text}
    else:
        assert "\ufffd" in through({"a": text})["a"]


def test_the_example_of_the_contract() -> None:
    document = {
        "jobs": [{"id": 1, "tags": ["a", "b"], "stage": None, "none": []}],
        "next": None,
        "@total": 1,
        "x": [[1, 2], []],
    }

    assert write_xml(document).decode().splitlines()[1] == (
        '<response total="1"><jobs><id>1</id><tags>a</tags><tags>b</tags><stage nil="true"/></jobs><next nil="true"/>'
        "<x><item>1</item><item>2</item></x><x/></response>"
    )


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ({"task": {"@href": "/j/1", "id": 1}}, '<task href="/j/1"><id>1</id></task>'),
        ({"jobs": {}}, "<jobs/>"),
        ({"jobs": None}, '<jobs nil="true"/>'),
        ({"jobs": [1]}, "<response><jobs>1</jobs></response>"),
        ({"a b": 1}, '<response><entry key="a b">1</entry></response>'),
        ({"a": 1, "b": 2}, "<response><a>1</a><b>2</b></response>"),
        ([1], "<response><item>1</item></response>"),
        ("text", "<response>text</response>"),
    ],
)
def test_one_outer_key_is_the_root_where_a_dialect_has_it_so(document: Any, line: str) -> None:
    assert write_xml(document, None).decode().splitlines()[1] == line


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("<a/>", ""),
        ("<a></a>", ""),
        ("<a> </a>", " "),
        ("<a>x</a>", "x"),
        ('<a nil="true"/>', None),
        ('<a nil="false">x</a>', "x"),
        ('<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>', None),
        (
            '<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><b i:nil="1"/><c i:nil="0"/></a>',
            {"b": None, "c": ""},
        ),
        ('<a nil="true">x</a>', "x"),
        ('<j:a xmlns:j="urn:x"><j:b>1</j:b><c/><k:b xmlns:k="urn:y">2</k:b></j:a>', {"b": ["1", "2"], "c": ""}),
        ('<j:a xmlns:j="urn:x"><j:item>1</j:item><j:item/></j:a>', ["1", ""]),
        ('<j:a xmlns:j="urn:x"><j:entry key="b c">1</j:entry></j:a>', {"b c": "1"}),
        (
            '<a xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:schemaLocation="urn:x x.xsd"><b x:type="s">1</b></a>',
            {"b": "1"},
        ),
        ('<a xmlns:j="urn:x" j:b="1" b="2" xml:lang="de"/>', {"@j:b": "1", "@b": "2", "@xml:lang": "de"}),
        ('<a xmlns="urn:x"><b>1</b></a>', {"b": "1"}),
        ("<a>\n  <b>1</b>\n  <b> 2 </b>\n</a>", {"b": ["1", " 2 "]}),
        ('<a b="1"/>', {"@b": "1"}),
        ('<a b="1">x</a>', {"@b": "1", "#text": "x"}),
        ("<a>x<b/>y</a>", {"b": "", "#text": "xy"}),
        ("<a><item>1</item></a>", ["1"]),
        ("<a><item>1</item><b/></a>", {"item": "1", "b": ""}),
        ("<item><b>1</b></item>", {"b": "1"}),
        ("<a><b><item>1</item></b></a>", {"b": [["1"]]}),
        ('<a key="1"/>', {"@key": "1"}),
        ('<entry key="1">x</entry>', "x"),
        ('<a><entry key="b">1</entry><b>2</b></a>', {"b": ["1", "2"]}),
        ("<a><entry>1</entry></a>", {"entry": "1"}),
        ("<a><![CDATA[<b>&amp;]]></a>", "<b>&amp;"),
        ("<a>&lt;&#233;&#x1F600;</a>", "<é\U0001f600"),
        ("<a><!-- no --><?no no?>x</a>", "x"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>'.encode("latin-1"), "é"),
        ("<a>é</a>".encode("utf-16"), "é"),
        ("\ufeff<a>é</a>", "é"),
        ('<?xml version="1.0" encoding="windows-1252"?><a>\u20ac</a>'.encode("cp1252"), "€"),
    ],
)
def test_what_others_write_is_read(text: str | bytes, document: Any) -> None:
    body = text if isinstance(text, bytes) else text.encode()

    assert plain(read_xml(body)[1]) == document


BOMB = "<!DOCTYPE a [<!ENTITY b0 'x'>" + "".join(
    f"<!ENTITY b{it + 1} '{f'&b{it};' * 10}'>" for it in range(9)
) + "]><a>&b9;</a>"  # fmt: skip
REFUSED = [
    "",
    " ",
    "x",
    "<",
    "<a",
    "<a>",
    "</a>",
    "<a></b>",
    "<a/><b/>",
    "<j:a/>",
    '<a xsi:nil="true"/>',
    '<a xmlns:b="urn:x" xmlns:c="urn:x" b:d="1" c:d="2"/>',
    '<a xmlns:b="urn:x&#10;c"/>',
    '<j:a xmlns:j="urn:x" xmlns:k="urn:x"></k:a>',
    "<a>&b;</a>",
    "<a>&nbsp;</a>",
    "<a b=1/>",
    '<a b="1" b="2"/>',
    "<a>\x00</a>",
    "<a>&#0;</a>",
    "<a>&#xfffe;</a>",
    "<a>\x01</a>",
    "<a>\ufffe</a>",
    "<a>]]></a>",
    b"<a>\xff</a>",
    b"<a>\xed\xa0\x80</a>",
    '<?xml version="1.0" encoding="UTF-7"?><a/>',
    '<?xml version="1.0" encoding="nonsense"?><a/>',
    "{}",
    b"\xff\xfe<",
    '<?xml version="1.0" encoding="idna"?><a/>',
    '<?xml version="1.0" encoding="gb2312"?><a/>',
    '<?xml version="1.0" encoding="hex"?><a/>',
    BOMB,
    "<!DOCTYPE a><a/>",
    '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    '<!DOCTYPE a PUBLIC "x" "http://127.0.0.1:1/"><a/>',
    '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "<!DOCTYPE a [<!ENTITY % b 'x'> %b;]><a/>",
    "<!DOCTYPE",
    "<!DOCTYPE a [<!ATTLIST a b CDATA 'x'>]><a/>",
    "<!doctype a><a/>",
    "<a><!DOCTYPE a></a>",
    "<a>" * 66 + "</a>" * 66,
    "<a>" * 100_000,
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda it: repr(it[:40]))
def test_what_is_no_xml_or_a_trap_is_refused(text: str | bytes) -> None:
    with pytest.raises(MalformedDocumentError):
        read_xml(text if isinstance(text, bytes) else text.encode())


MANY_NAMES = [f"c{it}" for it in range(500)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "<a>"
        + f"<b {' '.join(f'{name}=`1`' for name in MANY_NAMES)}/>".replace("`", '"') * (MOST_ELEMENTS // 500)
        + "</a>",
        "<a>" + "<b/>" * (MOST_ELEMENTS + 1) + "</a>",
    ],
    ids=["attributes", "elements"],
)
def test_more_than_a_document_may_hold_is_too_large(text: str) -> None:
    with pytest.raises(BodyTooLargeError) as refused:
        read_xml(text.encode())

    assert refused.value.facts == {"limit": MOST_ELEMENTS}


def test_a_document_type_is_refused_at_its_first_sign() -> None:
    """Before anything in it is read, so also where the rest is no XML at all."""
    with pytest.raises(MalformedDocumentError, match="DOCTYPE"):
        read_xml(b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'> <<<")


def test_documents_may_nest_as_deep_as_in_json() -> None:
    document: Any = "x"
    for _ in range(64):
        document = {"a": document}

    assert through(document) == document
    with pytest.raises(MalformedDocumentError, match="64"):
        through({"a": document})


def test_what_was_read_is_json_again() -> None:
    _, value = read_xml(b"<a><b>1</b><b>2</b><c><item>x</item></c></a>")

    assert isinstance(value["b"][0], XmlText)
    assert orjson.dumps(value) == orjson.dumps(plain(value)) == b'{"b":["1","2"],"c":[["x"]]}'
