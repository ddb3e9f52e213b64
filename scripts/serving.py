"""One process that serves: the ledger, its watch and the application over one listening socket, until it is stopped."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import resource
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobledger.http.app import USUAL_ATTACHMENT_BYTES, make_app
from jobledger.http.connections import MOST_CONNECTIONS, BoundedSite, make_runner
from jobledger.http.deadlines import DEADLINES
from jobledger.http.in_flight import IN_FLIGHT
from jobledger.http.metrics import Metrics
from jobledger.http.urls import Edge
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.store.secret_store import SecretStore
from jobledger.ledger.work.archiving.work import Archiving
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.ledger.work.checkpointing import Checkpointing
from jobledger.ledger.work.denied_attempts import DeniedAttempts
from jobledger.ledger.work.firing import Firing
from jobledger.ledger.work.host_keys import HostKeys
from jobledger.ledger.work.maintenance import Maintenance, forget_messages
from jobledger.ledger.work.remote import SshCopy
from jobledger.ledger.work.remote_host import RemoteHosts
from jobledger.ledger.work.rereading import Rereading
from jobledger.ledger.work.runner import Runner, Work
from jobledger.ledger.work.secret_sweep import SecretSweep
from jobledger.ledger.work.watch import Watch
from jobledger.projections.archive_query import ArchiveQuery
from jobledger.projections.job_query import JobQuery
from jobledger.projections.kind_query import KindQuery
from jobledger.projections.pruning import forget_heartbeats, sweep_secrets
from jobledger.projections.queue_query import QueueQuery
from jobledger.projections.rebuild.refresh import Refresh
from jobledger.projections.schedule_query import ScheduleQuery
from jobledger.projections.work_query import WorkQuery
from jobledger.scripts.evidence_place import EvidencePlace
from jobledger.scripts.export import exporting
from jobledger.scripts.failure import FailedError
from jobledger.scripts.folding import fold_in_processes
from jobledger.scripts.listening import BACKLOG, load_certificate, tls_context
from jobledger.scripts.log_lines import LineWriter
from jobledger.scripts.memory import settle_memory
from jobledger.scripts.opening import ledger_at
from jobledger.scripts.stop import Stop, unless

log = logging.getLogger(__name__)

# What a process opens besides its clients: the database, the certificate, what Python has open.
OTHER_FILES = 128
LEAST_CONNECTIONS = 64
# How long requests in flight are answered after a stop was requested, and how long those that were not take to be cancelled.
SHUTDOWN_S = 10.0
CANCELLING_S = 1.0
# How long what is queued may take to be decided when there is no time any more.
HURRIED_DRAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a serving process must know, whether it is the only one or one of several."""

    url: str = field(repr=False)
    cursor_key: bytes = field(repr=False)
    secret_key: bytes = field(repr=False)
    start_timeout_s: int
    data: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    is_behind_proxy: bool = False
    logs_requests: bool = True
    largest_attachment_bytes: int = USUAL_ATTACHMENT_BYTES
    scp_allow: tuple[str, ...] | None = None
    scp_known_hosts: Path | None = None
    scp_trusts_first: bool = False
    evidence: EvidencePlace | None = None

    @property
    def edge(self) -> Edge:
        """How the server is reached."""
        networks = tuple(map(ipaddress.ip_network, self.trusted_proxies))
        return Edge(self.public_url, networks, self.is_behind_proxy)

    @property
    def remote_hosts(self) -> RemoteHosts:
        """The hosts that archives may be copied to."""
        return RemoteHosts(None if self.scp_allow is None else [ipaddress.ip_network(it) for it in self.scp_allow])


async def serve_app(listener: socket.socket, plan: Plan, stop: Stop, tell_ready: Callable[[], None]) -> None:
    """Serve until *stop* is requested; then accept nothing new, answer what is in flight, and drain the ledger.

    Raises FailedError, DatabaseIsAwayError.
    """
    tls = None
    if plan.tls_certificate is not None and plan.tls_key is not None:
        tls = tls_context(plan.tls_certificate, plan.tls_key)
        _renew_on_hangup(tls, plan.tls_certificate, plan.tls_key)
    most_connections = _allow_connections()
    metrics = Metrics()
    async with ledger_at(plan.url, observer=metrics) as ledger:
        catch_up = CatchUp(ledger)
        denied = DeniedAttempts(ledger, KindQuery(ledger.database).kinds)
        secrets = SecretStore(ledger.database, plan.secret_key)
        evidence = plan.evidence
        checkpointing = None if evidence is None else Checkpointing(ledger, evidence.witness, evidence.keys())
        rereading = None if checkpointing is None else Rereading(ledger, checkpointing)
        app = make_app(
            ledger,
            cursor_key=plan.cursor_key,
            fetch_start_timeout_s=plan.start_timeout_s,
            edge=plan.edge,
            metrics=metrics,
            catch_up=catch_up,
            data=plan.data,
            largest_attachment_bytes=plan.largest_attachment_bytes,
            secrets=secrets,
            remote_hosts=plan.remote_hosts,
            denied=denied,
            trouble={} if checkpointing is None else {"witness": checkpointing.trouble},
        )
        lines = LineWriter()
        watch = Watch(ledger, JobQuery(ledger.database).overdue)
        firing = Firing(ledger, ScheduleQuery(ledger.database).due)
        refresh = Refresh(catch_up, fold_in_processes)
        forget = {"heartbeats_pruned": forget_heartbeats, "messages_pruned": forget_messages}
        works: list[Work] = [Maintenance(forget, refresh, QueueQuery(ledger.database).unused)]
        if plan.data is not None:
            keys = HostKeys(plan.scp_known_hosts or plan.data / "known_hosts", trusts_first=plan.scp_trusts_first)
            signed = None if evidence is None else EvidenceStore(ledger.database)
            copying = SshCopy(ledger, secrets, plan.remote_hosts, keys)
            works.append(Archiving(plan.data, ArchiveQuery(ledger.database).to_archive, copying, signed))
            if evidence is not None:
                works.append(exporting(ledger, plan.data, evidence))
        worker = Runner(ledger, WorkQuery(ledger.database).open, works)
        sweep = SecretSweep(ledger, sweep_secrets)
        runner = make_runner(
            app,
            most_connections=most_connections,
            write_line=lines.write if plan.logs_requests else None,
            handle_signals=False,
            shutdown_timeout=CANCELLING_S,
        )
        await runner.setup()
        try:
            if checkpointing is not None and rereading is not None:
                # Before anything is written: a database that was put back, or altered, is noticed.
                await checkpointing.start()
                await rereading.start()
            site = BoundedSite(runner, listener, tls=tls, backlog=BACKLOG, handshake_s=DEADLINES.tls_s)
            await site.start()
            await watch.start()
            await firing.start()
            await worker.start()
            await sweep.start()
            await catch_up.start()
            await denied.start()
            settle_memory()
            tell_ready()
            await stop.requested.wait()
            # If we die from here on, clients learn it by their connection: what was not answered may or may not have
            # been recorded, as ever.
            await site.stop()
            # Streams that would never end are told to by the application's on_shutdown; cleanup tells them again.
            await runner.shutdown()
            await unless(stop.hurried, app[IN_FLIGHT].end(SHUTDOWN_S))
        finally:
            await runner.cleanup()
            await worker.stop()
            await sweep.stop()
            await firing.stop()
            await watch.stop()
            await catch_up.stop()
            if checkpointing is not None and rereading is not None:
                await rereading.stop()
                await checkpointing.stop()
            # After the last answer: what it refused is told, too.
            await unless(stop.hurried, denied.stop())
            await unless(stop.hurried, ledger.close())
            if stop.hurried.is_set():
                # What could not be decided by now is not acknowledged either.
                await asyncio.wait([asyncio.ensure_future(ledger.close())], timeout=HURRIED_DRAIN_S)
            lines.flush()


def _renew_on_hangup(tls: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Take a renewed certificate at SIGHUP. Connections that are open keep theirs."""

    def renew() -> None:
        try:
            load_certificate(tls, certificate, key)
        except FailedError as error:
            log.error("%s The one before it goes on being shown.", error)
        else:
            log.info("The certificate %s was read again.", certificate)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, renew)


def _allow_connections() -> int:
    """How many clients may be connected at once: as many as there can be open files, less those needed otherwise."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft - OTHER_FILES, LEAST_CONNECTIONS)
    return MOST_CONNECTIONS
