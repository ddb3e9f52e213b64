"""Where an installation keeps what its evidence rests on: the keys that sign, and the witness."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobledger.ledger.evidence.keys import KeyRing, read_signing_keys
from jobledger.ledger.evidence.note import KEY_BYTES, SigningKey
from jobledger.ledger.evidence.witness import Witness
from jobledger.ledger.postgres.data_folder import synchronize
from jobledger.scripts.failure import FailedError
from jobledger.scripts.kept_file import keep
from jobledger.scripts.settings import Settings

SIGNING_KEY = "signing-key"
WITNESS = "witness"


@dataclass(frozen=True, slots=True)
class EvidencePlace:
    """``given``: the keys as the environment gives them; None: those in the file, one a line, the newest last."""

    folder: Path
    key_file: Path
    given: str | None = field(default=None, repr=False)

    @property
    def witness(self) -> Witness:
        """The witness in its folder."""
        return Witness(self.folder)

    def keys(self) -> KeyRing:
        """The keys; the file's are read again where one is missing. Raises FailedError."""
        return KeyRing(self._look_up)

    def _look_up(self) -> list[SigningKey]:
        try:
            return read_signing_keys(self.given if self.given is not None else self.key_file.read_text("utf-8"))
        except ValueError as error:
            raise FailedError(f"{self.key_file} {error}.") from None

    def add_key(self) -> SigningKey:
        """Another key in the file, on disk when this returns: servers find it when it is their turn to sign by it.

        Raises FailedError where keys come from the environment.
        """
        if self.given is not None:
            raise FailedError(
                "The signing key is in JOBLEDGER_SIGNING_KEY: put a new one behind it, with a comma between, in every server, "
                "start these again, and then say: jobledger key rotate."
            )
        key = SigningKey(os.urandom(KEY_BYTES))
        before = self.key_file.read_text("utf-8")
        descriptor, unfinished = tempfile.mkstemp(dir=self.key_file.parent, prefix=f".{self.key_file.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{before.rstrip()}\n{key.seed.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
        # If we die before this line there is no such key.
        os.rename(unfinished, self.key_file)
        synchronize(self.key_file.parent)
        return key

    def members(self) -> dict[str, Any]:
        """What ``read`` makes such a place of again."""
        return {"folder": str(self.folder), "key_file": str(self.key_file), "given": self.given}

    @classmethod
    def read(cls, members: dict[str, Any]) -> EvidencePlace:
        """The place of such members."""
        return cls(Path(members["folder"]), Path(members["key_file"]), members["given"])


def evidence_place(settings: Settings) -> EvidencePlace:
    """The installation's; at its first start its key is made. Raises FailedError."""
    data = settings.data.absolute()
    place = EvidencePlace(settings.witness or data / WITNESS, data / SIGNING_KEY, settings.signing_keys)
    if place.given is None:
        keep(place.key_file, os.urandom(KEY_BYTES).hex())
    place.keys()
    return place
