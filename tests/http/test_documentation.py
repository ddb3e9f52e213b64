"""The API's description: that it is whole, valid, and open to anybody; that every answer is as it says is checked in ``served``."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import orjson
import pytest
from aiohttp import web

from jobledger.http.context import DIALECTS
from jobledger.http.documentation import DOCUMENTATION
from jobledger.http.native.answers import JOB
from jobledger.http.openapi import places_of
from jobledger.http.space.dialect import CONSUMERS
from jobledger.http.urls import Edge
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.jobs import SHOWN
from tests.http.described import an_app, document, validator
from tests.http.serving import Server, served
from tests.http.targets import DOCUMENT_POSTS

PATHS = ("/openapi.json", "/docs")
# What a schema cannot say, or says of integers alone, which are also taken as texts.
BEYOND_A_SCHEMA = {"a\tb", "a\nb", "é" * 513, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1899-12-31T23:59:59Z"}
BEYOND_A_SCHEMA |= {"2026-11-21T22:34:05.1234567890Z", "2026-11-21T22:34:60Z", "/w==", ",".join(["1"] * 10_001)}


class Page(HTMLParser):
    """What is in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.add(value or "")


@pytest.mark.slow
def test_it_is_valid_openapi() -> None:
    # Importing it costs every process of the tests more than all else here.
    from openapi_spec_validator import validate

    validate(document())


def test_every_route_is_described() -> None:
    """Found in the router by other means than the description's."""
    described = {(method.upper(), path) for path, methods in document()["paths"].items() for method in methods}
    for route in an_app().router.routes():
        if route.method != "HEAD" and route.resource is not None:
            path = route.resource.canonical.replace("{slash}", "/")
            like = re.compile(re.sub(r"\\{(verb|console)\\}", "[a-z_]+", re.escape(path)))
            assert any(route.method == method and like.fullmatch(known) for method, known in described), path


def test_a_handler_that_says_nothing_of_itself_is_refused() -> None:
    app = an_app()

    async def silent(_request: web.Request) -> web.Response:
        return web.Response()

    app.router.add_get("/ledger/v1/{org}/silent", silent)

    with pytest.raises(TypeError, match="silent has no @operation"):
        places_of(app.router, app[DIALECTS])


def test_operations_have_names_of_their_own() -> None:
    names = [it["operationId"] for methods in document()["paths"].values() for it in methods.values()]

    assert len(names) == len(set(names))
    assert all(it["summary"] for methods in document()["paths"].values() for it in methods.values())


def test_the_description_is_compared_with_answers() -> None:
    """A status, a media type, a member too many, one too few, one of another kind: each is seen."""
    whole = {"org": "acme", "capabilities": [], "principal": {}}
    found = validator("get", "/ledger/v1/{org}/me", 200, "application/json")

    assert validator("get", "/ledger/v1/{org}/me", 409, "application/json").startswith("409 is not among")
    assert validator("get", "/ledger/v1/{org}/me", 200, "text/html").startswith("text/html is not among")
    assert len(list(found.iter_errors({**whole, "more": 1}))) > len(list(found.iter_errors(whole)))
    assert len(list(found.iter_errors({**whole, "org": 1}))) > len(list(found.iter_errors(whole)))
    assert len(list(found.iter_errors({}))) == len(whole)


def test_a_job_is_described_member_by_member() -> None:
    assert list(JOB["properties"]) == list(SHOWN.values())


def test_what_each_path_of_a_dialect_passes_over_is_told() -> None:
    """As the original lists it among the parameters; a token in the query is a security scheme."""
    for path, methods in document()["paths"].items():
        for method, said in methods.items():
            names = [it["name"] for it in said.get("parameters", []) if it.get("in") == "query"]
            assert names.count("f") == path.startswith("/{org_id}/{item_id}/"), (method, path)
            assert "token" not in names


def test_only_answers_that_mark_replays_are_said_to() -> None:
    """Lines are answered as they were, a login's token is shown once, what is done to a session is no operation, links of
    consumers say themselves what was taken, and what attests a checkpoint is attached once, however often it is sent.
    """
    sessions = {
        f"/{console}/api/{path}"
        for console in ("webconsole", "commandcenter")
        for path in ("Login", "Logout", "RenewLoginToken", "WhoAmI")
    }
    consumers = f"{CONSUMERS}/attributes-0/{{consumer_id}}"
    links = {
        f"{consumers}/{it}" for it in ("consume-next{place}", "acknowledge-next{place}", "acknowledgement{message}")
    }
    attested = {f"/ledger/v1/{{org}}/checkpoint/{{size}}/{it}" for it in ("cosignatures", "timestamp")}
    unmarked = {
        path
        for path, methods in document()["paths"].items()
        for status, answer in methods.get("post", {}).get("responses", {}).items()
        if status.startswith("2") and "Idempotent-Replayed" not in answer["headers"]
    }

    assert unmarked == {"/ledger/v1/{org}/commands", "/api/auth/token/", CONSUMERS} | sessions | links | attested


def body_of(path: str) -> Any:
    """What a POST to the path takes in JSON, and whether it must be there."""
    body = document()["paths"][f"/ledger/v1/{{org}}/{path}"]["post"]["requestBody"]
    return body["required"], body["content"]["application/json"]["schema"]


@pytest.mark.parametrize(
    ("path", "given", "is_described"),
    [
        ("principals", {"name": "a", "roles": ["client", "auditor"]}, True),
        ("principals", {"name": "a", "roles": ["king"]}, False),
        ("principals/{principal_id}", {}, False),
        ("principals/{principal_id}", {"domains": []}, True),
        ("tokens", {}, False),
        ("tokens", {"label": "x"}, False),
        ("tokens", {"principal": "a"}, True),
        ("tokens", {"principal": "a", "principal_id": None}, True),
        ("tokens", {"principal_id": 1}, True),
        ("tokens", {"principal": "a", "principal_id": 1}, False),
        ("tokens", {"principal": None}, False),
    ],
)
def test_what_a_body_must_have_is_described(path: str, given: Any, is_described: bool) -> None:
    is_needed, schema = body_of(path)

    assert is_needed
    assert (
        jsonschema_rs.Draft202012Validator({**schema, "components": document()["components"]}).is_valid(given)
        is is_described
    )


async def test_the_pages_lines_work(server: Server) -> None:
    """Those about principals and tokens, as they stand, sent by an administrator; but for passwords, for which they have none."""
    owner = await server.client("admin", name="admin")
    page = await server.api().send("GET", f"{server.url}/docs")
    statuses = {}
    for path, body in re.findall(
        r'curl "\$SERVER/ledger/v1/default/([^"]*)"[^\n]*--json \'(.*?)\'</pre>', unescape(page.body.decode())
    ):
        if path.partition("/")[0] in ("principals", "tokens", "me"):
            statuses[path] = (await owner.post(path, orjson.loads(body))).status

    assert statuses == {
        "me/password": 400,
        "principals": 201,
        "principals/1": 200,
        "principals/1/password": 400,
        "tokens": 201,
    }


@pytest.mark.parametrize("target", DOCUMENT_POSTS, ids=str)
def test_what_a_reader_refuses_its_schema_refuses(target: Any) -> None:
    for name, reader in target.members.items():
        check = jsonschema_rs.Draft202012Validator(dict(reader.schema), validate_formats=True)
        for value in target.manners.wrong_members[name]:
            # To a schema 1000.0 is an integer.
            is_whole = isinstance(value, float) and value.is_integer()
            if not is_whole and (not isinstance(value, str) or value not in BEYOND_A_SCHEMA):
                assert not check.is_valid(value), (name, value)


@pytest.mark.parametrize("path", PATHS)
async def test_it_is_for_anybody_and_kept_until_it_changes(server: Server, path: str) -> None:
    api = server.api()

    reply = await api.send("GET", server.url + path)
    head = await api.send("HEAD", server.url + path)
    again = await api.send("GET", server.url + path, headers={"If-None-Match": reply.headers["ETag"]})
    other = await api.send("GET", server.url + path, headers={"If-None-Match": '"another"'})
    posted = await api.send("POST", server.url + path)

    assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-cache")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(reply.body)))
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", reply.headers["ETag"])
    assert (other.status, other.body) == (200, reply.body)
    assert (posted.status, posted.headers["Allow"]) == (405, "GET,HEAD")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert b"acme" not in reply.body


async def test_urls_begin_as_the_installation_says(ledger: Ledger) -> None:
    async with served(ledger, edge=Edge(public_url="https://jobs.example/ledger")) as server:
        reply = await server.api().send("GET", f"{server.url}/openapi.json")
        page = await server.api().send("GET", f"{server.url}/docs")

    assert orjson.loads(reply.body)["servers"] == [{"url": "https://jobs.example/ledger"}]
    assert b"SERVER=https://jobs.example/ledger" in page.body
    assert "servers" not in document()


async def test_the_page_needs_nothing_from_elsewhere(server: Server) -> None:
    """No script, no style but its own, no link that leads nowhere."""
    reply = await server.api().send("GET", f"{server.url}/docs")
    text = reply.body.decode()
    page = Page(text)

    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    hashed = b64encode(sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{hashed}'" in reply.headers["Content-Security-Policy"]
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert not page.tags & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not page.attributes & {"style", "src", "onclick", "onload", "action"}
    assert len(page.ids) == len(set(page.ids))
    assert page.links == {"/openapi.json"} | {it for it in page.links if it.startswith("#")}
    assert {it[1:] for it in page.links if it.startswith("#")} <= set(page.ids)


def test_the_page_shows_every_operation() -> None:
    page = Page(an_app()[DOCUMENTATION].page.body.decode())
    operations = {it["operationId"] for methods in document()["paths"].values() for it in methods.values()}

    assert operations <= set(page.ids)
