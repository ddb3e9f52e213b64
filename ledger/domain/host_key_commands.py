"""Keys of other hosts that were trusted when they were first seen: each an event of the org."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from jobledger.ledger.domain.access import ORG_STREAM, Org
from jobledger.ledger.domain.command import Command, UnitOfWork
from jobledger.ledger.domain.job_work import WORK
from jobledger.ledger.errors import NotFoundError


class HostKeyTrusted(Org.Event):
    """From here on *host* is known by this key: ``fingerprint`` is ``SHA256:`` and base64, as OpenSSH shows it.

    It was trusted because it was the first that was seen, for the copying that job ``job_id`` does.
    """

    type_name: ClassVar[str] = "org.host_key_trusted"
    host: str
    port: int
    algorithm: str
    fingerprint: str
    job_id: int

    def apply(self, aggregate: Org) -> None:
        """Which keys are known stands in a file that an operator may change."""


@dataclass(slots=True, kw_only=True, eq=False)
class TrustHostKey(Command):
    """Record that a key is trusted on first use."""

    capability: ClassVar[str] = WORK
    host: str
    port: int
    algorithm: str
    fingerprint: str
    job_id: int

    def streams(self) -> Iterable[str]:
        """The org."""
        return (ORG_STREAM,)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError."""
        org = unit.get(Org, ORG_STREAM)
        if org is None:
            raise NotFoundError(f"There is no org {self.caller.org}.")
        org.trigger_event(
            HostKeyTrusted,
            timestamp=unit.now,
            host=self.host,
            port=self.port,
            algorithm=self.algorithm,
            fingerprint=self.fingerprint,
            job_id=self.job_id,
        )
        return {}
