"""What a dialect is: whose a path is, and what it takes for credentials."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from aiohttp.test_utils import make_mocked_request

from jobledger.http.dialect import Dialect, Dialects
from jobledger.http.native import NATIVE

GENERAL = replace(NATIVE, name="general", prefixes=("/api/",))
SPECIAL = replace(NATIVE, name="special", prefixes=("/api/special/", "/special/"))
BY_PATTERN = replace(NATIVE, name="by pattern", prefixes=(), pattern=re.compile(r"/[a-z]+/[a-z]+/jobs(/|$)"))
ALL = (NATIVE, GENERAL, SPECIAL, BY_PATTERN)


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/ledger/v1/acme/jobs", NATIVE), ("/api/jobs", GENERAL), ("/api/special/jobs", SPECIAL), ("/special/", SPECIAL),
        ("/api/special", GENERAL), ("/api/x/jobs", GENERAL), ("/acme/item/jobs", BY_PATTERN), ("/acme/item/jobs/7", BY_PATTERN),
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
