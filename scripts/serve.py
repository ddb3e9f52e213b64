"""``jobledger serve``."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass

from jobledger.scripts.first_start import ensure_admin, password_path
from jobledger.scripts.installation import Installation, check_installation, host_database
from jobledger.scripts.listening import listen, must_be_safe, url_of
from jobledger.scripts.log_lines import log_as_json_lines
from jobledger.scripts.opening import ledger_at
from jobledger.scripts.serving import Plan, serve_app
from jobledger.scripts.settings import Settings
from jobledger.scripts.stop import Stop, unless
from jobledger.scripts.workers import serve_by_workers

# What one serving process may have open, and what is left for everybody else.
CONNECTIONS_A_WORKER = 20
OTHER_CONNECTIONS = 60


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where and how to serve. *port* 0: any that is free."""

    host: str
    port: int
    workers: int
    is_behind_proxy: bool


async def serve(settings: Settings, options: ServeOptions) -> None:
    """Serve until SIGINT or SIGTERM. Raises UsageError, FailedError, EmbeddedPostgresError, SchemaError."""
    log_as_json_lines()
    stop = Stop()
    stop.heed_signals()
    must_be_safe(options.host, settings, is_behind_proxy=options.is_behind_proxy)
    with closing(listen(options.host, options.port)) as listener:
        async with AsyncExitStack() as stack:
            # A first start may take long, a recovery too: both are given up when we are asked to stop.
            installation = await unless(
                stop.requested, stack.enter_async_context(_serving_installation(settings, options.workers))
            )
            if installation is not None:
                await _serve(installation, settings, options, listener, stop)


@asynccontextmanager
async def _serving_installation(settings: Settings, workers: int) -> AsyncIterator[Installation]:
    """The installation, its Postgres running here unless it has another, and its admin made."""
    async with AsyncExitStack() as stack:
        url = settings.database_url
        if url is None:
            connections = str(CONNECTIONS_A_WORKER * workers + OTHER_CONNECTIONS)
            database = await stack.enter_async_context(
                host_database(settings, postgres={"max_connections": connections})
            )
            url = database.url
        installation = await check_installation(settings, url)
        async with ledger_at(url, readers=1, writers=1) as ledger:
            await ensure_admin(ledger, settings)
        yield installation


async def _serve(
    installation: Installation, settings: Settings, options: ServeOptions, listener: socket.socket, stop: Stop
) -> None:
    plan = Plan(
        url=installation.url,
        cursor_key=installation.key_for("cursor"),
        start_timeout_s=int(settings.start_timeout.total_seconds()),
        tls_certificate=settings.tls_certificate,
        tls_key=settings.tls_key,
        data=installation.data.absolute(),
        public_url=settings.public_url,
        trusted_proxies=settings.trusted_proxies,
        is_behind_proxy=options.is_behind_proxy,
        logs_requests=settings.logs_requests,
        largest_attachment_bytes=settings.largest_attachment_bytes,
        secret_key=installation.key_for("secret"),
        scp_allow=settings.scp_allow,
        scp_known_hosts=(settings.scp_known_hosts or installation.data / "known_hosts").absolute(),
        scp_trusts_first=settings.scp_trusts_first,
        evidence=installation.evidence,
    )
    tell_ready = _told(installation, url_of(listener, is_tls=settings.tls_certificate is not None))
    if options.workers == 1:
        await serve_app(listener, plan, stop, tell_ready)
    else:
        await serve_by_workers(listener, plan, options.workers, stop, tell_ready)


def _told(installation: Installation, url: str) -> Callable[[], None]:
    def tell_ready() -> None:
        print(f"Job Ledger serves {url}", flush=True)
        path = password_path(installation.data)
        if path.exists():
            print(f"The password of admin lies in {os.path.abspath(path)}", flush=True)

    return tell_ready
