"""Events live: a stream that stays at the ledger's head, as server-sent events or as NDJSON.

    retry: 1000
    id: 41                             ← from where it goes on, so that a client that is cut off at once knows it

    id: 42
    event: job.started
    data: {"header":{…},"content":{…}}

Nothing new: each 15 s a comment (``:``), or the id up to which a filter has looked; in NDJSON an empty line.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic

import orjson
from aiohttp import web

from jobledger.http.context import CALLER, DIALECT, REQUEST_ID
from jobledger.http.places import begin_stream
from jobledger.http.problem import problem_of
from jobledger.http.standing import STOPPING, Standing, may_still_read
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.errors import CorruptLedgerError, LedgerError, UnavailableError
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.following import Follower
from jobledger.ledger.store.tail import Form, LiveEvent, Stretch

log = logging.getLogger(__name__)

# When a client that was cut off comes back.
RETRY_MS = 1_000
KEEP_ALIVE_S = 15.0
# A client that takes nothing for so long is cut off; it comes back to where it was.
STALLED_S = 60.0
# How long the end of a stream may take to be sent.
ENDING_S = 1.0
# How long the first events, where there are any, keep the answer from beginning.
FIRST_S = 1.0
# How often it is asked whether those who listen still may, and still do.
RECHECK_S = 2.0


def shown_event(stored: StoredEvent) -> bytes:
    """The event as a JSON object that holds its stored bytes verbatim."""
    return b'{"header":%b,"content":%b}' % (stored.header, stored.content or b"null")


def server_sent_events(events: Sequence[LiveEvent]) -> bytes:
    """The events, each with its position as id and its type."""
    return b"".join(
        b"id: %d\nevent: %b\ndata: %b\n\n" % (it.stored.position, it.type_name.encode(), shown_event(it.stored))
        for it in events
    )


def json_lines(events: Sequence[LiveEvent]) -> bytes:
    """The events, a line each."""
    return b"".join(shown_event(it.stored) + b"\n" for it in events)


@dataclass(frozen=True, slots=True)
class Kind:
    """A form of stream. ``beginning`` and ``silence`` are given the last position that it has come to."""

    media_type: str
    form: Form
    beginning: Callable[[int], bytes]
    silence: Callable[[int | None], bytes]
    problem: Callable[[bytes], bytes]


SERVER_SENT_EVENTS = Kind(
    media_type="text/event-stream",
    form=server_sent_events,
    beginning=lambda position: b"retry: %d\nid: %d\n\n" % (RETRY_MS, position),
    silence=lambda position: b":\n\n" if position is None else b"id: %d\n\n" % position,
    problem=lambda document: b"event: problem\ndata: %b\n\n" % document,
)
JSON_LINES = Kind(
    media_type="application/x-ndjson",
    form=json_lines,
    beginning=lambda _position: b"\n",
    silence=lambda _position: b"\n",
    problem=lambda document: b'{"problem":%b}\n' % document,
)


class LiveStreams:
    """The live streams of an application, each ended when its caller may not read any more."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str], set[LiveStream]] = {}
        self._standings: dict[tuple[str, str], Standing] = {}
        self._task: asyncio.Task[None] | None = None

    async def keep(self, request: web.Request, capability: str, stream: LiveStream) -> None:
        """Let *stream* run until it ends by itself or has to."""
        caller = request[CALLER]
        stream.may_go_on = lambda now: may_still_read(caller, now, capability)
        # Asked once for each credential, however many streams were opened with it.
        shown = (request[DIALECT].credentials(request) or "", caller.org)
        self._streams.setdefault(shown, set()).add(stream)
        self._standings.setdefault(shown, Standing(request))
        if self._task is None:
            self._task = asyncio.create_task(self._recheck(), name="recheck of live streams")
        try:
            await stream.run()
        finally:
            same = self._streams[shown]
            same.discard(stream)
            if not same:
                del self._streams[shown], self._standings[shown]
            if not self._streams and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_S)
            for shown, standing in list(self._standings.items()):
                caller: Caller | None = None
                try:
                    caller = await standing.caller()
                except LedgerError:
                    # Let in no more; or it could not be told for too long, and the client asks for itself when it comes back.
                    pass
                except Exception:
                    log.exception("It could not be found out whether live streams may go on")
                    continue
                for stream in list(self._streams.get(shown, ())):
                    if stream.is_abandoned or caller is None or not stream.may_go_on(caller):
                        stream.end()


class LiveStream:
    """One answer that goes on: what a follower is given, in the form of its kind, up to *most* events."""

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        kind: Kind,
        follower: Follower,
        most: int | None,
        first: Stretch | None,
    ) -> None:
        self.may_go_on: Callable[[Caller], bool] = lambda _now: True
        self._request = request
        self._response = response
        self._kind = kind
        self._follower = follower
        self._most = most
        self._first = first
        self._told_at = monotonic()
        # The position that the client knows to go on from.
        self._told_position = follower.position - 1 if first is None else first.first - 1
        self._life = asyncio.timeout(None)
        self._is_running = False
        self._is_ended = False

    @property
    def is_abandoned(self) -> bool:
        """Whether the client has gone."""
        return self._request.transport is None or self._request.transport.is_closing()

    def end(self) -> None:
        """End it as soon as what is being written is; a client goes on where it ended."""
        if self._is_running and not self._is_ended:
            self._life.reschedule(asyncio.get_running_loop().time())
        self._is_ended = True

    async def run(self) -> None:
        """Write until the end."""
        try:
            await self._live()
        except ConnectionError:
            # The client has gone, and comes back when it likes.
            return

    async def _live(self) -> None:
        try:
            async with self._life:
                self._is_running = True
                try:
                    if not self._is_ended:
                        await self._write_all()
                finally:
                    self._is_running = False
        except TimeoutError:
            if not self._is_ended:
                # What a client did not take for so long it never may.
                self._cut_off()
                return
        except UnavailableError:
            # The server is stopping.
            pass
        except CorruptLedgerError as error:
            document = orjson.dumps(problem_of(error, self._request[REQUEST_ID]))
            await self._finish(self._response.write(self._kind.problem(document)))
        await self._finish(self._response.write_eof())

    async def _write_all(self) -> None:
        await self._write(self._kind.beginning(self._told_position))
        stretch = self._first
        while True:
            if stretch is not None and await self._tell(stretch):
                return
            if monotonic() >= self._told_at + KEEP_ALIVE_S:
                position = self._follower.position - 1
                is_further, self._told_position = position > self._told_position, position
                await self._write(self._kind.silence(position if is_further else None))
            stretch = await self._follower.next(self._told_at + KEEP_ALIVE_S - monotonic())

    async def _tell(self, stretch: Stretch) -> bool:
        """Write the stretch's events; whether they were the last."""
        if self._most is not None:
            stretch = Stretch(stretch.first, stretch.end, stretch.events[: self._most])
            self._most -= len(stretch.events)
        if stretch.events:
            self._told_position = stretch.events[-1].stored.position
            await self._write(stretch.rendered(self._kind.form))
        return self._most == 0

    async def _write(self, piece: bytes) -> None:
        """Write a piece. Raises TimeoutError where the client takes nothing."""
        async with asyncio.timeout(STALLED_S):
            await self._response.write(piece)
        self._told_at = monotonic()

    async def _finish(self, ending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(ENDING_S):
                await ending
        except TimeoutError:
            self._cut_off()

    def _cut_off(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()


LIVE = web.AppKey("live", LiveStreams)


async def live_events(
    request: web.Request, kind: Kind, follower: Follower, *, most: int | None, capability: str
) -> web.StreamResponse:
    """The answer that tells what *follower* is given. Raises CorruptLedgerError where the first of it cannot be read."""
    request.app[STOPPING].must_not_have_begun()
    # What is wrong with the first events is still told by the status.
    first = await follower.next(FIRST_S if follower.is_behind else 0)
    # A proxy that gathers what it passes on would keep events from their reader.
    response = web.StreamResponse(headers={"Content-Type": kind.media_type, "X-Accel-Buffering": "no"})
    try:
        begin_stream(request)
        await response.prepare(request)
    except ConnectionError:
        # The client has gone already.
        return response
    if request.method == "HEAD":
        await response.write_eof()
    else:
        stream = LiveStream(request, response, kind, follower, most, first)
        with request.app[STOPPING].told_to(stream.end):
            await request.app[LIVE].keep(request, capability, stream)
    return response
