"""Whatever is changed in an export or in an archive, whoever verifies it finds it, and is told where."""

from __future__ import annotations

import json
import random
import re
import shutil
import zipfile
from collections.abc import Callable
from contextlib import redirect_stdout
from hashlib import sha256
from io import StringIO
from pathlib import Path

import orjson
import pytest
from isal import igzip

from jobledger.ledger.evidence.note import SigningKey, sign_note
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.exporting.zipped import DEFLATED, STORED, Entry, write_zip
from jobledger.scripts import verify
from tests.ledger.archived import archived, ended, file_of
from tests.ledger.exported import exported, read
from tests.signing import KEY

QUICK, ALL = 100, 10_000
LINES = ("headers.ndjson", "contents.ndjson", "private.ndjson")
OTHER = SigningKey(b"o" * 32)


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as file:
        return file.namelist()


def flipped(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]


def with_lines_changed(raw: bytes, other: bytes, chance: random.Random) -> bytes:
    """A line removed, doubled, swapped with another, taken from another export, or altered."""
    lines, others = raw.splitlines(keepends=True), other.splitlines(keepends=True)
    at = chance.randrange(len(lines))
    kind = chance.choice(["removed", "doubled", "swapped", "taken", "altered"])
    if kind == "removed":
        del lines[at]
    elif kind == "doubled":
        lines.insert(at, lines[at])
    elif kind == "swapped":
        to = (at + chance.randrange(1, len(lines))) % len(lines)
        lines[at], lines[to] = lines[to], lines[at]
    elif kind == "taken":
        lines[at] = next(it for it in others[chance.randrange(len(others)) :] + others if it != lines[at])
    else:
        lines[at] = flipped(lines[at][:-1], chance) + b"\n"
    return b"".join(lines)


class Tamperer:
    """Mutations of one export, as bytes; it borrows from another."""

    def __init__(self, path: Path, other: Path, folder: Path) -> None:
        self.raw = path.read_bytes()
        self.files = {name: read(path, name) for name in names(path)}
        self.others = {name: read(other, name) for name in names(other)}
        self.folder = folder
        self.path = folder / "export.zip"
        # How many contents are gone: what the manifest says where it is made anew.
        self.removed = 0

    def packed(self, files: dict[str, bytes], *, is_told: bool = False, key: SigningKey | None = None) -> bytes:
        """A zip of these files; the manifest says so where *is_told*, and is signed by the key where there is one."""
        self.path.unlink(missing_ok=True)
        entries: list[Entry] = []
        for name, content in files.items():
            entry = Entry(name, self.folder / name, DEFLATED if name.endswith("ndjson") else STORED)
            if name.startswith("manifest") and is_told:
                content = self._manifest(content, name, entries, files, key)
            entry.write(content)
            entry.told = entry.finish()  # type: ignore[attr-defined]
            entries.append(entry)
        write_zip(self.path, entries)
        return self.path.read_bytes()

    def _manifest(
        self, content: bytes, name: str, entries: list[Entry], files: dict[str, bytes], key: SigningKey | None
    ) -> bytes:
        if name == "manifest.json":
            manifest = orjson.loads(content)
            manifest["files"] = {it.name: it.told for it in entries}  # type: ignore[attr-defined]
            number = {it: files[it].count(b"\n") for it in LINES}
            manifest["counts"] |= {
                "headers": number[LINES[0]],
                "contents": number[LINES[1]],
                "private": number[LINES[2]],
                "removed": self.removed,
            }
            self.manifest = orjson.dumps(manifest) + b"\n"
            return self.manifest
        if key is None:
            return content
        origin = orjson.loads(self.manifest)["origin"]
        text = f"{verify.FORMAT}\n{origin}\n{sha256(self.manifest).hexdigest()}\n".encode()
        return sign_note(text, origin, [key])

    def mutation(self, chance: random.Random) -> tuple[str, bytes]:
        """What was done, and what came of it."""
        kinds: dict[str, Callable[[random.Random], bytes]] = {
            "a bit of the zip": lambda it: flipped(self.raw, it),
            "cut off": lambda it: self.raw[: it.randrange(len(self.raw))],
            "something behind": lambda it: self.raw + it.randbytes(it.randrange(1, 9)),
            "a line": lambda it: self.packed(self.with_line(it)),
            "a line, and the manifest": lambda it: self.packed(self.with_line(it), is_told=True),
            "a line, signed by the ledger itself": lambda it: self.packed(self.with_line(it), is_told=True, key=KEY),
            "signed by another": self.signed_by_another,
            "a line, signed by another": self.signed_by_another,
            "a file": self.with_file,
            "the manifest": self.with_manifest,
        }
        kind = chance.choice(list(kinds))
        return kind, kinds[kind](chance)

    def with_line(self, chance: random.Random) -> dict[str, bytes]:
        name = chance.choice(LINES)
        return {**self.files, name: with_lines_changed(self.files[name], self.others[name], chance)}

    def signed_by_another(self, chance: random.Random) -> bytes:
        """As who has no key of ours would do it, whole."""
        files = self.with_line(chance) if chance.random() < 0.5 else dict(self.files)
        text, _, _ = files["checkpoint"].rpartition(b"\n\n")
        origin = text.split(b"\n")[0].decode()
        files["checkpoint"] = sign_note(text + b"\n", origin, [OTHER])
        if chance.random() < 0.5:
            files["key"] = f"{OTHER.named(origin)}\n".encode()
        return self.packed(files, is_told=True, key=OTHER)

    def with_file(self, chance: random.Random) -> bytes:
        """A bit of a file, a file of the other export, one missing, or one too many; all else as it should be."""
        name = chance.choice(list(self.files))
        kind = chance.randrange(4)
        if kind == 0 and self.files[name]:
            return self.packed({**self.files, name: flipped(self.files[name], chance)})
        if kind == 1 and self.files[name] != self.others[name]:
            return self.packed({**self.files, name: self.others[name]})
        if kind == 2:
            return self.packed({it: content for it, content in self.files.items() if it != name})
        return self.packed({**self.files, "further.txt": b"x"})

    def with_manifest(self, chance: random.Random) -> bytes:
        """Another value somewhere in it."""
        manifest = orjson.loads(self.files["manifest.json"])
        place = manifest
        while isinstance(place, dict):
            parent, name = place, chance.choice(list(place) or ["type"])
            place = place.get(name)
        parent[name] = place + 1 if isinstance(place, int) else f"{place}0"
        return self.packed({**self.files, "manifest.json": orjson.dumps(manifest) + b"\n"})


def checked(*arguments: str) -> tuple[int, str]:
    told = StringIO()
    with redirect_stdout(told):
        code = verify.main(arguments)
    return code, told.getvalue()


def must_be_found(kind: str, seed: int, told: tuple[int, str]) -> None:
    code, text = told
    assert code == 1, f"{seed}: {kind} was not found"
    assert re.search(r"DIFFERS\. [^:]+: .+\.\n$", text), f"{seed}: {kind}: {text}"


async def tampered_exports(ledger: Ledger, folder: Path, number: int) -> None:
    await ended(ledger, 4, is_located=True)
    other = await exported(ledger, folder, private=True)
    await ended(ledger, 4, is_located=True)
    path = await exported(ledger, folder, private=True)
    key = read(path, "key").decode().strip()
    scratch = folder / "scratch"
    scratch.mkdir()
    tamperer = Tamperer(path, other, scratch)
    assert tamperer.packed(tamperer.files) == tamperer.raw
    assert checked(str(tamperer.path), "--key", key)[0] == 0
    for seed in range(number):
        kind, raw = tamperer.mutation(random.Random(seed))
        tamperer.path.write_bytes(raw)
        must_be_found(kind, seed, checked(str(tamperer.path), "--key", key))


def archive_mutations(folder: Path, name: str, chance: random.Random) -> str:
    """Change one of the files of an archive in a folder; what was done."""
    base = name.removesuffix(".ndjson.gz")
    suffix = chance.choice([".ndjson.gz", ".private.ndjson.gz", ".manifest.json"])
    path = folder / f"{base}{suffix}"
    raw = path.read_bytes()
    kind = chance.choice(["bit", "cut", "behind", "line", "gone"])
    if kind == "bit":
        path.write_bytes(flipped(raw, chance))
    elif kind == "cut":
        path.write_bytes(raw[: chance.randrange(len(raw))])
    elif kind == "behind":
        path.write_bytes(raw + chance.randbytes(chance.randrange(1, 9)))
    elif kind == "gone":
        path.unlink()
    elif suffix == ".manifest.json":
        path.write_bytes(with_lines_changed(raw, b"other\n", chance))
    else:
        lines = with_lines_changed(igzip.decompress(raw), b'{"position":0,"private":{}}\n', chance)  # type: ignore[no-untyped-call]
        packed = igzip.compress(lines, 1, mtime=0)
        path.write_bytes(packed)
        if chance.random() < 0.5:
            # As who knows how manifests are made would do it.
            manifest = folder / f"{base}.manifest.json"
            told = {"size_bytes": len(packed), "sha256": sha256(packed).hexdigest()}
            edited = manifest.read_bytes().replace(
                json.dumps(json.loads(manifest.read_bytes())["files"][path.name], separators=(",", ":")).encode(),
                orjson.dumps(told),
            )
            manifest.write_bytes(edited)
    return f"{kind} of {suffix}"


async def tampered_archives(ledger: Ledger, folder: Path, number: int) -> None:
    await ended(ledger, 5, is_located=True)
    archive = await archived(ledger, folder)
    made = file_of(folder)
    known = ["--manifest-sha256", archive.manifest_sha256 or ""]
    assert checked(str(made), *known)[0] == 0
    scratch = folder / "scratch"
    for seed in range(number):
        shutil.copytree(made.parent, scratch)
        kind = archive_mutations(scratch, made.name, random.Random(seed))
        code, text = checked(str(scratch / made.name), *known)
        assert code == 1, f"{seed}: {kind} was not found"
        assert "DIFFERS. " in text or "No such file" in text, f"{seed}: {kind}: {text}"
        shutil.rmtree(scratch)


async def test_a_hundred_changes_of_an_export_are_found(ledger: Ledger, tmp_path: Path) -> None:
    """Each of them, and the place is named."""
    await tampered_exports(ledger, tmp_path, QUICK)


async def test_a_hundred_changes_of_an_archive_are_found(ledger: Ledger, tmp_path: Path) -> None:
    """Each of them, by the manifest's SHA-256 that the ledger has recorded."""
    await tampered_archives(ledger, tmp_path, QUICK)


@pytest.mark.slow
async def test_ten_thousand_changes_of_exports_and_archives_are_found(ledger: Ledger, tmp_path: Path) -> None:
    """Half of them each."""
    (tmp_path / "archives").mkdir()
    await tampered_exports(ledger, tmp_path, ALL // 2)
    await tampered_archives(ledger, tmp_path / "archives", ALL // 2)
