"""Large JSON documents are what they would be if they were read at once, and never keep others waiting long."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.http import large_json
from jobledger.http.document import DEEPEST, BodyTooLargeError, MalformedDocumentError, parse_json
from jobledger.http.large_json import MOST_VALUES, read_json
from tests.http.serving import Api

MIB = 1024 * 1024
# What a reader by pieces could stumble over.
TEXTS = st.one_of(st.text(max_size=6), st.sampled_from(['"', "\\", '\\"', ",", '","', "]},{[", "\\u0000", "\0", "a,b"]))
NAMES = st.sampled_from(["", "a", "b", "[", '"', ","])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=40,
)
SPACES = st.sampled_from([b"", b" ", b"\n\t "])
# What is put in the place of a byte.
WRONG = st.sampled_from([b"", b'"', b"\\", b",", b"[", b"]", b"{", b"}", b":", b"1", b"\0", b"\xff", b",,", b'"a":1,'])


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """A document, with spaces and with names that are given twice."""

    def write(value: Any) -> bytes:
        match value:
            case list():
                return b"[%b]" % b",".join(draw(SPACES) + write(it) for it in value)
            case dict():
                members = list(value.items())
                members += [(name, draw(VALUES)) for name, _ in members[: draw(st.integers(0, 1))]]
                shown = (draw(SPACES) + orjson.dumps(name) + b":" + write(it) for name, it in members)
                return b"{%b}" % b",".join(shown)
            case int():
                return str(value).encode().lower()
        return orjson.dumps(value)

    return draw(SPACES) + write(draw(VALUES)) + draw(SPACES)


def read_at_once(text: bytes) -> Any:
    """What the document is as a small one is read: its value and the order of its names, or that it is refused."""
    try:
        return repr(parse_json(text))
    except MalformedDocumentError:
        return MalformedDocumentError


async def read_by_pieces(text: bytes, piece_bytes: int) -> Any:
    """The same of ``read_json``, with pieces of that size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_json, "PIECE_BYTES", piece_bytes)
        try:
            return repr(await read_json(text))
        except MalformedDocumentError:
            return MalformedDocumentError


async def must_be_read_alike(text: bytes, piece_bytes: int) -> None:
    """A NUL in what a name that is given twice replaces is seen by pieces only."""
    by_pieces = await read_by_pieces(text, piece_bytes)
    if by_pieces is not MalformedDocumentError or b"\\u0000" not in text:
        assert by_pieces == read_at_once(text)


@given(text=written(), piece_bytes=st.integers(1, 40))
async def test_a_document_is_the_same_read_by_pieces(text: bytes, piece_bytes: int) -> None:
    """Wherever it is cut: strings with all that has a meaning outside of them, and names that are given twice, included."""
    await must_be_read_alike(text, piece_bytes)


@given(text=written(), piece_bytes=st.integers(1, 40), place=st.integers(0, 200), wrong=WRONG)
async def test_what_is_no_json_is_none_read_by_pieces(text: bytes, piece_bytes: int, place: int, wrong: bytes) -> None:
    """One byte changed, taken out or put in: refused if it would be, and if not, read the same."""
    place %= len(text)
    await must_be_read_alike(text[:place] + wrong + text[place + 1 :], piece_bytes)


@pytest.mark.parametrize("end", [b"", b",", b"]", b",]", b"]]", b"],[1]", b"]x", b"}", b'"', b"\\"])
async def test_the_end_of_a_large_document_is_judged_too(end: bytes) -> None:
    """All that is sent is the document."""
    text = b"[1" + b',{"a":1}' * 10_000 + end

    assert await read_by_pieces(text, large_json.PIECE_BYTES) == read_at_once(text)


@pytest.mark.parametrize("deep", [DEEPEST, DEEPEST + 1])
async def test_a_large_document_is_as_deep_as_a_small_one(deep: int) -> None:
    """The bound is the same, in whichever piece it is reached."""
    text = b"[" + b"1," * 20_000 + b"[" * (deep - 1) + b"1," * 20_000 + b"1" + b"]" * deep

    assert await read_by_pieces(text, large_json.PIECE_BYTES) == read_at_once(text)
    assert (read_at_once(text) is MalformedDocumentError) == (deep > DEEPEST)


@pytest.mark.parametrize(
    "text",
    [
        b"[" + b"{}," * MOST_VALUES + b"{}]",
        b"[" + b"1," * (MOST_VALUES + 1) + b"1]",
        pytest.param(b"[" + b"[1]," * (MOST_VALUES // 2 + 1) + b"1]", marks=pytest.mark.slow),
        b'["' + b"a" * large_json.LONGEST_PIECE_BYTES + b'"]',
        b"[" * 5 * MIB,
        b"[]" * 5 * MIB,
        b'"' * 5 * MIB + b"a",
        b" " * 5 * MIB,
    ],
    ids=["objects", "numbers", "lists", "string", "deep", "lists without commas", "quotation marks", "spaces"],
)
async def test_a_document_that_becomes_too_much_is_refused(text: bytes) -> None:
    """Before it has become so: by its values, or by one that is larger than any that an event could hold."""
    with pytest.raises((BodyTooLargeError, MalformedDocumentError)):
        await read_json(text)


async def test_commas_in_texts_are_no_values() -> None:
    """A list of registrations may hold as much prose as its size allows."""
    jobs = [{"type": "t", "name": "n", "attributes": {"told": 'one, "two", \\three, ' * 80}}] * 10_000
    text = orjson.dumps(jobs)
    assert text.count(b",") > 2 * MOST_VALUES

    assert await read_json(text) == jobs


async def test_others_go_on_while_a_large_document_is_read() -> None:
    """Ten thousand jobs are read in as many turns as they have pieces."""
    jobs = [{"type": "t", "name": f"n {n}", "attributes": {"a": [1, 2, 3], "b": "c"}} for n in range(10_000)]
    text = orjson.dumps(jobs)
    reading = asyncio.create_task(read_json(text))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1

    assert await reading == jobs
    assert turns >= len(text) // large_json.PIECE_BYTES


async def test_a_request_of_too_many_values_is_refused_in_its_envelope(api: Api) -> None:
    """And changes nothing."""
    body = b"[" + b"{}," * MOST_VALUES + b"{}]"

    refused = await api.post("jobs", data=body, headers={"Content-Type": "application/json"})

    assert refused.status == 413
    assert refused.document["code"] == "body_too_large"
    assert (await api.get("jobs")).document["jobs"] == []
