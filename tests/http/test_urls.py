"""Whom a request is from, and where it was sent to: proxies are believed where they are trusted, nobody else is."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from jobledger.http import response_headers
from jobledger.http.urls import Edge, client_address, public_url, read_address
from jobledger.ledger.store.ledger import Ledger
from tests.http.serving import Api, served

OURS = ip_network("10.0.0.0/8")
EDGE = Edge(trusted_proxies=(OURS,))
BEHIND = Edge(trusted_proxies=(ip_network("127.0.0.0/8"), OURS), is_behind_proxy=True)

proxies = st.integers(1, 2**24 - 1).map(lambda number: str(IPv4Address("10.0.0.0") + number))
others = st.ip_addresses().filter(lambda address: address not in OURS and address.version == 4).map(str)
anything = st.one_of(
    others, proxies, st.sampled_from(["unknown", "", "1.2.3", "::::", "jl_acme_x", "_hidden", "999.1.1.1"])
)


def asked_by(peer: str, forwarded_for: str) -> web.Request:
    """A request as it comes from *peer*."""
    return make_mocked_request("GET", "/", CIMultiDict({"X-Forwarded-For": forwarded_for})).clone(remote=peer)


@given(st.lists(anything, max_size=4), others, st.lists(proxies, max_size=3), proxies)
def test_the_client_is_the_right_most_that_is_no_trusted_proxy(
    told: list[str], client: str, chain: list[str], peer: str
) -> None:
    """Whatever the client itself told stands further left, and changes nothing."""
    request = asked_by(peer, ", ".join([*told, client, *chain]))

    assert client_address(request, EDGE) == ip_address(client)


@given(st.lists(anything, max_size=4), others)
def test_nobody_else_is_believed(told: list[str], peer: str) -> None:
    """What a peer that is no trusted proxy says of others is nothing."""
    assert client_address(asked_by(peer, ", ".join(told)), EDGE) == ip_address(peer)
    assert client_address(asked_by(peer, ", ".join(told)), Edge()) == ip_address(peer)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.9", "192.0.2.9"),
        (" 192.0.2.9:4711 ", "192.0.2.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_addresses_are_read_as_proxies_write_them(text: str, address: str) -> None:
    assert str(read_address(text)) == address


@pytest.mark.parametrize("text", ["", "unknown", "1.2.3.4.5", "[", "[]", "example.org", "1.2.3.4, 5.6.7.8", "٣.1.1.1"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert read_address(text) is None


FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "jobs.example"}


@pytest.mark.parametrize(
    ("edge", "headers", "url"),
    [
        (Edge(), {}, "http://127.0.0.1:PORT"),
        (Edge(), {"Host": "jobs.internal:81"}, "http://jobs.internal:81"),
        (Edge(), FORWARDED, "http://127.0.0.1:PORT"),
        (Edge("https://public.example"), FORWARDED, "https://public.example"),
        (BEHIND, FORWARDED, "https://jobs.example"),
        (BEHIND, {"X-Forwarded-Proto": "HTTPS"}, "https://127.0.0.1:PORT"),
        (
            BEHIND,
            {"X-Forwarded-Proto": "http, https", "X-Forwarded-Host": "evil.example, a.example"},
            "https://a.example",
        ),
        (BEHIND, {"X-Forwarded-Proto": "javascript", "X-Forwarded-Host": 'a"><b'}, "http://127.0.0.1:PORT"),
        (EDGE, FORWARDED, "http://127.0.0.1:PORT"),
        (Edge(), {"Host": 'a"><script>'}, "http://127.0.0.1:PORT"),
        (Edge(), {"Host": "user@evil.example"}, "http://127.0.0.1:PORT"),
    ],
)
async def test_an_absolute_url_begins_with_the_public_one(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, edge: Edge, headers: dict[str, str], url: str
) -> None:
    """Else with the request's own host, as a trusted proxy tells it, and never with what is no host."""
    found: list[str] = []
    monkeypatch.setattr(response_headers, "is_https", lambda request: found.append(public_url(request)))
    async with served(ledger, edge=edge) as server:
        await Api(server.session, server.url).send("GET", server.url + "/healthz", headers=headers)

    assert [it.replace(f":{server.port}", ":PORT") for it in found] == [url]


async def test_an_event_names_the_client_and_not_the_proxy(ledger: Ledger) -> None:
    """By the same rule as everything else."""
    async with served(ledger, edge=BEHIND) as server:
        api = await server.client("operator")
        forwarded = {"X-Forwarded-For": "203.0.113.7, 192.0.2.9, 10.1.2.3"}
        reply = await api.post("jobs", {"type": "copy", "name": "n"}, headers=forwarded)
        page = await server.ledger.recorder.page("acme", reply.document["position"] - 1, 1)

    assert page.events[0].envelope()["type"] == "job.registered"
    assert b'"from":"192.0.2.9"' in (page.events[0].content or b"")


@pytest.mark.parametrize(
    ("edge", "headers", "is_strict"),
    [
        (Edge(), {}, False),
        (Edge("https://jobs.example"), {}, True),
        (Edge("http://jobs.example"), FORWARDED, False),
        (BEHIND, FORWARDED, True),
    ],
)
async def test_every_answer_has_the_headers_of_security(
    ledger: Ledger, edge: Edge, headers: dict[str, str], *, is_strict: bool
) -> None:
    """Refusals too; only where TLS is spoken is it insisted on."""
    async with served(ledger, edge=edge) as server:
        api = await server.client("operator")
        replies = [
            await api.get("jobs", headers=headers),
            await api.get("nowhere", headers=headers),
            await Api(server.session, server.url).send("GET", server.url + "/x", headers=headers),
            await api.commands({"command": "start", "id": 1}, headers=headers),
        ]
        unreadable = await server.raw(b"nonsense\r\n\r\n")

    for reply in replies:
        assert reply.headers["Server"] == "Job Ledger"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert ("Strict-Transport-Security" in reply.headers) is is_strict
    assert b"X-Content-Type-Options: nosniff" in unreadable
    assert b"application/problem+json" in unreadable
    assert b"aiohttp" not in unreadable
