"""What a dialect is: whose a path is, and what it takes for credentials."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from jobledger.http import app
from jobledger.http.dialect import Dialect, Dialects, Refusal
from jobledger.http.native import NATIVE
from jobledger.http.negotiation import JSON, XML
from jobledger.ledger.store.ledger import Ledger
from tests.http.serving import add_principal, served

GENERAL = replace(NATIVE, name="general", prefixes=("/api/",))
SPECIAL = replace(NATIVE, name="special", prefixes=("/api/special/", "/special/"))
BY_PATTERN = replace(NATIVE, name="by pattern", prefixes=(), pattern=re.compile(r"/[a-z]+/[a-z]+/jobs(/|$)"))
ALL = (NATIVE, GENERAL, SPECIAL, BY_PATTERN)


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/ledger/v1/acme/jobs", NATIVE), ("/api/jobs", GENERAL), ("/api/special/jobs", SPECIAL), ("/special/", SPECIAL),
        ("/api/special", SPECIAL), ("/api", GENERAL), ("/apis", None), ("/api/specials", GENERAL),
        ("/api/x/jobs", GENERAL), ("/acme/item/jobs", BY_PATTERN), ("/acme/item/jobs/7", BY_PATTERN),
        ("/acme/item/jobsx", None), ("/", None), ("/healthz", None), ("/API/jobs", None),
    ],
)  # fmt: skip
def test_whose_a_path_is(path: str, owner: Dialect | None) -> None:
    """Of prefixes the longest decides, whatever order the dialects come in; patterns only where none fits."""
    for dialects in (ALL, ALL[::-1]):
        assert Dialects(dialects).owner(path) is owner


@pytest.mark.parametrize(
    ("shown", "taken"),
    [
        ("Bearer x", "bearer x"), ("bEARER x", "bearer x"), ("Token x", "bearer x"), ("Basic x", None), ("Digest x", None),
        ("", None), ("Token", "bearer "), ("x", None),
    ],
)  # fmt: skip
def test_credentials_of_the_schemes_that_it_takes(shown: str, taken: str | None) -> None:
    dialect = replace(NATIVE, schemes={"token": "bearer", "bearer": "bearer"})

    assert dialect.credentials(make_mocked_request("GET", "/", headers={"Authorization": shown})) == taken


def test_credentials_from_elsewhere() -> None:
    dialect = replace(NATIVE, authorization=lambda request: f"Bearer {request.query['token']}")

    assert dialect.credentials(make_mocked_request("GET", "/?token=x")) == "bearer x"


def refuse(error: BaseException, request: web.Request) -> Refusal:
    """A sentence to those without credentials, a document to others."""
    status = error.status if isinstance(error, web.HTTPException) else 500
    return Refusal(status, "No." if status == 401 else {"fault": {"@code": status}}, {"X-Fault": str(status)})


async def test_an_error_is_said_as_the_dialect_of_its_path_says_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its envelope, root, default form and challenge, beside another dialect that has others."""
    other = Dialect(
        name="other",
        prefixes=("/other/",),
        refuse=refuse,
        challenge="Token",
        schemes={"token": "bearer"},
        forms=(XML, JSON),
        error_forms=(XML, JSON),
        root=None,
        error_root="failure",
        title="Another",
        error_schema={},
    )
    monkeypatch.setattr(app, "SPOKEN", (NATIVE, other))
    async with served(ledger) as server:
        token = await add_principal(ledger, ["operator"])
        api = server.api()
        url = f"{server.url}/other/jobs"

        bearer = await api.send("GET", url, headers={"Authorization": f"Bearer {token}"})
        shown = {"Authorization": f"Token {token}"}
        in_xml = await api.send("GET", url, headers=shown)
        in_json = await api.send("GET", url, headers={**shown, "Accept": "application/json"})
        as_html = await api.send("GET", url, headers={**shown, "Accept": "text/html"})
        native = await api.send("GET", f"{server.url}/ledger/v1/acme/jobs", headers=shown)
        nobodys = await api.send("GET", f"{server.url}/nowhere")

    assert (bearer.status, bearer.body, bearer.headers["WWW-Authenticate"]) == (401, b"No.", "Token")
    assert bearer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (in_xml.status, in_xml.headers["Content-Type"], in_xml.headers["X-Fault"]) == (404, "application/xml", "404")
    assert in_xml.body.splitlines()[1] == b'<failure><fault code="404"/></failure>'
    assert (in_json.status, in_json.body) == (404, b'{"fault":{"@code":404}}')
    assert (as_html.status, as_html.headers["Content-Type"]) == (404, "application/xml")
    assert (native.status, native.headers["Content-Type"]) == (401, "application/problem+json")
    assert (nobodys.status, nobodys.headers["Content-Type"]) == (404, "application/problem+json")
