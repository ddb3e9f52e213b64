"""The native API as a dialect."""

from __future__ import annotations

from aiohttp import web

from jobledger.http.context import REQUEST_ID
from jobledger.http.dialect import Dialect, Refusal
from jobledger.http.negotiation import Form
from jobledger.http.problem import MEDIA_TYPE, problem_of

PREFIX = "/ledger/v1/"


def org_of(request: web.Request) -> str | None:
    """The org that the path names."""
    return request.path.removeprefix(PREFIX).partition("/")[0]


def refuse(error: BaseException, request: web.Request) -> Refusal:
    """A problem document."""
    problem = problem_of(error, request[REQUEST_ID])
    return Refusal(problem["status"], problem)


NATIVE = Dialect(
    name="native",
    prefixes=(PREFIX,),
    refuse=refuse,
    challenge='Bearer realm="job ledger", Basic realm="job ledger"',
    org=org_of,
    # Source: RFC 9457, sections 6.1 and 6.2, appendix B.
    error_forms=(
        Form("json", MEDIA_TYPE, also=("application/json",)),
        Form("xml", "application/problem+xml", also=("application/xml", "text/xml")),
    ),
    error_root="problem",
    error_namespace="urn:ietf:rfc:7807",
)
