"""A form is read whole or refused, however it comes in pieces."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.http.document import LARGEST_BODY_BYTES, BodyTooLargeError, MalformedDocumentError
from jobledger.http.form import Form, Part, file_name_of, parameters_of
from tests.examples import examples

TYPE = "multipart/form-data; boundary=b"
# Pieces of what a boundary is made of, so that contents come near it.
CONTENTS = st.lists(
    st.sampled_from([b"\r\n", b"-", b"--", b"\r", b"\n", b"b-", b"x", b"", b"\0\xff", b"long " * 40])
).map(b"".join)
CUTS = st.lists(st.integers(0, 400), max_size=8)


def whole(*parts: bytes) -> bytes:
    heads = [f'Content-Disposition: form-data; name="{it}"; filename="f"'.encode() for it in range(len(parts))]
    return (
        b"".join(b"--b\r\n" + head + b"\r\n\r\n" + it + b"\r\n" for head, it in zip(heads, parts, strict=True))
        + b"--b--"
    )


async def pieces_of(text: bytes, cuts: Sequence[int]) -> AsyncIterator[bytes]:
    bounds = sorted({0, len(text), *(it for it in cuts if it < len(text))})
    for begin, end in itertools.pairwise(bounds):
        yield text[begin:end]


async def read(text: bytes, cuts: Sequence[int] = (), content_type: str = TYPE) -> list[tuple[Part, bytes]]:
    form = Form(pieces_of(text, cuts), content_type)
    found = []
    while (part := await form.next()) is not None:
        found.append((part, b"".join([it async for it in form.contents()])))
    assert await form.next() is None
    return found


def is_clean(content: bytes) -> bool:
    """Whether it could be sent with this boundary."""
    return b"\r\n--b" not in b"\r\n" + content


@examples(200)
@given(parts=st.lists(CONTENTS.filter(is_clean), min_size=1, max_size=3), cuts=CUTS, data=st.data())
async def test_a_form_is_read_whole_or_refused(parts: list[bytes], cuts: list[int], data: st.DataObject) -> None:
    """What is sent is what is read, in whatever pieces; cut anywhere before the end of its closing boundary it is refused."""
    text = whole(*parts)

    assert [it for _, it in await read(text + b"\r\n", cuts)] == parts
    assert [it for _, it in await read(b"a preamble\r\n" + text + b" \r\nan epilogue", cuts)] == parts

    cut = data.draw(st.integers(0, len(text) - 1) | st.integers(max(0, len(text) - 8), len(text) - 1))
    with pytest.raises(MalformedDocumentError):
        await read(text[:cut], cuts)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x",
        b"--b",
        b"--b\r\n",
        b"--bx\r\n\r\nx\r\n--b--",
        b"--b\r\n\r\nx\r\n--bx\r\n--b--",
        b"--b\r\n\r\nx\r\n--b--x",
        b"--b" + b" " * 2000 + b"\r\n\r\nx\r\n--b--",
        b"--b\r\nno head\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\nx\r\n--b--",
        b"--b\r\nX: " + b"x" * 20_000 + b"\r\n\r\nx\r\n--b--",
        b"--b\r\nX: x\r\n--b--",
    ],
)
async def test_what_is_no_form(text: bytes) -> None:
    with pytest.raises(MalformedDocumentError):
        await read(text)


@pytest.mark.parametrize("said", ["", "; boundary=", "; boundary=" + "b" * 71, '; boundary="\xe4"', "; border=b"])
async def test_what_names_no_boundary(said: str) -> None:
    with pytest.raises(MalformedDocumentError):
        await read(whole(b"x"), content_type="multipart/form-data" + said)


async def test_parts_without_a_head_or_contents() -> None:
    [bare, empty, headed] = await read(
        b"--b\r\n\r\nx\r\n--b\r\n\r\n\r\n--b\r\nContent-Type:\r\n a/b\r\n\r\n--b--", [3, 9, 20]
    )

    assert (bare, empty) == ((Part(None, None, None), b"x"), (Part(None, None, None), b""))
    assert headed == (Part(None, None, "a/b"), b"")


async def test_what_comes_beside_the_attachment_is_bounded() -> None:
    form = Form(pieces_of(whole(b"x" * (LARGEST_BODY_BYTES + 1)), ()), TYPE)
    await form.next()

    with pytest.raises(BodyTooLargeError):
        await form.next()


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ('form-data; name="attachment"; filename="plan.txt"', "plan.txt"),
        ("form-data; filename=plan.txt; name=attachment", "plan.txt"),
        ('form-data; filename="C:\\a\\b.txt"', "C:\\a\\b.txt"),
        ('form-data; filename="..\\..\\x.bat"', "..\\..\\x.bat"),
        ('form-data; filename="say \\"hi\\"; filename=no.txt"', 'say "hi"; filename=no.txt'),
        ("form-data; filename=\"Gr__e\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe", "Größe"),
        ("form-data; filename=\"Gr__e\"; filename*=UTF-8''%FF", "Gr__e"),
        ("form-data; filename=\"Gr__e\"; filename*=none''x", "Gr__e"),
        ('form-data; filename=""', ""),
        ('form-data; name="attachment"', None),
        ("", None),
    ],
)
def test_the_name_of_a_file(said: str, name: str | None) -> None:
    assert file_name_of(parameters_of(said)) == name
