"""Whether this process lives, whether it can serve, and its numbers: ``/healthz``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any

import orjson
from aiohttp import web
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from jobledger.http.context import ACCESS, CALLER, DIALECT, REQUEST_ID
from jobledger.http.denied import login_teller
from jobledger.http.metrics import PROMETHEUS, Metrics, gauge
from jobledger.http.negotiation import JSON, gives
from jobledger.http.operation import operation
from jobledger.http.schema import BOOLEAN, STRING, Named, array_of, object_of
from jobledger.http.urls import EDGE, is_local, shown_address
from jobledger.ledger.errors import (
    DatabaseIsAwayError,
    NotAllowedError,
    NotLetInError,
    TooManyAttemptsError,
    UnavailableError,
)
from jobledger.ledger.store.survey import Survey, Surveyor

# So old may an answer be: being asked often costs no more.
GOOD_FOR_S = 0.5
MOST_CLOCK_OFFSET_S = 5.0
LEAST_DISK_BYTES = 1024**3
# The disk may be one that does not answer.
DISK_PATIENCE_S = 1.0
READ_METRICS = "metrics.read"
NOT_LET_IN = (NotLetInError, NotAllowedError, TooManyAttemptsError, UnavailableError)
DEFAULT_ORG = "default"
# A projection that follows a ledger and has not moved on for so long is stuck. One that is behind and moves is not.
LONGEST_STANDSTILL_S = 60.0

health_routes = web.RouteTableDef()

ALIVE = Named("Alive", object_of({"alive": BOOLEAN}))
READY = Named(
    "Ready",
    object_of(
        {"ready": BOOLEAN, "checks": {"type": "object", "additionalProperties": STRING}, "failing": array_of(STRING)}
    ),
)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What was found: each check with why it fails, None where it does not; and the readings it rests on."""

    checks: dict[str, str | None]
    survey: Survey | None
    disk_free_bytes: int | None

    @property
    def is_ready(self) -> bool:
        """Whether nothing fails."""
        return not any(self.checks.values())

    @property
    def document(self) -> dict[str, Any]:
        """What is answered: ``{"ready":false,"checks":{"database":"ok",…},"failing":["…"]}``."""
        return {
            "ready": self.is_ready,
            "checks": {name: "ok" if why is None else why for name, why in self.checks.items()},
            "failing": [name for name, why in self.checks.items() if why is not None],
        }


class Health:
    """Finds out whether this server can serve, at most every half second, however often it is asked."""

    def __init__(
        self,
        surveyor: Surveyor,
        data: Path | None = None,
        trouble: Mapping[str, Callable[[], str | None]] = MappingProxyType({}),
    ) -> None:
        """*trouble*: further checks by name, each says at once why it fails, None where it does not."""
        self._surveyor = surveyor
        self._data = data
        self._trouble = trouble
        self._finding: asyncio.Task[Readiness] | None = None
        self._found_at = 0.0

    async def readiness(self) -> Readiness:
        """How it stands, within about a second."""
        if self._finding is None or (self._finding.done() and monotonic() > self._found_at + GOOD_FOR_S):
            self._finding = asyncio.create_task(self._find(), name="readiness")
        # Whoever goes away takes the answer from none of the others.
        return await asyncio.shield(self._finding)

    async def close(self) -> None:
        """Let go of the database."""
        if self._finding is not None:
            self._finding.cancel()
            await asyncio.wait([self._finding])
        await self._surveyor.close()

    async def _find(self) -> Readiness:
        (survey, away), free = await asyncio.gather(self._survey(), self._disk_free())
        checks: dict[str, str | None] = {"database": away}
        checks |= dict.fromkeys(("schema", "clock", "projections", "lag"))
        if survey is None:
            unknown = ("schema", "clock", "projections", "lag")
            checks |= dict.fromkeys(unknown, "not known while the database is away")
        else:
            if survey.missing_migrations:
                checks["schema"] = f"lacks {', '.join(survey.missing_migrations)}: run jobledger db migrate"
            if abs(survey.clock_offset_s) > MOST_CLOCK_OFFSET_S:
                checks["clock"] = f"{survey.clock_offset_s:+.1f} s off the database's"
            if survey.other_folds:
                checks["projections"] = f"{', '.join(survey.other_folds)} of another release"
            stuck = [name for name, lag in survey.lags.items() if lag.seconds > LONGEST_STANDSTILL_S]
            if stuck:
                checks["lag"] = f"{', '.join(stuck)} has not moved on for {LONGEST_STANDSTILL_S:.0f} s"
        if self._data is not None:
            checks["disk"] = None
            if free is None:
                checks["disk"] = "the data folder cannot be looked at"
            elif free < LEAST_DISK_BYTES:
                checks["disk"] = "less than 1 GiB is free in the data folder"
        checks |= {name: ask() for name, ask in self._trouble.items()}
        self._found_at = monotonic()
        return Readiness(checks, survey, free)

    async def _survey(self) -> tuple[Survey | None, str | None]:
        try:
            return await self._surveyor.survey(), None
        except DatabaseIsAwayError as error:
            return None, error.detail

    async def _disk_free(self) -> int | None:
        if self._data is None:
            return None
        try:
            async with asyncio.timeout(DISK_PATIENCE_S):
                return (await asyncio.to_thread(shutil.disk_usage, self._data)).free
        except (OSError, TimeoutError):
            return None


HEALTH = web.AppKey("health", Health)
METRICS = web.AppKey("metrics", Metrics)


@health_routes.get("/healthz")
@gives(JSON)
@operation(ALIVE)
async def get_health(_request: web.Request) -> web.Response:
    """That the process lives and its event loop turns: nothing else is asked."""
    return web.Response(body=b'{"alive":true}', content_type="application/json")


@health_routes.get("/readyz")
@gives(JSON)
@operation(READY, statuses={200: "Ready.", 503: "Not ready."})
async def get_readiness(request: web.Request) -> web.Response:
    """Whether requests can be served, else what fails, with 503."""
    found = await request.app[HEALTH].readiness()
    headers = {} if found.is_ready else {"Retry-After": "1"}
    body = orjson.dumps(found.document)
    return web.Response(
        status=200 if found.is_ready else 503, body=body, content_type="application/json", headers=headers
    )


@health_routes.get("/metrics")
@gives(PROMETHEUS)
@operation(STRING, capability=READ_METRICS, may=NOT_LET_IN)
async def get_metrics(request: web.Request) -> web.Response:
    """The numbers, to processes of this machine and to who of the installation's own org may read them."""
    if not is_local(request):
        address = shown_address(request, request.app[EDGE])
        shown = request.headers.get("Authorization")
        caller = await request.app[ACCESS].caller(shown, DEFAULT_ORG, None, login_teller(request))
        if caller is None:
            raise web.HTTPUnauthorized(
                headers={"WWW-Authenticate": 'Bearer realm="job ledger", Basic realm="job ledger"'}
            )
        request[CALLER] = caller.asking(request[DIALECT].name, address, request[REQUEST_ID])
        if caller.org != DEFAULT_ORG:
            # The numbers are of all orgs: any other could tell from them that there are more.
            raise NotAllowedError(f"The numbers are the installation's: principals of {DEFAULT_ORG} may read them.")
        caller.must(READ_METRICS)
    found = await request.app[HEALTH].readiness()
    return web.Response(
        body=request.app[METRICS].text(_readings(found)), headers={"Content-Type": PROMETHEUS.content_type}
    )


def _readings(found: Readiness) -> Iterator[Metric]:
    yield gauge("jobledger_ready", "Whether /readyz says that this server is ready.", found.is_ready)
    if found.survey is not None:
        yield gauge("jobledger_events", "Events in all ledgers: their heads' sizes.", found.survey.event_count)
        yield gauge(
            "jobledger_clock_offset_seconds", "This machine's clock less the database's.", found.survey.clock_offset_s
        )
        names = ("projection",)
        events = GaugeMetricFamily(
            "jobledger_projection_lag_events",
            "Events that a projection has not counted yet, at most of an org.",
            labels=names,
        )
        seconds = GaugeMetricFamily(
            "jobledger_projection_standstill_seconds",
            "Since it is behind and has not moved on, at most of an org.",
            labels=names,
        )
        for name, lag in found.survey.lags.items():
            events.add_metric([name], lag.events)
            seconds.add_metric([name], lag.seconds)
        yield from (events, seconds)
    if found.disk_free_bytes is not None:
        yield gauge("jobledger_disk_free_bytes", "Free in the data folder's file system.", found.disk_free_bytes)
