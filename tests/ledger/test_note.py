"""Signed notes and checkpoints, in the forms that others read."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.evidence.checkpoint import origin_of, read_checkpoint, sign_checkpoint
from jobledger.ledger.evidence.keys import KeyRing, read_signing_keys
from jobledger.ledger.evidence.note import NoteError, SigningKey, VerifierKey, read_note, read_verifier_key, sign_note

SEEDS = st.binary(min_size=32, max_size=32)
KEY, OTHER = SigningKey(b"k" * 32), SigningKey(b"o" * 32)
ORIGIN = "5f0c2a7e-0e5b-4f5e-9f57-0d9a2c3b4d5e/acme"


def test_the_note_that_everybody_verifies() -> None:
    """Source: the example of golang.org/x/mod/sumdb/note."""
    key = read_verifier_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    note = read_note(
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n".encode()
    )

    note.must_be_signed_by(key)

    with pytest.raises(NoteError):
        note.must_be_signed_by(VerifierKey("PeterNeumann", KEY.public))


@given(SEEDS, st.integers(0, 2**62), st.binary(min_size=32, max_size=32), st.integers(1, 9))
def test_a_checkpoint_reads_as_it_was_signed(seed: bytes, size: int, root: bytes, fork: int) -> None:
    key = SigningKey(seed)
    origin = origin_of("5f0c2a7e-0e5b-4f5e-9f57-0d9a2c3b4d5e", "acme", fork)

    checkpoint = sign_checkpoint(origin, size, root, key)

    assert checkpoint == read_checkpoint(checkpoint.note) == sign_checkpoint(origin, size, root, key)
    assert fork == checkpoint.fork
    verifier = read_verifier_key(str(key.named(origin)))
    assert verifier == key.named(origin)
    checkpoint.signed.must_be_signed_by(verifier)
    lines = checkpoint.note.decode().split("\n")
    assert [origin, str(size), base64.b64encode(root).decode(), ""] == lines[:4]


@given(st.data())
def test_a_checkpoint_with_any_bit_flipped_is_not_signed(data: st.DataObject) -> None:
    note = bytearray(sign_checkpoint(ORIGIN, 7, b"r" * 32, KEY).note)
    bit = data.draw(st.integers(0, 8 * len(note) - 1))
    note[bit // 8] ^= 1 << bit % 8

    with pytest.raises(NoteError):
        read_checkpoint(bytes(note)).signed.must_be_signed_by(KEY.named(ORIGIN))


def test_a_note_may_be_signed_by_two() -> None:
    note = read_note(sign_note(b"a change\n", ORIGIN, [KEY, OTHER]))

    for key in (KEY, OTHER):
        note.must_be_signed_by(key.named(ORIGIN))
    with pytest.raises(NoteError):
        note.must_be_signed_by(KEY.named("another"))


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\n\n",
        b"text\n",
        b"text\n\n",
        b"text\n\n- no dash a2V5\n",
        "text\n\n— n a2V5\nmore\n".encode(),
        b"text\n\n\xff\n",
    ],
)
def test_what_is_no_note_is_said_to_be_none(wrong: bytes) -> None:
    with pytest.raises(NoteError):
        read_note(wrong).must_be_signed_by(KEY.named("n"))


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\n",
        "a/b\n-1\n" + "A" * 43 + "=\n",
        "a/b\n01\n" + "A" * 43 + "=\n",
        "a/b/0\n1\n" + "A" * 43 + "=\n",
        "a\n1\n" + "A" * 43 + "=\n",
    ],
)
def test_a_note_of_something_else_is_no_checkpoint(text: str) -> None:
    with pytest.raises(NoteError, match="checkpoint"):
        read_checkpoint(sign_note(text.encode(), "n", [KEY]))


@pytest.mark.parametrize(
    "wrong", ["", "a", "a+b", "a+00000000+AQ==", "a+zz+!!", str(KEY.named("a")).replace("a+", "b+")]
)
def test_what_is_no_verifier_key_is_said_to_be_none(wrong: str) -> None:
    with pytest.raises(NoteError):
        read_verifier_key(wrong)


def test_keys_are_looked_up_anew_when_one_is_missing() -> None:
    """The key that another process has just made."""
    text = KEY.seed.hex()
    ring = KeyRing(lambda: read_signing_keys(text))
    assert ring.newest == KEY
    assert ring.with_public(OTHER.public) is None

    text += f",{OTHER.seed.hex()}"

    assert ring.with_public(OTHER.public) == OTHER
    assert ring.newest == OTHER
    assert ring.named("n", KEY.named("n").id) == KEY


@pytest.mark.parametrize("wrong", ["", " ", "00", "g" * 64, "0" * 64 + ",1"])
def test_keys_are_hex_digits(wrong: str) -> None:
    with pytest.raises(ValueError, match="hex digits"):
        read_signing_keys(wrong)


def test_no_secret_is_shown() -> None:
    assert KEY.seed.hex() not in repr(KEY)
    assert repr(KEY.seed) not in repr(KEY)
