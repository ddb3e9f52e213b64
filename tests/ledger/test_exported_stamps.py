"""Exports carry what others say of their checkpoint: cosignatures in its note, and time stamps as files of their own."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jobledger.ledger.evidence.attaching import Attestations
from jobledger.ledger.evidence.cosignature import WitnessKey, cosign
from jobledger.ledger.evidence.note import SigningKey
from jobledger.ledger.store.ledger import Ledger
from tests.ledger.archived import ended
from tests.ledger.exported import exported, key_of, read, verified
from tests.ledger.test_tampering import Tamperer, checked, names
from tests.signing import KEY, sign
from tests.timestamping import Authority
from tests.world import ORG

WITNESS_KEY = SigningKey(b"w" * 32)
WITNESS = WitnessKey("witness.example/w1", WITNESS_KEY.public)

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def attached(ledger: Ledger, authority: Authority) -> tuple[int, bytes]:
    """The size of a checkpoint that is stamped, countersigned and stamped again, twice; and its note."""
    await ended(ledger, is_located=True)
    checkpoint = await sign(ledger)
    attestations, text, size = Attestations(ledger.database), checkpoint.signed.text, checkpoint.size
    await attestations.stamp(ORG, "principal-1", size, authority.stamp(text))
    await attestations.stamp(ORG, "principal-1", size, authority.stamp(checkpoint.note, digest="sha384"))
    line = cosign(text, WITNESS.name, WITNESS_KEY, 7)
    note = (await attestations.cosign(ORG, "principal-1", size, line, str(WITNESS))).note
    await attestations.stamp(ORG, "principal-1", size, authority.stamp(note, digest="sha512"))
    return size, note


async def test_an_export_carries_time_stamps_and_cosignatures_that_public_tools_verify(
    ledger: Ledger, tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verifier checks the imprints, and says by what command the authority's signature is; another export is the same."""
    size, note = await attached(ledger, authority)

    path = await exported(ledger, tmp_path, checkpoint=size)

    assert read(path, "checkpoint") == note
    assert verified(path) == 0
    told = capsys.readouterr().out
    commands = re.findall(r"made at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: (openssl ts .*)", told)
    assert len(commands) == 3
    for number, command in enumerate(commands, 1):
        (tmp_path / f"timestamp-{number}.der").write_bytes(read(path, f"timestamp-{number}.der"))
        arguments = command.replace("AUTHORITY.pem", str(authority.folder / "cert")).split()
        assert b"Verification: OK" in subprocess.run(arguments, cwd=tmp_path, capture_output=True).stdout
    assert (await exported(ledger, tmp_path, checkpoint=size)).read_bytes() == path.read_bytes()


async def test_a_time_stamp_that_is_not_of_the_checkpoint_is_found(
    ledger: Ledger, tmp_path: Path, authority: Authority
) -> None:
    """Also where the ledger itself would sign it: its imprint altered, taken from another, of a part of the text."""
    size, _ = await attached(ledger, authority)
    path = await exported(ledger, tmp_path, checkpoint=size, private=True)
    await sign(ledger)
    other = await exported(ledger, tmp_path, private=True)
    assert "timestamp-1.der" not in names(other)
    (tmp_path / "scratch").mkdir()
    tamperer = Tamperer(path, other, tmp_path / "scratch")
    key, files = key_of(path), tamperer.files
    tamperer.path.write_bytes(tamperer.packed(files, is_told=True, key=KEY))
    assert checked(str(tamperer.path), "--key", key)[0] == 0

    def must_be_found(told: str, changed: dict[str, bytes]) -> None:
        tamperer.path.write_bytes(tamperer.packed(changed, is_told=True, key=KEY))
        code, text = checked(str(tamperer.path), "--key", key)
        assert (code, told in text) == (1, True), text

    origin = files["checkpoint"].split(b"\n")[0] + b"\n"
    for stamp in (authority.once, authority.stamp(origin), b"", b"0\x80", files["timestamp-2.der"][:60]):
        must_be_found("timestamp-2.der: it is no time stamp of this checkpoint", {**files, "timestamp-2.der": stamp})
    # A cosignature that is taken out was stamped.
    bare = files["checkpoint"].rpartition("— ".encode())[0]
    must_be_found("timestamp-3.der: it is no time stamp of this checkpoint", {**files, "checkpoint": bare})
    flipped = bytes([files["timestamp-1.der"][-1] ^ 1])
    tamperer.path.write_bytes(tamperer.packed({**files, "timestamp-1.der": files["timestamp-1.der"][:-1] + flipped}))
    code, text = checked(str(tamperer.path), "--key", key)
    assert (code, "timestamp-1.der: it is not the file" in text) == (1, True), text
