"""One of several serving processes, as their parent starts it: ``python -m jobledger.scripts.worker FD``.

FD is the listening socket. Standard input gives one line, the plan as JSON, and then stays open for as long as the parent
lives: at its end this process ends too. When it serves it writes one line to standard output.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import uvloop

from jobledger.scripts.evidence_place import EvidencePlace
from jobledger.scripts.failure import sentence_of
from jobledger.scripts.log_lines import log_as_json_lines
from jobledger.scripts.serving import Plan, serve_app
from jobledger.scripts.stop import Stop

log = logging.getLogger(__name__)

READY = b"ready\n"
# How long a worker whose parent is gone goes on answering: its Postgres is gone too, if that was embedded.
ORPHAN_S = 2.0


def encode_plan(plan: Plan) -> bytes:
    """The line that a worker reads. Secrets travel by it, not by arguments or environment, which others can see."""
    members = {
        "url": plan.url,
        "cursor_key": plan.cursor_key.hex(),
        "start_timeout_s": plan.start_timeout_s,
        "tls_certificate": plan.tls_certificate and str(plan.tls_certificate),
        "tls_key": plan.tls_key and str(plan.tls_key),
        "data": plan.data and str(plan.data),
        "public_url": plan.public_url,
        "trusted_proxies": plan.trusted_proxies,
        "is_behind_proxy": plan.is_behind_proxy,
        "logs_requests": plan.logs_requests,
        "largest_attachment_bytes": plan.largest_attachment_bytes,
        "secret_key": plan.secret_key.hex(),
        "scp_allow": plan.scp_allow,
        "scp_known_hosts": plan.scp_known_hosts and str(plan.scp_known_hosts),
        "scp_trusts_first": plan.scp_trusts_first,
        "evidence": plan.evidence and plan.evidence.members(),
    }
    return json.dumps(members).encode() + b"\n"


def decode_plan(line: bytes) -> Plan:
    """The plan in such a line."""
    members = json.loads(line)
    return Plan(
        url=members["url"],
        cursor_key=bytes.fromhex(members["cursor_key"]),
        start_timeout_s=members["start_timeout_s"],
        tls_certificate=members["tls_certificate"] and Path(members["tls_certificate"]),
        tls_key=members["tls_key"] and Path(members["tls_key"]),
        data=members["data"] and Path(members["data"]),
        public_url=members["public_url"],
        trusted_proxies=tuple(members["trusted_proxies"]),
        is_behind_proxy=members["is_behind_proxy"],
        logs_requests=members["logs_requests"],
        largest_attachment_bytes=members["largest_attachment_bytes"],
        secret_key=bytes.fromhex(members["secret_key"]),
        scp_allow=None if members["scp_allow"] is None else tuple(members["scp_allow"]),
        scp_known_hosts=members["scp_known_hosts"] and Path(members["scp_known_hosts"]),
        scp_trusts_first=members["scp_trusts_first"],
        evidence=members["evidence"] and EvidencePlace.read(members["evidence"]),
    )


async def work(listener: socket.socket) -> None:
    """Serve until a signal comes, or the parent goes."""
    stop = Stop()
    stop.heed_signals()
    loop = asyncio.get_running_loop()
    parent = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(parent), sys.stdin.buffer)
    plan = decode_plan(await parent.readline())
    orphaned = asyncio.create_task(_stop_when_orphaned(parent, stop))
    await serve_app(listener, plan, stop, _tell_ready)
    orphaned.cancel()


async def _stop_when_orphaned(parent: asyncio.StreamReader, stop: Stop) -> None:
    await parent.read()
    log.warning("The parent of this worker is gone; the worker stops.")
    stop.requested.set()
    await asyncio.sleep(ORPHAN_S)
    stop.hurried.set()


def _tell_ready() -> None:
    os.write(1, READY)
    # Nobody reads on.
    os.dup2(2, 1)


def main() -> int:
    """Be a worker; the exit code."""
    # Where there is a certificate to be renewed it is heeded later; it is no reason to end.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log_as_json_lines()
    try:
        uvloop.run(work(socket.socket(fileno=int(sys.argv[1]))))
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        log.error("%s", sentence)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
