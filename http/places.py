"""How many requests of one org may wait at once, so that one org's rush leaves the others their turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from jobledger.ledger.errors import QueueIsFullError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MOST_WAITING = 1_000
MOST_STREAMS = 1_000
RETRY_AFTER_S = 1


class Places:
    """The places of each org in this process: so many for requests that wait, so many for streams."""

    def __init__(self, waiting: int = MOST_WAITING, streams: int = MOST_STREAMS) -> None:
        self._most = {False: waiting, True: streams}
        # By org and whether it is for streams; none that is 0.
        self._taken: dict[tuple[str, bool], int] = {}

    def take(self, org: str, *, is_stream: bool) -> Place:
        """A place. Raises QueueIsFullError at once where none is free."""
        taken = self._taken.get((org, is_stream), 0)
        if taken >= self._most[is_stream]:
            what = "streams are open" if is_stream else "requests are waiting"
            raise QueueIsFullError(f"Too many of this org's {what}.", retry_after_s=RETRY_AFTER_S)
        self._taken[org, is_stream] = taken + 1
        return Place(self, org, is_stream=is_stream)

    def leave(self, org: str, *, is_stream: bool) -> None:
        """Free a place."""
        left = self._taken[org, is_stream] - 1
        if left:
            self._taken[org, is_stream] = left
        else:
            del self._taken[org, is_stream]


class Place:
    """One request's place."""

    __slots__ = ("_is_stream", "_org", "_places")

    def __init__(self, places: Places, org: str, *, is_stream: bool) -> None:
        self._places = places
        self._org = org
        self._is_stream = is_stream

    @property
    def is_stream(self) -> bool:
        """Whether it is among the org's streams."""
        return self._is_stream

    def become_stream(self) -> None:
        """Change over to the streams. Raises QueueIsFullError where no stream's place is free."""
        if self._is_stream:
            return
        self._places.take(self._org, is_stream=True)
        self._places.leave(self._org, is_stream=False)
        self._is_stream = True

    def leave(self) -> None:
        """Give it back."""
        self._places.leave(self._org, is_stream=self._is_stream)


PLACES = web.AppKey("places", Places)
PLACE = web.RequestKey("place", Place)


def begin_stream(request: web.Request) -> None:
    """Say that this request goes on for as long as its client likes: no longer held to a rate, nor waiting with the others.

    To be called before the answer begins. Raises QueueIsFullError where the org has too many of them.
    """
    if PLACE in request:
        request[PLACE].become_stream()


def is_stream(request: web.BaseRequest) -> bool:
    """Whether the request has said so."""
    return PLACE in request and request[PLACE].is_stream
