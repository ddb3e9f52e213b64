"""Writing a zip that depends on nothing but its contents: fixed dates, no gaps, the sizes always as zip64 has them.

Each file is compressed into a part of its own while it is made; the zip is then put together of these.
                                                       Source: PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from isal import isal_zlib

COMPRESSION = 1
VERSION = 45
# Of a size or an offset: that it stands among the further members, in eight bytes.
ELSEWHERE = 0xFFFFFFFF
STORED, DEFLATED = 0, 8
# 1980-01-01, the first that a zip can say; and a file that all may read.
DATE, MODE = 33, 0o100644 << 16
COPIED_AT_ONCE = 1 << 20


class Entry:
    """A file that is to be in a zip, being written to a part of its own."""

    def __init__(self, name: str, part: Path, method: int = DEFLATED) -> None:
        self.name = name
        self.method = method
        self.part = part
        self.size = self.stored_size = self.checksum = 0
        self._digest, self._stored_digest = sha256(), sha256()
        self._file: BinaryIO = part.open("xb")
        self._packing: Any = isal_zlib.compressobj(COMPRESSION, wbits=-15) if method == DEFLATED else None

    def write(self, piece: bytes) -> None:
        """Add to it. Raises OSError."""
        self.size += len(piece)
        self._digest.update(piece)
        self.checksum = crc32(piece, self.checksum)
        self._store(piece if self._packing is None else self._packing.compress(piece))

    def finish(self) -> dict[str, Any]:
        """Its members in a manifest. Raises OSError."""
        if self._packing is not None:
            self._store(self._packing.flush())
        self._file.close()
        told: dict[str, Any] = {"size_bytes": self.size, "sha256": self._digest.hexdigest()}
        if self.method == DEFLATED:
            told |= {"deflated_bytes": self.stored_size, "deflated_sha256": self._stored_digest.hexdigest()}
        return told

    def close(self) -> None:
        """Write no more, whatever is missing."""
        self._file.close()

    def _store(self, raw: bytes) -> None:
        self.stored_size += len(raw)
        self._stored_digest.update(raw)
        self._file.write(raw)

    def local_header(self) -> bytes:
        """What stands before it in the zip."""
        return (
            b"PK\3\4" + self._members() + struct.pack("<H", 20) + self._name + struct.pack("<HH", 1, 16) + self._sizes()
        )

    def directory_entry(self, offset: int) -> bytes:
        """What the directory says of it."""
        tail = struct.pack("<HHHHII", 28, 0, 0, 0, MODE, ELSEWHERE)
        further = struct.pack("<HH", 1, 24) + self._sizes() + struct.pack("<Q", offset)
        return b"PK\1\2" + struct.pack("<BB", VERSION, 3) + self._members() + tail + self._name + further

    @property
    def _name(self) -> bytes:
        return self.name.encode()

    def _sizes(self) -> bytes:
        return struct.pack("<QQ", self.size, self.stored_size)

    def _members(self) -> bytes:
        told = (VERSION, 0, self.method, 0, DATE, self.checksum, ELSEWHERE, ELSEWHERE, len(self._name))
        return struct.pack("<HHHHHIIIH", *told)


def write_zip(path: Path, entries: Iterable[Entry]) -> dict[str, Any]:
    """Put the zip together, durably; its ``{"size_bytes", "sha256"}``. The parts are gone then. Raises OSError."""
    digest, size, number, directory = sha256(), 0, 0, b""
    with path.open("xb") as file:

        def write(piece: bytes) -> None:
            nonlocal size
            digest.update(piece)
            size += len(piece)
            file.write(piece)

        for entry in entries:
            directory += entry.directory_entry(size)
            number += 1
            write(entry.local_header())
            with entry.part.open("rb") as part:
                while piece := part.read(COPIED_AT_ONCE):
                    write(piece)
            entry.part.unlink()
        start = size
        write(directory)
        length = len(directory)
        write(b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, VERSION, VERSION, 0, 0, number, number, length, start))
        write(b"PK\6\7" + struct.pack("<IQI", 0, start + length, 1))
        write(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, number, number, length, ELSEWHERE, 0))
        file.flush()
        os.fsync(file.fileno())
    return {"size_bytes": size, "sha256": digest.hexdigest()}


def unpack(path: Path, folder: Path) -> None:
    """The zip's files in a folder that is made for them. Raises OSError."""
    import zipfile

    folder.mkdir()
    with zipfile.ZipFile(path) as zipped:
        for name in zipped.namelist():
            with zipped.open(name) as source, (folder / name).open("xb") as target:
                shutil.copyfileobj(source, target, COPIED_AT_ONCE)
