"""How long a client may take over its part of the conversation."""

from __future__ import annotations

from dataclasses import dataclass

from jobledger.ledger.errors import InvalidCommandError


class TooSlowError(InvalidCommandError):
    """The request took too long to arrive."""

    code = "too_slow"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds; ``least_rate`` in bytes a second.

    ``head_s``: from a request's first byte, or from connecting, to the end of its headers. ``keep_alive_s``: between two
    requests. ``idle_s``, ``stream_idle_s``: without a byte of a body that has begun, and of one that is a stream.
    ``rate_s``: over so long a body must come, and an answer be taken, at the least rate. ``tls_s``: for a handshake.
    ``closing_s``: until the other side lets go of a connection that we have closed.
    """

    head_s: float = 20.0
    keep_alive_s: float = 75.0
    idle_s: float = 30.0
    stream_idle_s: float = 300.0
    rate_s: float = 30.0
    least_rate: float = 1024.0
    tls_s: float = 10.0
    closing_s: float = 15.0

    @property
    def look_every_s(self) -> float:
        """How often connections are looked at: what is too slow is noticed so much later at most."""
        return min(1.0, self.head_s / 4, self.idle_s / 4, self.stream_idle_s / 4, self.rate_s / 4, self.closing_s / 4)


DEADLINES = Deadlines()
