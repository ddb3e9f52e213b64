"""Erasing a job in an archive's files: what is erased becomes ``null``, headers stay, and so does the place of everything else.

A gzip member that is written anew is as long as it was: what it spares is a comment of blanks in its head, so that the places of
jobs, which are in events, stay true. The files are written beside those that are there (see ``files``), and take their names once
the step was accepted that says by what they were replaced.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from jobledger.ledger.work.archiving.files import ATTACHMENTS, EVENTS, MANIFEST, PRIVATE, ArchiveFiles, sync_folder
from jobledger.ledger.work.archiving.manifest import Manifest, write_manifest
from jobledger.ledger.work.archiving.reading import LINE, PRIVATE_LINE, decompressed, digest_of_file
from jobledger.ledger.work.runner import WorkFailedError

ALL = "all"
COMMENT = 0x10
LEVELS = (6, 9)


class Erasing:
    """Rewrites an archive's files without a job's private contents, or, of *scope* all, without any.

    Its calls raise OSError, WorkFailedError.
    """

    def __init__(self, files: ArchiveFiles, job_id: int, scope: str, tag: str) -> None:
        self._files, self._job_id, self._scope, self._tag = files, job_id, scope, tag
        self._manifest = Manifest(files.path(MANIFEST))

    def write(self) -> dict[str, dict[str, Any]]:
        """Write them, durably; by name what each is, and was before. Nothing where there is nothing to erase any more."""
        head = self._manifest.head
        erased = [it for it in head.get("erased", []) if it["job_id"] == self._job_id]
        numbers = next((it[2] for it in self._manifest.jobs() if it[0] == self._job_id), None)
        if numbers is None or any(it["scope"] in (ALL, self._scope) for it in erased):
            return {}
        positions = self._positions(numbers)
        rewritten: dict[str, dict[str, Any]] = {}
        members = [self._manifest.members[it] for it in numbers]
        privates = [(it[5], it[6]) for it in members if it[6]]
        if privates:
            rewritten |= self._rewrite(PRIVATE, privates, lambda lines: _without_privates(lines, positions))
        if self._scope == ALL:
            places = [(it[0], it[1]) for it in members]
            rewritten |= self._rewrite(EVENTS, places, lambda lines: _without_contents(lines, positions))
        rewritten |= self._rewrite_manifest(rewritten)
        sync_folder(self._files.folder)
        return rewritten

    def _positions(self, numbers: Iterable[int]) -> frozenset[int]:
        stream = b"job-%d" % self._job_id
        with self._files.path(EVENTS).open("rb") as file:
            found = []
            for number in numbers:
                offset, length = self._manifest.members.place(number)
                file.seek(offset)
                lines = decompressed(file.read(length), number)
                found += [int(it[2]) for it in LINE.finditer(lines) if it[3] == stream]
        return frozenset(found)

    def _rewrite(
        self, suffix: str, places: Iterable[tuple[int, int]], without: Callable[[bytes], bytes]
    ) -> dict[str, dict[str, Any]]:
        path, part = self._files.path(suffix), self._files.part(suffix, self._tag)
        before = digest_of_file(path)[1]
        shutil.copyfile(path, part)
        with part.open("r+b") as file:
            for offset, length in places:
                file.seek(offset)
                member = member_of(without(decompressed(file.read(length), offset)), length)
                file.seek(offset)
                file.write(member)
            file.flush()
            os.fsync(file.fileno())
        size, digest = digest_of_file(part)
        return {path.name: {"size_bytes": size, "sha256": digest, "before": before}}

    def _rewrite_manifest(self, rewritten: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        manifest = self._manifest
        now = {name: {"size_bytes": it["size_bytes"], "sha256": it["sha256"]} for name, it in rewritten.items()}
        head = {
            **manifest.head,
            "files": {**manifest.head["files"], **now},
            "erased": [*manifest.head.get("erased", []), {"job_id": self._job_id, "scope": self._scope}],
        }
        attachments = [{**it, "erased": True} if it["job_id"] == self._job_id else it for it in manifest.attachments]
        lines = (
            b"[%d,%d,[%b]]" % (job, version, b",".join(b"%d" % it for it in at)) for job, version, at in manifest.jobs()
        )
        before = digest_of_file(manifest.path)[1]
        told = write_manifest(self._files.part(MANIFEST, self._tag), head, attachments, manifest.members, lines)
        return {manifest.path.name: {**told, "before": before}}


def settle(files: ArchiveFiles, tag: str | None) -> None:
    """Have the files of the newest rewriting that was accepted under their names, and what it erased gone. Raises OSError."""
    if tag is None:
        return
    files.publish(tag)
    for attachment in Manifest(files.path(MANIFEST)).attachments:
        if attachment.get("erased"):
            (files.path(ATTACHMENTS) / attachment["file"]).unlink(missing_ok=True)
    if files.path(ATTACHMENTS).is_dir():
        sync_folder(files.path(ATTACHMENTS))


def member_of(lines: bytes, length: int) -> bytes:
    """A whole gzip member of exactly this length. Raises WorkFailedError where the lines do not fit.

    10 bytes of head, a comment that ends with a zero byte, the deflated lines, CRC-32 and size.
    Source: RFC 1952, section 2.3
    """
    for level in LEVELS:
        deflating = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        deflated = deflating.compress(lines) + deflating.flush()
        spare = length - 18 - len(deflated)
        if spare >= 0:
            comment = b"" if spare == 0 else b" " * (spare - 1) + b"\0"
            head = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, COMMENT if comment else 0, 0, 0, 255)
            return head + comment + deflated + struct.pack("<II", zlib.crc32(lines), len(lines) & 0xFFFFFFFF)
    raise WorkFailedError("A member of the archive does not become smaller by what is erased.")


def _without_contents(lines: bytes, positions: frozenset[int]) -> bytes:
    def shown(line: re.Match[bytes]) -> bytes:
        if int(line[2]) not in positions:
            return line[0]
        return b'{"header":%b,"content":null}\n' % line[1]

    return LINE.sub(shown, lines)


def _without_privates(lines: bytes, positions: frozenset[int]) -> bytes:
    def shown(line: re.Match[bytes]) -> bytes:
        return line[0] if int(line[1]) not in positions else b'{"position":%b,"private":null}\n' % line[1]

    return PRIVATE_LINE.sub(shown, lines)
