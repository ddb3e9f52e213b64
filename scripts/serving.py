"""One process that serves: the ledger, its watch and the application over one listening socket, until it is stopped."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from jobledger.http.app import make_app
from jobledger.http.connections import make_runner
from jobledger.ledger.work.watch import Watch
from jobledger.projections.job_query import JobQuery
from jobledger.scripts.in_flight import InFlight
from jobledger.scripts.listening import BACKLOG, tls_context
from jobledger.scripts.opening import ledger_at
from jobledger.scripts.stop import Stop, unless

# How long requests in flight are answered after a stop was requested, and how long those that were not take to be cancelled.
SHUTDOWN_S = 10.0
CANCELLING_S = 1.0
# How long what is queued may take to be decided when there is no time any more.
HURRIED_DRAIN_S = 2.0
# Each append makes a few thousand objects that are gone with it: looking for cycles among them pays seldom.
OBJECTS_BETWEEN_COLLECTIONS = 50_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a serving process must know, whether it is the only one or one of several."""

    url: str = field(repr=False)
    cursor_key: bytes = field(repr=False)
    start_timeout_s: int
    tls_certificate: Path | None = None
    tls_key: Path | None = None


async def serve_app(listener: socket.socket, plan: Plan, stop: Stop, tell_ready: Callable[[], None]) -> None:
    """Serve until *stop* is requested; then accept nothing new, answer what is in flight, and drain the ledger.

    Raises FailedError, DatabaseIsAwayError.
    """
    tls = None
    if plan.tls_certificate is not None and plan.tls_key is not None:
        tls = tls_context(plan.tls_certificate, plan.tls_key)
    async with ledger_at(plan.url) as ledger:
        app = make_app(ledger, cursor_key=plan.cursor_key, fetch_start_timeout_s=plan.start_timeout_s)
        in_flight = InFlight(app)
        watch = Watch(ledger, JobQuery(ledger.database).overdue)
        runner = make_runner(app, handle_signals=False, shutdown_timeout=CANCELLING_S)
        await runner.setup()
        try:
            site = web.SockSite(runner, listener, ssl_context=tls, backlog=BACKLOG)
            await site.start()
            await watch.start()
            _settle_memory()
            tell_ready()
            await stop.requested.wait()
            # If we die from here on, clients learn it by their connection: what was not answered may or may not have
            # been recorded, as ever.
            await site.stop()
            # Streams that would never end are told to by the application's on_shutdown; cleanup tells them again.
            await runner.shutdown()
            await unless(stop.hurried, in_flight.end(SHUTDOWN_S))
        finally:
            await runner.cleanup()
            await watch.stop()
            await unless(stop.hurried, ledger.close())
            if stop.hurried.is_set():
                # What could not be decided by now is not acknowledged either.
                await asyncio.wait([asyncio.ensure_future(ledger.close())], timeout=HURRIED_DRAIN_S)


def _settle_memory() -> None:
    """Take what the start has made out of the collector's sight."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
