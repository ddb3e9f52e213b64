#!/usr/bin/env python3
"""Checks an export, or an archive, of a Job Ledger: one file, nothing but the standard library, no network. Python 3.9 or later.

    python3 verify.py EXPORT [--key KEY] [--seen CHECKPOINT]
    python3 verify.py ARCHIVE.ndjson.gz [--manifest-sha256 HEX] [--export EXPORT]

EXPORT is the .zip, or the folder that it was unpacked to. KEY is what `jobledger key show` printed, or a file with some, from
elsewhere than the export. CHECKPOINT is one that was kept, of as many events as where the export begins, or ends, or between.

Exit codes: 0 all was checked and nothing differs, 1 something differs or could not be checked, 2 usage.
"""

from __future__ import annotations

import argparse
import base64
import gc
import gzip
import io
import json
import os
import re
import signal
import struct
import sys
import time
import zipfile
import zlib
from contextlib import ExitStack
from functools import partial
from hashlib import sha256, sha384, sha512
from itertools import chain
from operator import add, itemgetter, lt
from typing import Any, Iterable, Iterator, Sequence  # noqa: UP035  # as Python 3.9 has it

FORMAT, ARCHIVE_FORMAT = "jobledger-export/1", "jobledger-archive/1"
MANIFEST, SIGNATURE, PRIVATE = "manifest.json", "manifest.sig", "private.ndjson"
NEEDED = ("checkpoint", "contents.ndjson", "headers.ndjson", "key", "proof.json", "removals.ndjson", "verify.py")
OPTIONAL = ("events.csv", "events.xml", PRIVATE, *(f"timestamp-{number}.der" for number in range(1, 9)))
PIECE_BYTES, BEYOND, NODE = 1 << 18, 1 << 62, sha256(b"\1")
# Only after one of these may contents of the same stream be gone, after the last only what an attachment brought.
ATTACHED, DETACHED = b"job.attachment_added", b"job.attachment_removed"
REMOVING = frozenset((b"job.purged", b"job.deleted", b"job.erased", DETACHED))
# A header, of the org that is put in: itself, position, recorded_at, stream, version, type, SHA-256 of content and private one.
HEADER_FORM = (
    rb'(\{"org":"%b","position":(0|[1-9][0-9]*),"recorded_at":"([0-9T:.Z-]{27})","stream":"([a-z0-9-]+)",'
    rb'"version":([1-9][0-9]*),"type":"([a-z_.]+)","schema":[1-9][0-9]*,"by":"[a-z0-9-]+",'
    rb'"content":"([^"]{64})"(?:|,"private":"([^"]{64})")\})'
)
# What follows its name, to the end of the line; null, and here nothing, where it is gone.
BODY = rb"(?:null|(\{[^\n]*\}))\}$"
CONTENT = re.compile(rb'^(\{"position":)(0|[1-9][0-9]*),"(?:content|private)":' + BODY, re.MULTILINE)
CHECKPOINT = re.compile(rb"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n((?:[^\n]+\n)*)")
ATTACHMENT = re.compile(r"attachment-(?:0|[1-9][0-9]*)-[0-9a-f]{64}")
BASE64 = r"((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==))"
SIGNATURE_LINE = re.compile(r"— ([^\s+]+) " + BASE64)
VERIFIER_KEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+" + BASE64)


class DiffersError(Exception):
    """The first that is not as it must be: the message names the place, and what differs."""


def must(truth: Any, where: str | int, what: str) -> None:
    """Raise DiffersError where something is not so: in a file, or at a position."""
    if not truth:
        raise DiffersError(f"position {where}: {what}" if isinstance(where, int) else f"{where}: {what}")


differs = partial(must, False)


def decoded(text: str, where: str) -> bytes:
    """What base64 says, in its only form. Raises ValueError, too."""
    raw = base64.b64decode(text, validate=True)
    must(base64.b64encode(raw).decode() == text, where, "its base64 has another form")
    return raw


# Ed25519 (RFC 8032), points as (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.

P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int, int, int]


def added(a: Point, b: Point) -> Point:
    """The sum of two points."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    w, x, y, z = f - e, h - g, h + g, f + e
    return w * x % P, y * z % P, x * y % P, w * z % P


def times(number: int, point: Point) -> Point:
    """A point so many times."""
    doubled = times(number >> 1, added(point, point)) if number > 1 else (0, 1, 1, 0)
    return added(doubled, point) if number & 1 else doubled


def point_of(encoded: bytes) -> Any:
    """The point of 32 bytes, None where they are none's only encoding."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def has_signed(public: bytes, text: bytes, signature: bytes) -> bool:
    """Whether *signature* is the key's, of the text."""
    scalar = int.from_bytes(signature[32:], "little")
    key, first = point_of(public), point_of(signature[:32])
    if key is None or first is None or len(signature) != 64 or scalar >= ORDER:
        return False
    challenge = int.from_bytes(sha512(signature[:32] + public + text).digest(), "little") % ORDER
    a, b = times(scalar, BASE), added(first, times(challenge, key))
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


class Key:
    """A verifier key (C2SP signed-note): <name>+<8 hex digits>+<base64 of 0x01 and the public key>."""

    def __init__(self, text: str, where: str) -> None:
        match: Any = VERIFIER_KEY.fullmatch(text)
        must(match, where, "it is no verifier key")
        raw = decoded(match[3], where)
        self.text, self.name, self.public = text, match[1], raw[1:]
        self.id = sha256(self.name.encode() + b"\n" + raw).digest()[:4]
        must((raw[:1], len(raw), self.id.hex()) == (b"\1", 33, match[2]), where, "it is misspelt, or no Ed25519 key")


class Note:
    """A signed note (C2SP signed-note): its text, and by whom it says to be signed."""

    def __init__(self, raw: bytes, where: str) -> None:
        text, blank, lines = raw.rpartition(b"\n\n")
        must(blank and lines.endswith(b"\n"), where, "it is no signed note")
        self.text, self.where = text + b"\n", where
        self.signatures: list[tuple[str, bytes]] = []
        for line in lines.decode("utf-8", "replace")[:-1].split("\n"):
            match: Any = SIGNATURE_LINE.fullmatch(line)
            must(match, where, "a line among its signatures is none")
            self.signatures.append((match[1], decoded(match[2], where)))

    def must_be_signed_by(self, key: Key) -> None:
        """Raise DiffersError unless the key has signed it, and all that is said to be of the key is so."""
        own = [raw[4:] for name, raw in self.signatures if (name, raw[:4]) == (key.name, key.id)]
        is_signed = own and all(has_signed(key.public, self.text, it) for it in own)
        must(is_signed, self.where, f"the signature of {key.text} is missing, or false")

    def checkpoint(self) -> tuple[str, int, bytes]:
        """Origin, size and root, of a checkpoint (C2SP tlog-checkpoint)."""
        match: Any = CHECKPOINT.fullmatch(self.text)
        must(match, self.where, "it is no checkpoint")
        return match[1].decode("utf-8", "replace"), int(match[2]), decoded(match[3].decode(), self.where)


class Tree:
    """A tree (RFC 6962) that grows at its right edge. *waiting*: the roots of whole subtrees, by height, still to be joined."""

    def __init__(self, waiting: dict[int, bytes] | None = None) -> None:
        self.waiting = dict(waiting or {})

    def add(self, hashes: list[bytes], height: int = 0) -> Tree:
        """This tree, with the roots of subtrees of 2**height leaves added."""
        while hashes:
            hashes[:0] = [self.waiting.pop(height)] if height in self.waiting else []
            if len(hashes) & 1:
                self.waiting[height] = hashes.pop()
            pairs, hashes = map(add, hashes[::2], hashes[1::2]), []
            for pair in pairs:
                node = NODE.copy()  # which costs less than to begin anew
                node.update(pair)
                hashes.append(node.digest())
            height += 1
        return self

    def add_cover(self, start: int, end: int, hashes: Sequence[str]) -> bool:
        """Add leaves from *start* to before *end* by the roots of whole subtrees, in base64; whether these are so many."""
        for it in hashes:
            if start >= end:
                return False
            height = min(it.bit_length() - 1 for it in (end - start, start & -start) if it)
            self.add([decoded(it, "a proof")], height)
            start += 1 << height
        return start == end

    def root(self) -> bytes:
        """The root of what was added."""
        root = b""
        for height in sorted(self.waiting):
            root = sha256(b"\1" + self.waiting[height] + root).digest() if root else self.waiting[height]
        return root or sha256(b"").digest()


def pieces_of(name: str, opened: Any = io.FileIO) -> Iterator[bytes]:
    """What is in a file, by pieces."""
    try:
        with opened(name) as file:
            yield from iter(partial(file.read, PIECE_BYTES), b"")
    except (zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, EOFError):
        raise DiffersError(f"{name}: it does not unpack") from None


def digest_of(pieces: Iterable[bytes]) -> str:
    """The SHA-256 of all of them, in hex."""
    digest = sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def rows_of(form: Any, pieces: Iterable[bytes], where: str, last: int = -1) -> Iterator[list[tuple[bytes, ...]]]:
    """The groups of lines, some at a time. Each must be of the form and of a position, the second group, behind *last*."""
    rest = b""
    for piece in pieces:
        lines, newline, rest = (rest + piece).rpartition(b"\n")
        if not newline:
            continue
        rows = form.findall(lines)
        positions = [last, *map(int, map(itemgetter(1), rows))]
        if len(rows) != lines.count(b"\n") + 1 or not all(map(lt, positions, positions[1:])):
            for match in map(form.fullmatch, lines.split(b"\n")):
                must(match and int(match[2]) > last, where, f"the line after position {last} is none, or misplaced")
                last = int(match[2])
        last = positions[-1]
        yield rows
    must(not rest, where, "its last line does not end")


def opened_zip(path: str, files: ExitStack) -> tuple[Any, dict[str, str]]:
    """What opens the files of a zip, which must have the one form that exports have, and the SHA-256 of how each is packed."""
    file = files.enter_context(io.FileIO(path))
    try:
        opened = zipfile.ZipFile(file)
    except Exception:  # whatever a directory that was altered leads to
        raise DiffersError("the zip's directory: it does not read") from None
    packed, directory, end, unknown = {}, b"", 0, 0xFFFFFFFF
    file.seek(0)
    for it in opened.infolist():
        name, method = it.filename.encode(), 0 if it.filename in (MANIFEST, SIGNATURE) else it.compress_type
        members = struct.pack("<HHHHHIIIH", 45, 0, method, 0, 33, it.CRC, unknown, unknown, len(name))
        sizes = struct.pack("<QQ", it.file_size, it.compress_size)
        head = b"PK\3\4" + members + struct.pack("<H", 20) + name + struct.pack("<HH", 1, 16) + sizes
        must(file.read(len(head)) == head, f"byte {end}", f"it is not how {it.filename} begins in exports")
        lefts = range(it.compress_size, 0, -PIECE_BYTES)
        packed[it.filename] = digest_of(file.read(min(left, PIECE_BYTES)) for left in lefts)
        directory += b"PK\1\2\x2d\3" + members + struct.pack("<HHHHII", 28, 0, 0, 0, 0o100644 << 16, unknown)
        directory += name + struct.pack("<HH", 1, 24) + sizes + struct.pack("<Q", end)
        end += len(head) + it.compress_size
    count, length = len(packed), len(directory)
    directory += b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, length, end) + b"PK\6\7"
    directory += struct.pack("<IQI4sHHHHIIH", 0, end + length, 1, b"PK\5\6", 0, 0, count, count, length, unknown, 0)
    must(file.read(len(directory) + 1) == directory, f"byte {end}", "it is not the directory of what is before it")
    return opened.open, packed


class Contents:
    """Contents that are read beside the headers. *at*: the position of the next, BEYOND after the last."""

    def __init__(self, pieces: Iterable[bytes], name: str, start: int = 0) -> None:
        self.lines: Any = chain.from_iterable(rows_of(CONTENT, pieces, name, start - 1))
        self.what, self.number, self.removed = "private content" if "private" in name else "content", 0, 0
        _, at, self.content = next(self.lines, (b"", BEYOND, b""))  # type: bytes, Any, bytes
        self.at = int(at)

    def take(self, named: bytes) -> bytes:
        """The next one, which must be what its header names; nothing where it is gone."""
        content: bytes = self.content
        if not content:
            self.removed += 1
        elif sha256(content).hexdigest().encode() != named:
            differs(self.at, f"its {self.what} is not the one that its header names")
        self.number += 1
        _, at, self.content = next(self.lines, (b"", BEYOND, b""))
        self.at = int(at)
        return content


class Export:
    """An export, checked from its beginning to its end; each step raises DiffersError at the first that differs."""

    def __init__(self, path: str, keys: Sequence[Key], files: ExitStack) -> None:
        self.open: Any = lambda name: files.enter_context(io.FileIO(os.path.join(path, name)))
        self.packed, self.digests = {}, {}  # type: dict[str, str], dict[str, str]
        if not os.path.isdir(path):
            self.open, self.packed = opened_zip(path, files)
        manifest = json.loads(self.whole(MANIFEST))
        must(manifest["format"] == FORMAT, MANIFEST, "it is of another format")
        self.files, self.selection, self.counts = manifest["files"], manifest["selection"], manifest["counts"]
        self.org, self.start, self.end, self.has_private = (manifest[it] for it in ("org", "from", "to", "private"))
        odd = {*self.files, MANIFEST, SIGNATURE} ^ {*(self.packed or os.listdir(path))}
        must(not odd, min(odd, default=""), "it is missing, or the manifest does not name it")
        self.has_attachments = manifest.get("attachments", False)
        self.attached = {it for it in self.files if ATTACHMENT.fullmatch(it) and it.endswith(self.files[it]["sha256"])}
        is_export = {*NEEDED} <= {*self.files} - self.attached <= {*NEEDED, *OPTIONAL}
        is_export = is_export and self.has_private == (PRIVATE in self.files)
        must(is_export, MANIFEST, "it names a file that such exports do not have, or lacks one that they have")
        self.key = Key(self.whole("key").decode("utf-8", "replace").rstrip("\n"), "key")
        self.is_checked = self.is_signer_known = any(it.text == self.key.text for it in keys)
        must(not keys or self.is_signer_known, "key", f"the export was signed by {self.key.text}, not by the key given")
        self.note = self.whole("checkpoint")
        signed, note = Note(self.whole(SIGNATURE), SIGNATURE), Note(self.note, "checkpoint")
        signed.must_be_signed_by(self.key)
        note.must_be_signed_by(self.key)
        self.origin, self.size, self.root = note.checkpoint()
        self.is_manifest_signed = signed.text == f"{FORMAT}\n{self.origin}\n{self.digests[MANIFEST]}\n".encode()
        is_named = self.origin == self.key.name == manifest["origin"] and self.origin.split("/")[1:2] == [self.org]
        must(is_named and manifest["checkpoint"] == self.size, MANIFEST, "it names another checkpoint")
        must(0 <= self.start <= self.end <= self.size, MANIFEST, "its range is not within the checkpoint")
        self.header = re.compile(rb"^" + HEADER_FORM % re.escape(self.org.encode()) + rb"$", re.MULTILINE)
        # Of sizes the roots, as far as this export shows them; contents of archive.verified and archive.erased.
        self.roots, self.archives = {0: Tree().root(), self.size: self.root}, []  # type: dict[int, bytes], list[bytes]
        self.recorded_at, self.versions = b"", {}  # type: bytes, dict[bytes, int]
        # By stream, whether it is selected; by that and whether an attachment brought it, where contents are gone, and why.
        self.is_by_kind, asked = "type" in self.selection or "domain" in self.selection, self.selection.get("jobs")
        self.asked = None if asked is None else {b"job-%d" % it for it in asked}
        self.chosen: dict[bytes, bool] = {} if self.is_by_kind else dict.fromkeys(self.asked or (), True)
        self.missing, self.removed_at = {}, {}  # type: dict[tuple[bytes, bool], int], dict[tuple[bytes, bool], int]

    def pieces(self, name: str) -> Iterator[bytes]:
        """A file, by pieces; its digest is kept."""
        digest = sha256()
        for piece in pieces_of(name, self.open):
            digest.update(piece)
            yield piece
        self.digests[name] = digest.hexdigest()

    def whole(self, name: str) -> bytes:
        """A small file."""
        return b"".join(self.pieces(name))

    def check(self, seen: Sequence[Note], wanted: dict[int, bytes]) -> None:
        """Check everything. Of what was *seen* the roots are kept; *wanted*: leaves that must stand at these positions."""
        proof, tree = json.loads(self.whole("proof.json")), Tree()
        must(tree.add_cover(0, self.start, proof["before"]), "proof.json", "it proves another range")
        self.contents = Contents(self.pieces("contents.ndjson"), "contents.ndjson", self.start)
        self.privates = Contents(self.pieces(PRIVATE) if self.has_private else (), PRIVATE, self.start)
        self._check_headers(tree, [it.checkpoint()[1] for it in seen], wanted)
        must(tree.add_cover(self.end, self.size, proof["after"]), "proof.json", "it proves another range")
        must(tree.root() == self.root, "headers.ndjson", "one of them is not what the checkpoint was signed of")
        self._check_removals()
        self.stamps = [self._stamped(it) for it in sorted(self.files) if it.startswith("timestamp")]
        for name, told in sorted(self.files.items()):
            if name not in self.digests:
                digest_of(self.pieces(name))
            must(self.digests[name] == told["sha256"], name, "it is not the file that the manifest names")
            packed = told.get("deflated_sha256", told["sha256"])
            must(self.packed.get(name, packed) == packed, name, "it is not packed as it was")
        must(self.is_manifest_signed, SIGNATURE, "it is not of this manifest: the manifest was edited, or is another's")

    def _check_headers(self, tree: Tree, seen_sizes: Sequence[int], wanted: dict[int, bytes]) -> None:
        """Each header is where it belongs, with what was selected of it, and becomes a leaf of the tree."""
        start = self.start
        for rows in rows_of(self.header, self.pieces("headers.ndjson"), "headers.ndjson", start - 1):
            end = start + len(rows)
            must(end <= self.end, self.end, "it is beyond the range that the manifest names")
            self._check_order(rows, start)
            self._check_contents(rows, start)
            leaves = [sha256(b"\0" + row[0]).digest() for row in rows]
            for at in sorted(wanted.keys() & range(start, end)):
                must(wanted.pop(at) == leaves[at - start], at, "the archive has another header than the export")
            for size in (it for it in seen_sizes if start <= it <= end):
                self.roots[size] = Tree(tree.waiting).add(leaves[: size - start]).root()
            tree.add(leaves)
            start = end
        must(start == self.end, start, "it is missing")
        rest = min(self.contents.at, self.privates.at)
        must(rest == BEYOND, rest, "a content is given that belongs nowhere")
        must(not self.attached, min(self.attached, default=""), "no event that was selected attached it")
        counts = {"headers": start - self.start, "contents": self.contents.number, "removed": self.contents.removed}
        counts["private"] = self.privates.number
        must(self.counts == counts, MANIFEST, f"its counts are not those of what there is, {counts}")

    def _check_order(self, rows: Sequence[Sequence[bytes]], start: int) -> None:
        """Positions, which rise, and versions have no gaps, and time never falls."""
        if int(rows[-1][1]) != start + len(rows) - 1:
            differs(next(at for at, row in enumerate(rows, start) if int(row[1]) != at), "it is missing")
        _, _, times, streams, versions, types, _, _ = zip(*rows)  # noqa: B905  # 3.9
        ats, known = [self.recorded_at, *times], self.versions
        if ats != sorted(ats):
            bad = next(at for at, row in enumerate(rows) if row[2] < ats[at])
            differs(start + bad, "it was recorded before the one before it")
        self.recorded_at = ats[-1]
        for position, (stream, version, type_name) in enumerate(zip(streams, map(int, versions), types), start):  # noqa: B905
            # Where the range begins later, the first of a stream in it may be of any version.
            if known.get(stream, 0) + 1 != version and (stream in known or not self.start):
                differs(position, f"version {version} of {stream.decode()} follows {known.get(stream, 0)}")
            known[stream] = version
            if type_name in REMOVING:
                self.removed_at[stream, type_name == DETACHED] = position

    def _check_contents(self, rows: Sequence[Sequence[bytes]], start: int) -> None:
        """Of what was selected the content is there, and is what the header names; of nothing else is any."""
        contents, privates, chosen, is_whole = self.contents, self.privates, self.chosen, not self.selection
        if not is_whole and min(contents.at, privates.at) >= start + len(rows):
            # Most of what was not selected: no content stands in all of this, and none may be due.
            streams = {row[3] for row in rows}
            if not any(map(chosen.get, streams)):
                chosen.update(dict.fromkeys(streams, False))
                return
        for position, (_, _, _, stream, _, type_name, named, private_named) in enumerate(rows, start):
            is_given, has_private = contents.at == position, privates.at == position
            # Of what type and domain a job is headers do not tell: it is selected if its first content in the range is there.
            may_begin = is_given and self.is_by_kind and (self.asked is None or stream in self.asked)
            is_due = is_whole or chosen.setdefault(stream, may_begin)
            if is_given != is_due:
                differs(position, "it was selected, and its content is left out" if is_due else "it was not selected")
            if has_private != bool(private_named and is_due and self.has_private):
                differs(position, "its private content is left out, or is there and should not be")
            if not is_due:
                continue
            content, private = contents.take(named), not has_private or privates.take(private_named)
            if not content or not private:
                self.missing[stream, bool(content) and type_name == ATTACHED] = position
            if type_name == b"archive.verified" or type_name == b"archive.erased":
                self.archives.append(content)
            elif content and type_name == ATTACHED and self.has_attachments:
                name = f"attachment-{position}-{json.loads(content)['data']['sha256']}"
                if name not in self.attached:
                    self.missing[stream, True] = position
                self.attached.discard(name)
            elif content and type_name == b"job.registered" and self.is_by_kind:
                data = json.loads(content)["data"]
                is_asked_for = all(data.get(it) == self.selection.get(it, data.get(it)) for it in ("type", "domain"))
                must(is_asked_for, position, "a job of another type or domain than was asked for was selected")

    def _check_removals(self) -> None:
        """What is gone is gone by an event; those beyond the range are given with their proofs."""
        for line in self.whole("removals.ndjson").splitlines():
            told, tree = json.loads(line), Tree()
            match: Any = self.header.fullmatch(told["header"].encode())
            must(match, "removals.ndjson", "a header in it is none")
            position, stream, why = int(match[2]), match[4], match[6]
            is_signed = self.end <= position < self.size and tree.add_cover(0, position, told["before"])
            tree.add([sha256(b"\0" + match[0]).digest()])
            is_signed = is_signed and tree.add_cover(position + 1, self.size, told["after"])
            must(is_signed and tree.root() == self.root, position, "it is not proved to be under the checkpoint")
            if why in REMOVING:
                self.removed_at[stream, why == DETACHED] = position
        for (stream, is_attached), position in sorted(self.missing.items(), key=lambda it: it[1]):
            if max(self.removed_at.get((stream, it), -1) for it in (False, is_attached)) <= position:
                differs(position, f"content of {stream.decode()} is gone, and no event says why")

    def _stamped(self, name: str) -> str:
        """What a time stamp (RFC 3161) says of the checkpoint: of its text, or of its note with the signatures it had then."""
        token, text = self.whole(name), self.note.rpartition(b"\n\n")[0] + b"\n"
        stamped = [self.note[: it.end()] for it in re.finditer(b"\n", self.note) if it.end() >= len(text)]
        for digest in (made(it).digest() for it in stamped for made in (sha256, sha384, sha512)):
            # In DER: the octets of the imprint, the integer of a serial number, the time.
            form = b"\x04%c" % len(digest) + re.escape(digest) + rb"\x02.{2,22}?\x18.([0-9]{4})(..)(..)(..)(..)(..)"
            if match := re.search(form, token, re.DOTALL):
                at = "{}-{}-{} {}:{}:{} UTC".format(*(it.decode() for it in match.groups()))
                how = f"{at}: openssl ts -verify -token_in -in {name} -digest {digest.hex()} -CAfile AUTHORITY.pem"
                return f"Proved: {name} is a time stamp of this checkpoint.\nNot proved: that it was made at {how}"
        raise DiffersError(f"{name}: it is no time stamp of this checkpoint")

    def continued(self, note: Note, keys: Sequence[Key]) -> str:
        """What is proved by a checkpoint that was kept: that this tree continues that one, as a sentence."""
        (origin, size, root), name = note.checkpoint(), note.where
        must(origin == self.origin, name, f"it is of the history {origin}, the export of {self.origin}")
        signers = {(signer, raw[:4]) for signer, raw in note.signatures}
        note.must_be_signed_by(next((it for it in keys if (it.name, it.id) in signers), self.key))
        if size not in self.roots:
            self.is_checked = False
            how = f"take one from position {size}, or before" if size < self.size else "take a newer export"
            return f"Not checked: whether it continues the {size} events of {name}, as it does not show these: {how}."
        must(self.roots[size] == root, name, f"one of the first {size} events was altered since it was signed")
        return f"Proved: It continues the history of the checkpoint of {size} events that was kept."

    def told(self) -> Iterator[str]:
        """What is proved, and what is not, as sentences."""
        removed, what = self.contents.removed, [f"{name} {it}" for name, it in self.selection.items() if name != "jobs"]
        what += [f"{len(self.asked)} jobs asked for by id"] if self.asked is not None else []
        yield f"Checkpoint: {self.size} events of {self.origin}, root {base64.b64encode(self.root).decode()}."
        each = f"each header from {self.start} to {self.end - 1} is the one that was signed, none left out"
        yield f"Proved: {each if self.start < self.end else f'the range is empty: no header before {self.end} is in it'}."
        yield f"Proved: {self.contents.number - removed} contents are those that their headers name."
        if what:
            yield f"Proved: of each job selected ({', '.join(what)}) every event of the range is there."
        if removed:
            yield f"Proved: {removed} contents are gone, each after an event that says so; their headers are there."
        if self.has_attachments:
            yield f"Proved: {sum('attach' in it for it in self.files)} attachments are as attached; any other an event removed."
        if self.is_by_kind:
            yield "Not proved: that no other job is of that type or domain; headers do not tell."
        if {"events.csv", "events.xml"} & set(self.files):
            yield "Not proved: that events.csv or events.xml says the same; it is the file that was signed with the rest."
        yield from self.stamps
        yield "Not proved: that what was recorded is true, nor that all that happened was recorded."
        if not self.is_signer_known:
            yield "consistent; signer not checked: give the key that you have from elsewhere by --key."


def check_export(options: argparse.Namespace, path: str, wanted: dict[int, bytes]) -> Export:
    """An export in which nothing differs; what is proved was said."""
    began_at, keys = time.process_time(), []  # type: float, list[Key]
    for given in options.key:
        texts = b"".join(pieces_of(given)).decode() if os.path.exists(given) else given
        keys += [Key(it.split()[-1], "--key") for it in texts.splitlines() if it.strip()]
    seen = [Note(b"".join(pieces_of(it)), it) for it in options.seen]
    with ExitStack() as files:
        export = Export(path, keys, files)
        export.check(seen, wanted)
    told = [*export.told(), *(export.continued(it, keys) for it in seen)]
    rate = export.counts["headers"] / max(time.process_time() - began_at, 1e-9)
    print(f"{path}: nothing differs; {rate:,.0f} headers a second of processor time.", *told, sep="\n")
    return export


def check_events(path: str, private: str, manifest: dict[str, Any]) -> tuple[dict[int, bytes], int]:
    """The leaves of an archive's events by position, and how many private contents there are; each is what its header says."""
    header = HEADER_FORM % re.escape(manifest["org"].encode())
    form = re.compile(rb'^\{"header":' + header + rb',"content":' + BODY, re.MULTILINE)
    privates = Contents(pieces_of(private, gzip.open), "private")
    versions, leaves = {}, {}  # type: dict[bytes, int], dict[int, bytes]
    rows = chain.from_iterable(rows_of(form, pieces_of(path, gzip.open), path))
    for line, at, _, stream, told, _, named, private_named, content in rows:
        position, version = int(at), int(told)
        must(version == versions.get(stream, 0) + 1, position, "a version of its stream is missing before it")
        is_named = not content or sha256(content).hexdigest().encode() == named
        must(is_named, position, "its content is not the one that its header names")
        if privates.at == position:
            privates.take(private_named)
        versions[stream], leaves[position] = version, sha256(b"\0" + line).digest()
    must(privates.at == BEYOND, privates.at, "a private content is given that belongs nowhere")
    jobs = {b"job-%d" % job: version for job, version, _members in manifest["jobs"]}
    must(len(jobs) == len(manifest["jobs"]), MANIFEST, "it names a job twice")
    for it in sorted(jobs.keys() | versions.keys()):
        must(versions.get(it) == jobs.get(it), it.decode(), "its events are not those that the manifest says")
    return leaves, privates.number


def check_archive(options: argparse.Namespace) -> bool:
    """Check an archive and say what is proved; whether all was checked."""
    path, base, is_proved = options.path, options.path[: -len(".ndjson.gz")], options.manifest_sha256 is not None
    where, private = base + ".manifest.json", base + ".private.ndjson.gz"
    digest, manifest = sha256(raw := b"".join(pieces_of(where))).hexdigest(), json.loads(raw)
    must(digest == (options.manifest_sha256 or digest).lower(), where, "it is not the manifest of that SHA-256")
    must(manifest["format"] == ARCHIVE_FORMAT, where, "it is of another format")
    files = {os.path.join(os.path.dirname(path), it): told for it, told in manifest["files"].items()}
    attached = (it for it in manifest["attachments"] if not it.get("erased"))
    files.update({os.path.join(base + ".attachments", it["file"]): it for it in attached})
    odd = [it for it in [*files, private] if os.path.exists(it) != (it in files)]
    must(not odd, min(odd, default=""), "it is missing, or the manifest does not name it")
    leaves, number_private = check_events(path, private if private in files else os.devnull, manifest)
    for name, told in files.items():
        must(digest_of(pieces_of(name)) == told["sha256"], name, "it is not the file that was written")
    counts = {"jobs": len(manifest["jobs"]), "events": len(leaves), "private": number_private}
    must(all(manifest["counts"][it] == counts[it] for it in counts), where, "its counts are not those of what there is")
    if options.export:
        export = check_export(options, options.export, leaves)
        must(not leaves, min(leaves, default=0), "the archive holds an event that the export does not cover")
        must(any(digest.encode() in it for it in export.archives), where, "no archive's event in the export names it")
        print("Proved: each header in the archive is the one in the export, and the ledger verified this manifest.")
        is_proved = export.is_checked or (is_proved and not options.seen)
    print("{}: nothing differs in {events} events of {jobs} jobs, each whole up to its version.".format(path, **counts))
    print(f"Proved: the files are those of the manifest of SHA-256 {digest}, each content is the one of its header.")
    if not options.export:
        print("Not proved: that anybody signed its headers (give --export), nor that what was recorded is true.")
    if not is_proved and not options.export:
        print("consistent; that the ledger verified it was not checked: give --manifest-sha256 or --export.")
    return is_proved


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; its exit code."""
    parser = argparse.ArgumentParser(description="Check an export, or an archive, of a Job Ledger.")
    parser.add_argument("path", help="an export (.zip or folder), or an archive (.ndjson.gz, its manifest beside it)")
    parser.add_argument("--key", action="append", default=[], help="the verifier key, or a file with one or more")
    parser.add_argument("--seen", action="append", default=[], metavar="CHECKPOINT", help="one that was kept, a file")
    parser.add_argument("--manifest-sha256", metavar="HEX", help="of an archive: what archive.verified says")
    parser.add_argument("--export", help="of an archive: an export that covers it")
    options = parser.parse_args(arguments)
    try:
        is_archive = options.path.endswith(".ndjson.gz")
        return not (check_archive(options) if is_archive else check_export(options, options.path, {}).is_checked)
    except DiffersError as error:
        print(f"{options.path}: DIFFERS. {error}.")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        print(f"{options.path}: DIFFERS. {MANIFEST}, or a proof: it does not read, {type(error).__name__}.")
    except OSError as error:
        print(f"{error.filename or options.path}: {error.strerror}.")
    return 1


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Whoever reads no further need not be told.
    gc.disable()  # Nothing here refers to itself: collecting would cost a tenth.
    sys.exit(main())
