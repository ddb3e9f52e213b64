"""Answers that go on and on: whether their caller is still let in, and that they end when the server stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from aiohttp import web

from jobledger.http.context import ACCESS, ASKED_AT, CALLER, DIALECT
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.errors import NotLetInError, UnavailableError

# How often it is asked anew whether whoever sends one long request may go on.
ASK_AGAIN_S = 1.0
# For so long who was let in goes on while it cannot be told: the database is away, or too many passwords are being looked at.
# That says nothing of the caller; but neither may a caller who was shut out meanwhile go on for ever.
UNTOLD_S = 60.0


class Standing:
    """Whether a caller is still let in, and may still do what it could, while one request of its goes on and on.

    Who is disabled, or whose credentials were revoked, have expired or were changed, is out at the next question.
    """

    def __init__(self, request: web.Request, asked_at: float | None = None) -> None:
        self._access = request.app[ACCESS]
        self._shown = request[DIALECT].credentials(request)
        self._caller: Caller = request[CALLER]
        self._told_at = self._asked_at = monotonic() if asked_at is None else asked_at

    async def caller(self, untold_s: float = UNTOLD_S) -> Caller:
        """The caller with what it may do now, or a second ago.

        Raises NotLetInError; and UnavailableError where it could not be told for *untold_s*.
        """
        now = monotonic()
        if now >= self._asked_at + ASK_AGAIN_S:
            self._asked_at = now
            known = self._caller
            try:
                found = await self._access.known(self._shown, known.org, known.address)
            except UnavailableError:
                if now >= self._told_at + untold_s:
                    raise
                return known
            if found is None or (found.org, found.principal) != (known.org, known.principal):
                raise NotLetInError("What was shown with this request lets nobody in any more.")
            self._caller = found.asking(known.via, known.address, known.request)
            self._told_at = now
        return self._caller


async def ask_standing(request: web.Request) -> None:
    """Before anything is decided on a body that took its time: its caller is who it is by now.

    Nothing has been done yet, so that where it cannot be told the request is refused. Raises NotLetInError, UnavailableError.
    """
    if CALLER in request and monotonic() >= request[ASKED_AT] + ASK_AGAIN_S:
        request[CALLER] = await Standing(request, request[ASKED_AT]).caller(untold_s=0)


def may_still_read(first: Caller, now: Caller, capability: str) -> bool:
    """Whether who began to read may go on. With other domains it is judged anew, when the client comes back."""
    return now.domains == first.domains and capability in now.capabilities


class Stopping:
    """Tells the answers that go on that the server stops."""

    def __init__(self) -> None:
        self._ends: set[Callable[[], None]] = set()
        self._has_begun = False

    def must_not_have_begun(self) -> None:
        """Raise UnavailableError when the server is stopping."""
        if self._has_begun:
            raise UnavailableError("The server is stopping.", retry_after_s=2)

    @contextmanager
    def told_to(self, end: Callable[[], None]) -> Iterator[None]:
        """Call *end* when the server stops, at once if it does already, for as long as the context lasts."""
        if self._has_begun:
            end()
        self._ends.add(end)
        try:
            yield
        finally:
            self._ends.discard(end)

    async def begin(self, _app: web.Application) -> None:
        """End them all, and let none begin."""
        self._has_begun = True
        for end in list(self._ends):
            end()


STOPPING = web.AppKey("stopping", Stopping)
