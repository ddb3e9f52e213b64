"""What the requests of the workflow dialect have in common: the item that they are about, their parameters and ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from jobledger.http.context import CALLER, DOMAINS, JOBS
from jobledger.http.exchange import read_document
from jobledger.http.members import Reader
from jobledger.http.native.parameters import read_parameters
from jobledger.http.xml_document import XmlText
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job import DEFAULT_DOMAIN, LARGEST_JOB_ID
from jobledger.ledger.errors import InvalidCommandError, NotFoundError

READ_JOBS = "jobs.read"
# What every path takes; the token was read before.
EVERYWHERE: dict[str, Reader] = {"token": lambda value: value, "f": lambda value: value}


async def item_domain(request: web.Request) -> str:
    """The domain that the path's item is. In an org whose only domain is Global any item means it. Raises NotFoundError."""
    caller, item = request[CALLER], request.match_info["item_id"]
    domains = await request.app[DOMAINS].of_org(caller.org)
    domain = item if domains - {DEFAULT_DOMAIN} else DEFAULT_DOMAIN
    if domain not in domains | {DEFAULT_DOMAIN} or not caller.sees(domain):
        raise NotFoundError("There is no such item.")
    return domain


async def item_caller(request: web.Request) -> Caller:
    """The caller as one who sees the jobs of the path's item alone. Raises NotFoundError."""
    domain = await item_domain(request)
    return replace(request[CALLER], home_domain=domain, domains=frozenset({domain}))


def parameters(request: web.Request, readers: Mapping[str, Reader] | None = None) -> dict[str, Any]:
    """The query's parameters. Raises InvalidCommandError."""
    given = read_parameters(request, {**EVERYWHERE, **(readers or {})}, lists=frozenset({"f", "token"}))
    return {name: it for name, it in given.items() if name not in EVERYWHERE}


async def read_known(request: web.Request, known: Mapping[str, Reader], **options: int) -> tuple[dict[str, Any], bytes]:
    """Those members of the body's object that are *known*, nulls among them, and the body; others are ignored."""
    document, body, _ = await read_document(request, **options)
    if isinstance(document, XmlText) and not document.strip():
        document = {}
    if not isinstance(document, dict):
        raise InvalidCommandError("An object is due here.")
    return {name: it for name, it in document.items() if name in known}, body


def path_id(request: web.Request, name: str, what: str) -> int:
    """The number in the path. NotFoundError for what can be none."""
    given = request.match_info[name]
    if not given.isdecimal() or not given.isascii() or len(given) > 10 or not 0 < int(given) <= LARGEST_JOB_ID:
        raise NotFoundError(f"There is no {what} {given[:40]}.")
    return int(given)


def path_job_id(request: web.Request) -> int:
    """The job's."""
    return path_id(request, "job_id", "job")


async def visible_job(request: web.Request, caller: Caller) -> dict[str, Any]:
    """The path's job as the native API shows it. Raises NotAllowedError, NotFoundError."""
    caller.must(READ_JOBS)
    job: dict[str, Any] = orjson.loads(await request.app[JOBS].job(caller.org, path_job_id(request), caller.domains))
    return job
