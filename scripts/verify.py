#!/usr/bin/env python3
"""Checks an export, or an archive, of a Job Ledger: one file, nothing but the standard library, no network. Python 3.9 or later.

    python3 verify.py EXPORT [--key KEY] [--seen CHECKPOINT [--consistency FILE]]
    python3 verify.py ARCHIVE.ndjson.gz [--manifest-sha256 HEX] [--export EXPORT]

EXPORT is the .zip, or the folder that it was unpacked to. KEY is the verifier key, or a file with some, from elsewhere than the
export: what `jobledger key show` printed. CHECKPOINT is one that was kept; where the export alone does not show that it continues
that one, FILE is the answer of GET consistency?from=…&to=….

Exit codes: 0 all was checked and nothing differs, 1 something differs or could not be checked, 2 usage.
"""

from __future__ import annotations

import argparse
import base64
import gc
import json
import os
import re
import struct
import sys
import time
import zlib
from hashlib import sha256, sha512
from typing import Any, BinaryIO, Iterator, Sequence  # noqa: UP035  # as Python 3.9 has it

FORMAT, ARCHIVE_FORMAT = "jobledger-export/1", "jobledger-archive/1"
PIECE_BYTES = 1 << 20
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
NEEDED = ("checkpoint", "contents.ndjson", "headers.ndjson", "key", "proof.json", "removals.ndjson", "verify.py")
OPTIONAL = ("events.csv", "events.xml", "private.ndjson")
# Only after one of these may contents of the same stream be gone.
REMOVING = (b"job.purged", b"job.deleted", b"job.erased")
HEADER_FORM = (
    rb'\{"org":"([a-z][a-z0-9-]*)","position":(0|[1-9][0-9]*),"recorded_at":"([0-9T:.Z-]{27})","stream":"([a-z0-9-]+)",'
    rb'"version":([1-9][0-9]*),"type":"([a-z_.]+)","schema":[1-9][0-9]*,"by":"[a-z0-9-]+","content":"([0-9a-f]{64})"'
    rb'(?:,"private":"([0-9a-f]{64})")?\}'
)
HEADER = re.compile(HEADER_FORM)
CONTENT = re.compile(rb'\{"position":(0|[1-9][0-9]*),"(?:content|private)":(\{[^\n]*\}|null)\}\n')
ARCHIVED = re.compile(rb'\{"header":(' + HEADER_FORM + rb'),"content":(\{[^\n]*\}|null)\}\n')
CHECKPOINT = re.compile(rb"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n((?:[^\n]+\n)*)")
SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


class DiffersError(Exception):
    """The first that is not as it must be: the message names the place, and what differs."""


def must(truth: Any, where: str, what: str) -> None:
    """Raise DiffersError where something is not so."""
    if not truth:
        raise DiffersError(f"{where}: {what}")


def differs(position: int, what: str) -> None:
    """Raise DiffersError at a position."""
    raise DiffersError(f"position {position}: {what}")


# Ed25519 (RFC 8032), points as (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.

P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int, int, int]


def added(a: Point, b: Point) -> Point:
    """The sum of two points."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    w, x, y, z = f - e, h - g, h + g, f + e
    return w * x % P, y * z % P, x * y % P, w * z % P


def times(number: int, point: Point) -> Point:
    """A point so many times."""
    total: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = added(total, point)
        point, number = added(point, point), number >> 1
    return total


def point_of(encoded: bytes) -> Point | None:
    """The point of 32 bytes, None where they are none's only encoding."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def has_signed(public: bytes, text: bytes, signature: bytes) -> bool:
    """Whether *signature* is the key's, of the text."""
    key, first = point_of(public), point_of(signature[:32]) if len(signature) == 64 else None
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or first is None or BASE is None or scalar >= ORDER:
        return False
    challenge = int.from_bytes(sha512(signature[:32] + public + text).digest(), "little") % ORDER
    a, b = times(scalar, BASE), added(first, times(challenge, key))
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


# Signed notes and verifier keys (C2SP signed-note), checkpoints (C2SP tlog-checkpoint).


def hashes_of(texts: Sequence[str]) -> list[bytes]:
    """The hashes of a proof."""
    return [decoded(it, "a proof") for it in texts]


def decoded(text: str, where: str) -> bytes:
    """What base64 says, in its only form."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise DiffersError(f"{where}: {text[:60]!r} is not base64") from None
    must(base64.b64encode(raw).decode() == text, where, "its base64 has another form")
    return raw


class Key:
    """A verifier key: <name>+<8 hex digits>+<base64 of 0x01 and the public key>."""

    def __init__(self, text: str, where: str) -> None:
        parts = text.split("+", 2)
        must(len(parts) == 3 and parts[0] and parts[2], where, "it is no verifier key")
        raw = decoded(parts[2], where)
        self.text, self.name, self.public = text, parts[0], raw[1:]
        self.id = sha256(self.name.encode() + b"\n" + raw).digest()[:4]
        must(raw[:1] == b"\1" and len(raw) == 33, where, "it is not the verifier key of an Ed25519 key")
        must(self.id.hex() == parts[1], where, "the verifier key is misspelt")

    def must_have_signed(self, note: bytes, where: str) -> bytes:
        """The text of a note that has this key's signature."""
        text, blank, lines = note.rpartition(b"\n\n")
        must(blank and lines.endswith(b"\n"), where, "it is no signed note")
        text += b"\n"
        is_signed = False
        for line in lines.decode("utf-8", "replace")[:-1].split("\n"):
            match: Any = SIGNATURE_LINE.fullmatch(line)
            must(match, where, "a line among its signatures is none")
            raw = decoded(match[2], where)
            if match[1] == self.name and raw[:4] == self.id:
                must(has_signed(self.public, text, raw[4:]), where, f"the signature of {self.name} is false")
                is_signed = True
        must(is_signed, where, f"it is not signed by {self.text}")
        return text


def checkpoint_of(text: bytes, where: str) -> tuple[str, int, bytes]:
    """Origin, size and root of a checkpoint."""
    match: Any = CHECKPOINT.fullmatch(text)
    must(match, where, "it is no checkpoint")
    return match[1].decode("utf-8", "replace"), int(match[2]), decoded(match[3].decode(), where)


# The tree (RFC 6962).


def node(left: bytes, right: bytes) -> bytes:
    """The hash of a node."""
    return sha256(b"\1" + left + right).digest()


class Tree:
    """A tree that grows at its right edge, by leaves or by whole subtrees where these fit."""

    def __init__(self) -> None:
        self.waiting: dict[int, bytes] = {}

    def add(self, hashes: list[bytes], height: int = 0) -> None:
        """Add the roots of subtrees of 2**height leaves."""
        while hashes:
            left = self.waiting.pop(height, None)
            if left is not None:
                hashes.insert(0, left)
            if len(hashes) & 1:
                self.waiting[height] = hashes.pop()
            hashes = [sha256(b"\1" + a + b).digest() for a, b in zip(hashes[::2], hashes[1::2])]  # noqa: B905  # 3.9
            height += 1

    def add_cover(self, start: int, end: int, hashes: Sequence[bytes]) -> bool:
        """Add leaves from *start* to before *end* by the roots of whole subtrees; whether these are so many."""
        left = list(hashes)
        while start < end and left:
            whole = (end - start).bit_length() - 1
            height = min(whole, (start & -start).bit_length() - 1) if start else whole
            self.add([left.pop(0)], height)
            start += 1 << height
        return start == end and not left

    def root(self) -> bytes:
        """The root of what was added."""
        root: bytes | None = None
        for height in sorted(self.waiting):
            root = self.waiting[height] if root is None else node(self.waiting[height], root)
        return sha256(b"").digest() if root is None else root


def roots_of(old: int, old_root: bytes, new: int, proof: list[bytes], is_whole: bool = True) -> tuple[bytes, bytes]:
    """The roots of both trees by a proof of consistency (RFC 9162, 2.1.4), which is used up from its end. Raises IndexError."""
    if old == new:
        root = old_root if is_whole else proof.pop()
        return root, root
    half, beside = 1 << (new - 1).bit_length() - 1, proof.pop()
    if old <= half:
        first, second = roots_of(old, old_root, half, proof, is_whole)
        return first, node(second, beside)
    first, second = roots_of(old - half, old_root, new - half, proof, False)
    return node(beside, first), node(beside, second)


# Where the files are: a folder, or a zip in the one form that exports have.


def pieces_of(path: str) -> Iterator[bytes]:
    """A file's bytes, by pieces."""
    with open(path, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def digest_of(pieces: Iterator[bytes]) -> str:
    """The SHA-256 of all of them, in hex."""
    digest = sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


class Folder:
    """An export as a folder."""

    def __init__(self, path: str) -> None:
        self.path, self.names = path, sorted(os.listdir(path))

    def blocks(self, name: str, _told: dict[str, Any] | None = None) -> Iterator[bytes]:
        """A file's bytes, by pieces."""
        return pieces_of(os.path.join(self.path, name))


LARGE = 0xFFFFFFFF


class Zip:
    """An export as a zip: entries of fixed dates without gaps, and the directory that this makes; nothing else."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.entries: dict[str, tuple[int, int, int, int, int]] = {}
        end, directory = 0, b""
        total = file.seek(0, 2)
        while self._read(end, 4) == b"PK\3\4":
            where = f"byte {end}"
            head = self._read(end, 30)
            must(len(head) == 30, where, "the zip ends within an entry's header")
            method, crc, stored, size, name_length, extra_length = struct.unpack("<8xH4xIIIHH", head)
            name, extra = self._read(end + 30, name_length), self._read(end + 30 + name_length, extra_length)
            version, sizes = 20, b""
            if extra:
                must(len(extra) == 20, where, "an entry's header is not as exports have it")
                version, (size, stored) = 45, struct.unpack("<4xQQ", extra)
                sizes = struct.pack("<QQ", size, stored)
            told = (LARGE, LARGE) if extra else (stored, size)
            members = struct.pack("<HHHHHIIIH", version, 0, method, 0, 33, crc, *told, len(name))
            local = b"PK\3\4" + members + struct.pack("<H", extra_length)
            local += name + (struct.pack("<HH", 1, 16) + sizes if extra else b"")
            must(head + name + extra == local and method in (0, 8), where, "it is no entry's header as exports have it")
            known = name.decode("ascii", "replace")
            is_new = re.fullmatch(r"[a-z][a-z0-9._-]*", known) and known not in self.entries
            must(is_new, where, "its name is not allowed")
            further = sizes + (struct.pack("<Q", end) if end >= LARGE else b"")
            further = struct.pack("<HH", 1, len(further)) + further if further else b""
            directory += b"PK\1\2" + struct.pack("<BB", 45 if further else 20, 3)
            directory += struct.pack("<H", 45 if further else 20) + members[2:]
            directory += struct.pack("<HHHHII", len(further), 0, 0, 0, 0o100644 << 16, min(end, LARGE)) + name + further
            self.entries[known] = (end + len(local), stored, size, crc, method)
            end += len(local) + stored
            must(end <= total, known, "the zip ends within it")
        number, tail = len(self.entries), b""
        if end >= LARGE:
            tail = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, number, number, len(directory), end)
            tail += b"PK\6\7" + struct.pack("<IQI", 0, end + len(directory), 1)
        tail += b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, number, number, len(directory), min(end, LARGE), 0)
        rest = self._read(end, len(directory) + len(tail) + 1)
        must(number and rest == directory + tail, f"byte {end}", "it is neither an entry nor the zip's directory")
        self.names = sorted(self.entries)

    def _read(self, offset: int, length: int) -> bytes:
        self.file.seek(offset)
        return self.file.read(length)

    def blocks(self, name: str, told: dict[str, Any] | None = None) -> Iterator[bytes]:
        """A file's bytes, by pieces. *told*: what the manifest says of it."""
        offset, left, size, crc, method = self.entries[name]
        unpacking = zlib.decompressobj(-15) if method else None
        digest, seen, checksum = sha256(), 0, 0
        end = offset + left
        while left:
            raw = self._read(end - left, min(left, PIECE_BYTES // 4))
            left -= len(raw)
            must(raw, name, "the zip ends within it")
            digest.update(raw)
            try:
                piece = raw if unpacking is None else unpacking.decompress(raw)
            except zlib.error:
                raise DiffersError(f"{name}: it does not unpack, after {seen} bytes of it") from None
            seen, checksum = seen + len(piece), zlib.crc32(piece, checksum)
            if piece:
                yield piece
        whole = unpacking is None or (unpacking.eof and not unpacking.unused_data)
        must(whole and (seen, checksum) == (size, crc), name, "it does not unpack to what the zip says")
        if told is not None and method:
            packed = (end - offset, digest.hexdigest())
            known = (told["deflated_bytes"], told["deflated_sha256"])
            must(packed == known, name, "it is not packed as it was")


def lines_of(blocks: Iterator[bytes], digest: Any, where: str) -> Iterator[bytes]:
    """Whole lines, some at a time."""
    rest = b""
    for block in blocks:
        digest.update(block)
        cut = block.rfind(b"\n") + 1
        if cut:
            yield rest + block[:cut]
            rest = block[cut:]
        else:
            rest += block
    must(not rest, where, "its last line does not end")


def contents_of(chunks: Iterator[bytes], where: str) -> Iterator[tuple[int, bytes | None]]:
    """Position and content of each line, None where it is gone; at last a position beyond all."""
    last = -1
    for chunk in chunks:
        end = 0
        for match in CONTENT.finditer(chunk):
            position = int(match[1])
            is_next = match.start() == end and position > last
            must(is_next, where, f"a line after position {last} is not where it belongs")
            end, last = match.end(), position
            yield position, None if match[2] == b"null" else match[2]
        must(end == len(chunk), where, f"a line after position {last} is none")
    yield 1 << 63, None


class Export:
    """An export, checked from its beginning to its end; each step raises DiffersError at the first that differs."""

    def __init__(self, source: Any, keys: Sequence[Key]) -> None:
        self.source, self.removed = source, 0
        self.digests: dict[str, Any] = {}
        must({MANIFEST, SIGNATURE, *NEEDED} <= set(source.names), "the export", "a file of it is missing")
        manifest = self.whole(MANIFEST)
        self.manifest = json.loads(manifest)
        self.files, self.selection = self.manifest["files"], self.manifest["selection"]
        self.org, self.start, self.end = (self.manifest[it] for it in ("org", "from", "to"))
        self.counts, self.with_private = self.manifest["counts"], self.manifest["private"]
        must(self.manifest["format"] == FORMAT, MANIFEST, "it is of another format")
        must(
            sorted([*self.files, MANIFEST, SIGNATURE]) == source.names, MANIFEST, "it names other files than there are"
        )
        must(set(self.files) <= {*NEEDED, *OPTIONAL}, MANIFEST, "it names a file that exports do not have")
        must(self.with_private == ("private.ndjson" in self.files), MANIFEST, "private contents are not as it says")
        own = self.whole("key").decode("utf-8", "replace")
        must(own.endswith("\n"), "key", "it is no verifier key")
        self.key = Key(own[:-1], "key")
        self.is_signer_known = any(it.text == self.key.text for it in keys)
        must(not keys or self.is_signer_known, "key", f"the export was signed by {self.key.text}, not by the key given")
        signed = self.key.must_have_signed(self.whole(SIGNATURE), SIGNATURE)
        note = self.key.must_have_signed(self.whole("checkpoint"), "checkpoint")
        self.origin, self.size, self.root = checkpoint_of(note, "checkpoint")
        told = f"{FORMAT}\n{self.origin}\n{sha256(manifest).hexdigest()}\n".encode()
        self.is_manifest_signed = signed == told
        is_named = self.origin == self.key.name == self.manifest["origin"] and self.origin.split("/")[1:2] == [self.org]
        must(is_named, "checkpoint", "it is of another ledger than the manifest names")
        must(self.manifest["checkpoint"] == self.size, MANIFEST, "it names another checkpoint")
        must(0 <= self.start <= self.end <= self.size, MANIFEST, "its range is not within the checkpoint")
        self.kept: dict[int, bytes] = {}

    def whole(self, name: str) -> bytes:
        """A small file."""
        return b"".join(self.source.blocks(name, None if name in (MANIFEST, SIGNATURE) else self.told(name)))

    def told(self, name: str) -> dict[str, Any]:
        """What the manifest says of a file."""
        told: dict[str, Any] = self.files[name]
        return told

    def chunks(self, name: str) -> Iterator[bytes]:
        """The lines of a file; its digest is kept."""
        digest = self.digests[name] = sha256()
        return lines_of(self.source.blocks(name, self.told(name)), digest, name)

    def check(self, seen_sizes: Sequence[int] = (), wanted: dict[int, bytes] | None = None) -> None:
        """Check everything. Of *seen_sizes* the roots are kept; *wanted*: leaves that must stand at these positions."""
        proof, tree = json.loads(self.whole("proof.json")), Tree()
        must(tree.add_cover(0, self.start, hashes_of(proof["before"])), "proof.json", "it proves another range")
        self._check_headers(tree, sorted(it for it in seen_sizes if self.start == 0 and it <= self.end), wanted or {})
        must(tree.add_cover(self.end, self.size, hashes_of(proof["after"])), "proof.json", "it proves another range")
        what = f"one of the positions {self.start} to {self.end - 1} is not what the checkpoint was signed of"
        must(tree.root() == self.root, "headers.ndjson", what)
        self._check_removals()
        for name in sorted(self.files):
            known = self.digests.get(name)
            digest = known.hexdigest() if known else digest_of(self.source.blocks(name, self.told(name)))
            must(digest == self.told(name)["sha256"], name, "it is not the file that the manifest names")
        must(self.is_manifest_signed, SIGNATURE, "it is not of this manifest: the manifest was edited, or is another's")

    def _check_headers(self, tree: Tree, seen_sizes: list[int], wanted: dict[int, bytes]) -> None:
        asked = self.selection.get("jobs")
        streams: Any = None if asked is None else {b"job-%d" % it for it in asked}
        is_all = not self.selection
        is_by_kind = "type" in self.selection or "domain" in self.selection
        start, position, recorded_at = self.start, self.start, b""
        # Of this org alone, which then need not be compared.
        form = HEADER_FORM.replace(b"([a-z][a-z0-9-]*)", re.escape(self.org.encode()), 1)
        headers = re.compile(rb"^" + form + rb"$", re.MULTILINE)
        versions: dict[bytes, int] = {}
        chosen: dict[bytes, bool] = {}
        self.missing: dict[bytes, int] = {}
        self.removed_at: dict[bytes, int] = {}
        contents = contents_of(self.chunks("contents.ndjson"), "contents.ndjson")
        privates = contents_of(self.chunks("private.ndjson") if self.with_private else iter(()), "private.ndjson")
        (content_at, content), (private_at, private) = next(contents), next(privates)
        number = removed = number_private = 0
        for chunk in self.chunks("headers.ndjson"):
            lines = chunk[:-1].split(b"\n")
            rows = headers.findall(chunk)
            if len(rows) != len(lines):
                bad = next((at for at, line in enumerate(lines) if not headers.fullmatch(line)), 0)
                differs(position + bad, "its header is none")
            leaves = [sha256(b"\0" + line).digest() for line in lines]
            ats = [row[1] for row in rows]
            is_next = [row[0] for row in rows] == [b"%d" % it for it in range(position, position + len(rows))]
            if not is_next or ats != sorted(ats) or ats[0] < recorded_at:
                self._find_misplaced(rows, position, recorded_at)
            recorded_at = ats[-1]
            for told, _at, stream, told_version, _type, _content, _private in rows:
                version = int(told_version)
                if versions.get(stream, version - 1 if start else 0) + 1 != version:
                    differs(int(told), f"version {version} of {stream.decode()} follows {versions.get(stream, 0)}")
                versions[stream] = version
            if any(it in chunk for it in REMOVING):
                self.removed_at.update((row[2], int(row[0])) for row in rows if row[4] in REMOVING)
            first, position = position, position + len(rows)
            if not is_all and min(content_at, private_at) >= position:
                # Most of what was not selected: no content stands in all of this, and none may be due.
                named = {row[2] for row in rows}
                if not is_by_kind and streams.isdisjoint(named):
                    rows = []
                elif is_by_kind and not any(map(chosen.get, named)):
                    chosen.update(dict.fromkeys(named, False))
                    rows = []
            for at, row in enumerate(rows, first):
                stream, has_line = row[2], content_at == at
                if not is_all:
                    is_wanted = streams is None or stream in streams
                    is_chosen = chosen.setdefault(stream, has_line if is_by_kind and is_wanted else is_wanted)
                    if not is_chosen:
                        must(not has_line and private_at != at, f"position {at}", "it was not selected")
                if has_line:
                    number += 1
                    if content is None:
                        self.missing[stream] = at
                        removed += 1
                    else:
                        if sha256(content).hexdigest().encode() != row[5]:
                            differs(at, "its content is not the one that its header names")
                        if row[4] == b"job.registered" and is_by_kind:
                            self._must_be_of_kind(content, at)
                        if row[4] == b"archive.verified" and wanted:
                            self.kept[at] = content
                    if self.with_private and row[6]:
                        must(private_at == at, f"position {at}", "its private content is left out")
                        if private is None:
                            self.missing[stream] = at
                        elif sha256(private).hexdigest().encode() != row[6]:
                            differs(at, "its private content is not the one that its header names")
                        number_private += 1
                        private_at, private = next(privates)
                    content_at, content = next(contents)
                elif is_all or chosen[stream]:
                    differs(at, "it was selected, and its content is left out")
                if content_at <= at or private_at <= at:
                    differs(min(content_at, private_at), "a content is given that belongs nowhere")
            if position > self.end:
                differs(self.end, "it is beyond the range that the manifest names")
            if wanted:
                for at, leaf in enumerate(leaves, position - len(leaves)):
                    if wanted.pop(at, leaf) != leaf:
                        differs(at, "the archive has another header than the export")
            done = position - len(leaves)
            for size in [it for it in seen_sizes if done < it <= position]:
                partial = Tree()
                partial.waiting = dict(tree.waiting)
                partial.add(leaves[: size - done])
                self.kept[-size] = partial.root()
            tree.add(leaves)
            if min(content_at, private_at) < position:
                differs(min(content_at, private_at), "a content is given that belongs nowhere")
        must(position == self.end, f"position {position}", "it is missing")
        rest = min(content_at, private_at)
        must(rest == 1 << 63, f"position {rest}", "a content is given that belongs nowhere")
        counts = {"headers": position - start, "contents": number, "removed": removed, "private": number_private}
        must(self.counts == counts, MANIFEST, f"its counts are not those of what there is, {counts}")
        self.removed = removed

    def _find_misplaced(self, rows: Sequence[Sequence[bytes]], first: int, recorded_at: bytes) -> None:
        """Raise DiffersError at the first of these headers that is not where it belongs."""
        for position, (told, at, *_) in enumerate(rows, first):
            if told != b"%d" % position:
                differs(position, f"position {int(told)} stands there")
            if at < recorded_at:
                differs(position, "it was recorded before the one before it")
            recorded_at = at

    def _must_be_of_kind(self, content: bytes, position: int) -> None:
        data = json.loads(content)["data"]
        for name in ("type", "domain"):
            if name in self.selection:
                is_it = data.get(name) == self.selection[name]
                must(is_it, f"position {position}", f"a job of another {name} than was asked for was selected")

    def _check_removals(self) -> None:
        """What is gone is gone by an event; those beyond the range are given with their proofs."""
        for chunk in self.chunks("removals.ndjson"):
            for line in chunk[:-1].split(b"\n"):
                told = json.loads(line)
                header, before, after = told["header"].encode(), hashes_of(told["before"]), hashes_of(told["after"])
                tree, match = Tree(), HEADER.fullmatch(header)  # type: Tree, Any
                must(match, "removals.ndjson", "a header in it is none")
                position = int(match[2])
                is_in = self.end <= position < self.size and match[1].decode() == self.org
                is_in = is_in and tree.add_cover(0, position, before)
                tree.add([sha256(b"\0" + header).digest()])
                is_in = is_in and tree.add_cover(position + 1, self.size, after) and tree.root() == self.root
                must(is_in, "removals.ndjson", f"position {position} is not proved to be under the checkpoint")
                if match[6] in REMOVING:
                    self.removed_at[match[4]] = position
        for stream, position in sorted(self.missing.items(), key=lambda it: it[1]):
            if self.removed_at.get(stream, -1) <= position:
                differs(position, f"content of {stream.decode()} is gone, and no event says why")


def check_seen(export: Export, name: str, note: bytes, consistency: str | None, keys: Sequence[Key]) -> str:
    """That the export's tree continues the one of a checkpoint that was kept, as a sentence."""
    text, blank, _signatures = note.rpartition(b"\n\n")
    must(blank, name, "it is no signed note")
    origin, size, root = checkpoint_of(text + b"\n", name)
    must(origin == export.origin, name, f"it is of the history {origin}, the export of {export.origin}")
    key = next((it for it in keys if it.name == origin), export.key)
    key.must_have_signed(note, name)
    if -size in export.kept:
        must(export.kept[-size] == root, name, f"one of the first {size} events was altered since it was signed")
    elif size in (0, export.size):
        must(size == 0 or root == export.root, name, f"one of the first {size} events was altered since it was signed")
    else:
        older, newer = sorted([(size, root), (export.size, export.root)])
        ask = f"give the answer of GET consistency?from={older[0]}&to={newer[0]} by --consistency"
        must(consistency is not None, name, f"the export alone does not show it: {ask}")
        with open(consistency or "", encoding="utf-8") as file:
            proof = hashes_of(json.load(file)["proof"])
        try:
            is_continued = roots_of(*older, newer[0], proof) == (older[1], newer[1]) and not proof
        except IndexError:
            is_continued = False
        must(is_continued, name, f"one of the first {older[0]} events was altered since")
    relation = "It continues" if size <= export.size else "It is the beginning of"
    return f"{relation} the history of the checkpoint of {size} events that was kept."


def check_export(options: argparse.Namespace, wanted: dict[int, bytes] | None = None) -> tuple[Export, bool]:
    """Check an export and say what is proved; whether all was checked."""
    began_at = time.process_time()
    path = options.export or options.path
    keys: list[Key] = []
    for given in options.key or ():
        if os.path.exists(given):
            with open(given, encoding="utf-8") as text:
                keys += [Key(it.split()[-1], given) for it in text.read().splitlines() if it.strip()]
        else:
            keys.append(Key(given.strip(), "--key"))
    notes = [(it, b"".join(pieces_of(it))) for it in options.seen or ()]
    sizes = [checkpoint_of(note.rpartition(b"\n\n")[0] + b"\n", name)[1] for name, note in notes]
    if os.path.isdir(path):
        export = Export(Folder(path), keys)
        export.check(sizes, wanted)
    else:
        with open(path, "rb") as file:
            export = Export(Zip(file), keys)
            export.check(sizes, wanted)
    continued = [check_seen(export, *it, options.consistency, keys) for it in notes]
    what = [f"{name} {it}" for name, it in export.selection.items() if name != "jobs"]
    what += [f"{len(export.selection['jobs'])} jobs asked for by id"] if "jobs" in export.selection else []
    took = time.process_time() - began_at
    print(
        f"{path}: nothing differs; {export.counts['headers'] / max(took, 1e-9):,.0f} headers a second of processor time."
    )
    print(f"Checkpoint: {export.size} events of {export.origin}, root {base64.b64encode(export.root).decode()}.")
    print(
        f"Proved: each header from position {export.start} to {export.end - 1} is the one that was signed, none left out."
    )
    print(f"Proved: {export.counts['contents'] - export.removed} contents are those that their headers name.")
    if what:
        print(f"Proved: of each job selected ({', '.join(what)}) every event of the range is there.")
    if export.removed:
        print(f"Proved: {export.removed} contents are gone, each after an event that says so; their headers are there.")
    for sentence in continued:
        print(f"Proved: {sentence}")
    if "type" in export.selection or "domain" in export.selection:
        print("Not proved: that no other job is of that type or domain; headers do not tell.")
    if {"events.csv", "events.xml"} & set(export.files):
        print("Not proved: that events.csv or events.xml says the same; it is the file that was signed with the rest.")
    print("Not proved: that what was recorded is true, nor that all that happened was recorded.")
    if not export.is_signer_known:
        print("consistent; signer not checked: give the key that you have from elsewhere by --key.")
    return export, export.is_signer_known


def check_archive(options: argparse.Namespace) -> bool:
    """Check an archive and say what is proved; whether all was checked."""
    path = options.path
    must(path.endswith(".ndjson.gz"), path, "the name of an archive ends with .ndjson.gz")
    base = path[: -len(".ndjson.gz")]
    with open(base + ".manifest.json", "rb") as file:
        raw = file.read()
    digest = sha256(raw).hexdigest()
    named = options.manifest_sha256
    if named is not None:
        must(digest == named.lower(), base + ".manifest.json", "it is not the manifest of that SHA-256")
    manifest = json.loads(raw)
    must(manifest["format"] == ARCHIVE_FORMAT, base + ".manifest.json", "it is of another format")
    leaves = _check_members(path, base, manifest)
    files = [(os.path.join(os.path.dirname(path), name), it) for name, it in manifest["files"].items()]
    files += [(os.path.join(base + ".attachments", it["file"]), it) for it in manifest["attachments"]]
    for name, told in files:
        must(digest_of(pieces_of(name)) == told["sha256"], name, "it is not the file that was written")
    count = len(leaves)
    is_proved = False
    if options.export:
        export, is_proved = check_export(options, leaves)
        must(
            not leaves,
            f"position {min(leaves, default=0)}",
            "the archive holds an event that the export does not cover",
        )
        verified = [json.loads(it)["data"].get("manifest_sha256") for at, it in export.kept.items() if at >= 0]
        must(digest in verified, base + ".manifest.json", "no archive.verified in the export names this manifest")
        print("Proved: each header in the archive is the one in the export, and the ledger verified this manifest.")
    print(f"{path}: nothing differs in {count} events of {len(manifest['jobs'])} jobs, each whole up to its version.")
    if named is None and not options.export:
        print(
            "consistent; that it is the archive the ledger verified was not checked: give --manifest-sha256 or --export."
        )
    return named is not None or is_proved


def _check_members(path: str, base: str, manifest: dict[str, Any]) -> dict[int, bytes]:
    """The leaves of an archive's events by position, each event being what its header and the manifest say."""
    wanted = {b"job-%d" % job: (version, members) for job, version, members in manifest["jobs"]}
    must(len(wanted) == len(manifest["jobs"]), base + ".manifest.json", "it names a job twice")
    versions: dict[bytes, int] = {}
    places: dict[bytes, list[int]] = {}
    leaves: dict[int, bytes] = {}
    end = private_end = number_private = 0
    last = -1
    has_private = os.path.basename(base) + ".private.ndjson.gz" in manifest["files"]
    must(
        has_private == os.path.exists(base + ".private.ndjson.gz"), base, "its private part is not as its manifest says"
    )
    with open(path, "rb") as file, open(base + ".private.ndjson.gz" if has_private else os.devnull, "rb") as private:
        for number, member in enumerate(manifest["members"]):
            offset, length, first, until, events, private_offset, private_length = member
            where = f"member {number}"
            fits = offset == end and (not private_length or private_offset == private_end)
            must(fits, where, "it does not begin where the one before it ends")
            end, private_end = offset + length, private_end + private_length
            lines, stop, positions = _unpacked(file, length, where), 0, []
            hashes: dict[int, bytes] = {}
            for match in ARCHIVED.finditer(lines):
                header, org, told, _at, stream, version, _type, content_hash, private_hash, content = match.groups()
                position, place = int(told), f"position {int(told)}"
                is_next = match.start() == stop and position > last and org.decode() == manifest["org"]
                must(is_next, place, f"it is not where it belongs, after position {last}")
                stop, last = match.end(), position
                must(int(version) == versions.get(stream, 0) + 1, place, "a version of its stream is missing before it")
                versions[stream] = int(version)
                is_it = content == b"null" or sha256(content).hexdigest().encode() == content_hash
                must(is_it, place, "its content is not the one that its header names")
                if private_hash:
                    hashes[position] = private_hash
                if places.setdefault(stream, [])[-1:] != [number]:
                    places[stream].append(number)
                positions.append(position)
                leaves[position] = sha256(b"\0" + header).digest()
            must(stop == len(lines), f"{where}, after position {last}", "a line is none")
            is_told = [*positions[:1], *positions[-1:], len(positions)] == [first, until, events]
            must(is_told, where, "it does not hold what the manifest says")
            stop, lines = 0, _unpacked(private, private_length, where + ", private") if private_length else b""
            for match in CONTENT.finditer(lines):
                is_it = match.start() == stop and sha256(match[2]).hexdigest().encode() == hashes.get(int(match[1]))
                must(is_it, f"position {int(match[1])}", "its private content is not the one that its header names")
                stop, number_private = match.end(), number_private + 1
            must(stop == len(lines), where, "a line of its private part is none")
    for stream, (version, members) in wanted.items():
        is_whole = versions.pop(stream, 0) == version and places[stream] == members
        must(is_whole, stream.decode(), "events of it are missing, or not where the manifest says")
    must(not versions, base, "it holds a job that the manifest does not name")
    counts = {"jobs": len(wanted), "events": len(leaves), "private": number_private}
    is_told = {it: manifest["counts"][it] for it in counts} == counts
    must(is_told, base + ".manifest.json", "its counts are not those of what there is")
    return leaves


def _unpacked(file: BinaryIO, length: int, where: str) -> bytes:
    unpacking = zlib.decompressobj(31)
    try:
        lines = unpacking.decompress(file.read(length))
    except zlib.error:
        raise DiffersError(f"{where}: it does not unpack") from None
    must(unpacking.eof and not unpacking.unused_data, where, "it does not end where it should")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; its exit code."""
    parser = argparse.ArgumentParser(description="Check an export, or an archive, of a Job Ledger.")
    parser.add_argument("path", help="an export (.zip or folder), or an archive (.ndjson.gz, its manifest beside it)")
    parser.add_argument("--key", action="append", help="the verifier key, or a file with one or more")
    parser.add_argument("--seen", action="append", metavar="CHECKPOINT", help="a checkpoint that was kept, a file")
    parser.add_argument("--consistency", metavar="FILE", help="a proof that the two checkpoints are of one history")
    parser.add_argument("--manifest-sha256", metavar="HEX", help="of an archive: what archive.verified says")
    parser.add_argument("--export", help="of an archive: an export that covers it")
    options = parser.parse_args(arguments)
    is_archive = os.path.isfile(options.path) and options.path.endswith(".gz")
    try:
        is_checked = check_archive(options) if is_archive else check_export(options)[1]
    except DiffersError as error:
        print(f"{options.path}: DIFFERS. {error}.")
        return 1
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        print(f"{options.path}: DIFFERS. {MANIFEST}, or a proof: it does not read, {type(error).__name__}.")
        return 1
    except OSError as error:
        print(f"{error.filename or options.path}: {error.strerror}.")
        return 1
    return 0 if is_checked else 1


if __name__ == "__main__":
    # Nothing here refers to itself: collecting would cost a tenth.
    gc.disable()
    sys.exit(main())
