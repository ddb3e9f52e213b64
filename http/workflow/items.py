"""What the requests of the workflow dialect have in common: the item that they are about, their parameters and ids."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from jobledger.http.context import CALLER, DOMAINS, JOBS
from jobledger.http.document import LARGEST_BODY_BYTES
from jobledger.http.exchange import read_document
from jobledger.http.members import Members
from jobledger.http.operation import GivenBody, operation_of, permitted, read_variable
from jobledger.http.schema import Schema
from jobledger.http.xml_document import XmlText
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job import DEFAULT_DOMAIN
from jobledger.ledger.errors import InvalidCommandError, NotFoundError

READ_JOBS = "jobs.read"


class Known(Members):
    """The readers of the members that mean something; others are passed over."""

    def among(self, document: Any) -> dict[str, Any]:
        """Those of *document*, nulls among them. Raises InvalidCommandError where that is no object."""
        if isinstance(document, XmlText) and not document.strip():
            document = {}
        if not isinstance(document, dict):
            raise InvalidCommandError("An object is due here.")
        return {name: it for name, it in document.items() if name in self}

    @property
    def schema(self) -> Schema:
        """See ``Members``."""
        return {**super().schema, "additionalProperties": True}


async def item_domain(request: web.Request) -> str:
    """The domain that the path's item is. In an org whose only domain is Global any item means it. Raises NotFoundError."""
    caller, item = request[CALLER], request.match_info["item_id"]
    domains = await request.app[DOMAINS].of_org(caller.org)
    domain = item if domains - {DEFAULT_DOMAIN} else DEFAULT_DOMAIN
    if domain not in domains | {DEFAULT_DOMAIN} or not caller.sees(domain):
        raise NotFoundError("There is no such item.")
    return domain


async def item_caller(request: web.Request) -> Caller:
    """The caller, who has the capability that is needed here, as one who sees the jobs of the path's item alone.

    Raises NotFoundError, NotAllowedError.
    """
    domain = await item_domain(request)
    return replace(permitted(request), home_domain=domain, domains=frozenset({domain}))


async def read_known(request: web.Request, limit_bytes: int = LARGEST_BODY_BYTES) -> GivenBody:
    """Those members of the body's object that its operation knows, as they were sent, and the body. Raises as
    ``read_document``, and InvalidCommandError.
    """
    known = operation_of(request).body
    assert isinstance(known, Known)
    document, body, _ = await read_document(request, limit_bytes)
    return GivenBody(known.among(document), body)


def path_id(request: web.Request, name: str) -> int:
    """The number in the path. NotFoundError for what can be none."""
    number: int = read_variable(request, name)
    return number


def path_job_id(request: web.Request) -> int:
    """The job's id in the path. NotFoundError for what can be none."""
    return path_id(request, "job_id")


async def visible_job(request: web.Request, caller: Caller) -> dict[str, Any]:
    """The path's job as the native API shows it. Raises NotFoundError."""
    job: dict[str, Any] = orjson.loads(await request.app[JOBS].job(caller.org, path_job_id(request), caller.domains))
    return job
