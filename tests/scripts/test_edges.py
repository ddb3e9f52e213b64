"""The real server, seen from outside: TLS, what it logs, what it counts."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.scripts.place import PATIENCE_S, Place, Server, children, eventually, is_running, make_certificate

pytestmark = pytest.mark.slow

JOB = {"type": "copy", "name": "nightly"}


@contextmanager
def serving_tls(place: Place, folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server with the certificate in *folder*, and its port."""
    make_certificate(folder, "first")
    place.environment |= {"JOBLEDGER_TLS_CERT": str(folder / "cert"), "JOBLEDGER_TLS_KEY": str(folder / "key")}
    with (folder / "log").open("w") as log:
        process = place.spawn(
            "serve", "--host", "0.0.0.0", "--port", "0", *arguments, stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "https://0.0.0.0:" in line, (folder / "log").read_text()
        yield process, int(line.rpartition(":")[2])
    finally:
        process.terminate()
        process.communicate(timeout=30)


def context_for(folder: Path) -> ssl.SSLContext:
    """What trusts the certificate in *folder*, and no other."""
    return ssl.create_default_context(cafile=str(folder / "cert"))


def connect(port: int, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=PATIENCE_S)
    connection.connect()
    return connection


def ask(connection: http.client.HTTPConnection, path: str = "/healthz") -> http.client.HTTPResponse:
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_renewed_certificate_is_shown_after_a_hangup(place: Place, parent: Path, workers: str) -> None:
    """Connections that are open stay so; a pair that does not fit changes nothing."""
    with serving_tls(place, parent, "--workers", workers) as (process, port):
        first = context_for(parent)
        with closing(connect(port, first)) as before:
            answer = ask(before)
            (parent / "key").write_text("no key")
            process.send_signal(signal.SIGHUP)
            eventually(lambda: (parent / "log").read_text().count("goes on being shown") == int(workers))
            with closing(connect(port, first)) as still:
                assert ask(still).status == 200

            make_certificate(parent, "second")
            process.send_signal(signal.SIGHUP)
            eventually(lambda: (parent / "log").read_text().count("was read again") == int(workers))
            for _ in range(4):
                with closing(connect(port, context_for(parent))) as after:
                    assert ask(after).status == 200
            with pytest.raises(ssl.SSLCertVerificationError):
                connect(port, first)
            assert ask(before).status == 200

    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.alone
def test_a_handshake_that_never_ends_is_given_up(place: Place, parent: Path) -> None:
    """After ten seconds; others shake hands meanwhile."""
    with serving_tls(place, parent) as (_process, port), socket.create_connection(("127.0.0.1", port)) as silent:
        with closing(connect(port, context_for(parent))) as other:
            assert ask(other).status == 200
        silent.settimeout(PATIENCE_S)
        began_at = time.monotonic()
        try:
            said = silent.recv(1)
        except ConnectionError:
            said = b""

    assert said == b""
    assert time.monotonic() - began_at < 15


def scrape(server: Server) -> dict[str, float]:
    """The numbers, added up over their labels."""
    connection = server.connect()
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == 200, text
    found: dict[str, float] = {}
    for family in parse(text):
        for sample in family.samples:
            if "le" not in sample.labels:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def test_the_workers_answer_as_one(place: Place) -> None:
    """Whichever is asked; what a killed one had counted still counts, what it held no more."""
    with place.serving("--workers", "2") as server:
        first = scrape(server)
        for _ in range(20):
            assert server.ask("POST", "/default/jobs", [JOB])[0] == 201
        [counted] = {scrape(server)["jobledger_append_events_sum"] for _ in range(6)}
        worker = next(
            it for it in children(server.process.pid) if b"scripts.worker" in Path(f"/proc/{it}/cmdline").read_bytes()
        )
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: not is_running(worker))
        after = scrape(server)
        folders = list(Path("/tmp").glob("jobledger-metrics-*"))
        mine = [it for it in folders if list(it.glob(f"*_{worker}.db"))]
        server.stop()

    assert counted - first.get("jobledger_append_events_sum", 0.0) == 20
    assert after["jobledger_append_events_sum"] == counted
    assert after["jobledger_requests_total"] >= 27
    assert after["jobledger_ready"] == 1
    assert after["jobledger_disk_free_bytes"] > 0
    assert mine
    assert not any(it.exists() for it in mine)


def lines_of(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.read_text().splitlines()]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_line_of_the_log_is_json(place: Place, workers: str) -> None:
    """Those of requests and all others, and no secret is in one."""
    with place.serving("--workers", workers) as server:
        status, _ = server.ask("POST", "/default/jobs", [JOB])
        server.ask("GET", "/default/jobs?token=hidden-away")
        server.ask("GET", "/default/jobs", headers=server.authorization("wrong-password"))
        password = server.password
        server.stop()
        text, lines = server.log.read_text(), lines_of(server)

    requests = [it for it in lines if "route" in it]
    assert status == 201
    assert [it["status"] for it in requests if it["route"] == "/ledger/v1/{org}/jobs"] == [201, 400, 401]
    assert {it["address"] for it in requests} == {"127.0.0.1"}
    for secret in (password, "hidden-away", "wrong-password", server.authorization()["Authorization"].split()[1]):
        assert secret not in text


def test_requests_need_not_be_logged(place: Place) -> None:
    """JOBLEDGER_LOG=off: everything else is."""
    place.environment["JOBLEDGER_LOG"] = "off"
    with place.serving() as server:
        assert server.ask("GET", "/default/jobs")[0] == 200
        server.stop()

    assert not any("route" in line for line in lines_of(server))


def test_what_is_behind_a_proxy_need_not_have_tls(place: Place) -> None:
    """And then names the client that a trusted proxy names."""
    place.environment["JOBLEDGER_TRUSTED_PROXIES"] = "127.0.0.1"
    with place.serving("--behind-proxy") as server:
        headers = {**server.authorization(), "X-Forwarded-For": "192.0.2.9"}
        assert server.ask("GET", "/default/jobs", headers=headers)[0] == 200
        server.stop()

    assert "192.0.2.9" in {line.get("address") for line in lines_of(server)}
