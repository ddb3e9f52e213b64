"""What others say of checkpoints: cosignatures and time stamps, read from their own forms and checked."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.errors import InvalidCommandError, NotFoundError
from jobledger.ledger.evidence.attaching import MOST_COSIGNATURES, Attestations
from jobledger.ledger.evidence.checkpoint import read_checkpoint
from jobledger.ledger.evidence.cosignature import WitnessKey, cosign, cosigned_at, read_witness_key
from jobledger.ledger.evidence.note import NoteError, SigningKey
from jobledger.ledger.evidence.store import NotSignedYetError
from jobledger.ledger.evidence.timestamp import TimestampError, read_timestamp
from jobledger.ledger.store.ledger import Ledger
from tests.signing import sign
from tests.timestamping import Authority
from tests.world import ORG, registration, spec

KEY = SigningKey(b"w" * 32)
WITNESS = WitnessKey("witness.example/w1", KEY.public)
TEXT = b"origin\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_a_cosignature_is_of_a_text_a_time_and_a_key() -> None:
    line = cosign(TEXT, WITNESS.name, KEY, 1_679_315_147)

    assert cosigned_at(TEXT, line, WITNESS) == 1_679_315_147
    assert read_witness_key(str(WITNESS)) == WITNESS
    other = WitnessKey(WITNESS.name, SigningKey(b"x" * 32).public)
    renamed = WitnessKey("another", KEY.public)
    for text, told, key in (
        (TEXT.replace(b"7", b"8"), line, WITNESS),
        (TEXT, line, other),
        (TEXT, line, renamed),
        (TEXT, line + line, WITNESS),
        (TEXT, cosign(TEXT, WITNESS.name, KEY, 1)[:-9] + "AAAAAAA=\n", WITNESS),
        (TEXT, "", WITNESS),
        (TEXT, "— w\n", WITNESS),
    ):
        with pytest.raises(NoteError):
            cosigned_at(text, told, key)
    # Of the log itself, which signs by another kind of key under the same name.
    with pytest.raises(NoteError):
        read_witness_key(str(KEY.named("log")))


def test_a_cosignature_is_as_the_specification_has_it() -> None:
    """Key id and signed bytes spelt out."""
    import base64

    line = cosign(TEXT, "w", KEY, 5)
    given = base64.b64decode(line.split()[2])

    assert given[:4] == sha256(b"w\n\x04" + KEY.public).digest()[:4]
    assert given[4:12] == (5).to_bytes(8, "big")
    assert KEY.named("w").has_signed(b"cosignature/v1\ntime 5\n" + TEXT, given[12:])


async def test_what_is_attached_is_served_with_the_checkpoint_once(ledger: Ledger) -> None:
    attestations = Attestations(ledger.database)
    with pytest.raises(NotSignedYetError):
        await attestations.covering(ORG, 1)
    checkpoint = await sign(ledger)
    text = checkpoint.signed.text

    for _ in range(2):
        line = cosign(text, WITNESS.name, KEY, 7)
        found = await attestations.cosign(ORG, "principal-1", 1, line, str(WITNESS))

    assert found.note == checkpoint.note + line.encode()
    assert found.witnesses == (str(WITNESS),)
    assert read_checkpoint(found.note).root == checkpoint.root
    with pytest.raises(NotFoundError):
        await attestations.covering(ORG, checkpoint.size + 1)
    await ledger.execute(registration(spec()))
    later = await sign(ledger)
    assert (await attestations.attested(ORG, later)).lines == ()
    with pytest.raises(InvalidCommandError, match="has not signed"):
        await attestations.cosign(ORG, "principal-1", later.size, line, str(WITNESS))
    for number in range(1, MOST_COSIGNATURES + 1):
        key = SigningKey(bytes([number]) * 32)
        told = (cosign(text, "w", key, 1), str(WitnessKey("w", key.public)))
        if number < MOST_COSIGNATURES:
            await attestations.cosign(ORG, "principal-1", 1, *told)
    with pytest.raises(InvalidCommandError, match="at most"):
        await attestations.cosign(ORG, "principal-1", 1, *told)


@needs_openssl
async def test_a_time_stamp_is_of_what_was_served(ledger: Ledger, authority: Authority, tmp_path: Path) -> None:
    """Of the text, the note, or the note with its cosignature; with SHA-256 and SHA-512; and public tools verify it."""
    attestations = Attestations(ledger.database)
    checkpoint = await sign(ledger)
    text = checkpoint.signed.text
    cosigned = await attestations.cosign(ORG, "principal-1", 1, cosign(text, WITNESS.name, KEY, 7), str(WITNESS))

    for data, digest in ((text, "sha256"), (checkpoint.note, "sha512"), (cosigned.note, "sha384")):
        found = await attestations.stamp(ORG, "principal-1", 1, authority.stamp(data, digest=digest))

        stamp = found.timestamps[-1]
        assert stamp.stamped == data
        assert abs(datetime.now(UTC) - stamp.stamped_at) < timedelta(minutes=5)
        authority.verify(stamp.token, data)
    again = await attestations.stamp(ORG, "principal-1", 1, found.timestamps[0].token)
    assert len(again.timestamps) == 3
    with pytest.raises(InvalidCommandError, match="is not of the checkpoint"):
        await attestations.stamp(ORG, "principal-1", 1, authority.stamp(b"something else"))
    with pytest.raises(InvalidCommandError, match="no time stamp"):
        await attestations.stamp(ORG, "principal-1", 1, b"0\x00")


@needs_openssl
def test_a_refused_request_is_no_time_stamp(authority: Authority) -> None:
    with pytest.raises(TimestampError):
        read_timestamp(authority.stamp(b"x", digest="sha1"))


@given(st.data())
def test_no_bytes_are_read_as_a_time_stamp_by_chance(data: st.DataObject) -> None:
    """Refused in one way, whatever they are."""
    given_bytes = data.draw(
        st.binary(max_size=200) | st.binary(max_size=50).map(lambda it: b"\x30" + bytes([len(it)]) + it)
    )

    with pytest.raises(TimestampError):
        read_timestamp(given_bytes)


@needs_openssl
@given(st.data())
def test_a_time_stamp_that_was_cut_or_flipped_is_refused_or_read(authority: Authority, data: st.DataObject) -> None:
    """Never anything else."""
    whole = authority.once
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    for given_bytes in (whole[:at], flipped):
        try:
            read_timestamp(given_bytes)
        except TimestampError:
            continue
