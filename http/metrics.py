"""What is counted and measured, for Prometheus. Never an org, a path, an address: their number has no bound.

Several worker processes answer as one: each keeps its numbers in a file of a folder that they share
(``PROMETHEUS_MULTIPROC_DIR``, which their parent sets), and whichever is asked adds them up.
"""

from __future__ import annotations

import collections
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from jobledger.http.negotiation import Form

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
PROMETHEUS = Form("text", "text/plain", MappingProxyType({"version": "0.0.4", "charset": "utf-8"}))

APPEND_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
APPEND_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The numbers of this process. An ``AppendObserver`` too."""

    def __init__(self) -> None:
        # When each began is told by their server's log.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own gap
        self._registry = registry = CollectorRegistry()
        self._append_seconds = Histogram(
            "jobledger_append_seconds",
            "From sending a batch to the database until it is committed.",
            buckets=APPEND_SECONDS,
            registry=registry,
        )
        self._append_events = Histogram(
            "jobledger_append_events", "Events in a batch.", buckets=APPEND_EVENTS, registry=registry
        )
        self._append_retries = Counter(
            "jobledger_append_retries",
            "Appends that the database failed, and that were tried again.",
            registry=registry,
        )
        self._waiting = Gauge(
            "jobledger_queue_depth",
            "Commands that wait to be decided.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._stopped = Gauge(
            "jobledger_stopped_ledgers",
            "Ledgers whose writing has stopped until an operator acts.",
            # Each process finds it out for itself, by trying to write.
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._connections = Gauge(
            "jobledger_connections", "Open connections of clients.", multiprocess_mode="livesum", registry=registry
        )
        self._refused_connections = Counter(
            "jobledger_refused_connections", "Connections beyond the bound, told to come again.", registry=registry
        )
        self._slow_clients = Counter(
            "jobledger_slow_clients", "Clients given up for being too slow at it.", ["at"], registry=registry
        )
        self._requests = Counter(
            "jobledger_requests",
            "Requests answered.",
            ["dialect", "method", "route", "status"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "jobledger_request_seconds",
            "From the end of a request's headers to the end of its answer.",
            ["dialect"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        # How long each took that was answered since they were last counted, by dialect, method, route and status.
        self._answered: dict[tuple[str, str, str, int], list[float]] = {}
        self._login_failures = Counter(
            "jobledger_login_failures", "Requests that showed credentials which let nobody in.", registry=registry
        )

    def appended(self, events: int, took_s: float) -> None:
        """A batch of so many events is committed."""
        self._append_seconds.observe(took_s)
        self._append_events.observe(events)

    def tried_again(self) -> None:
        """An append is tried again."""
        self._append_retries.inc()

    def answered(self, dialect: str, method: str, route: str, status: int, took_s: float) -> None:
        """A request was answered; *route* is its template. It is counted when the process next says how it stands."""
        # There are few of them: a route is a template, a method a known one.
        self._answered.setdefault((dialect, method, route, status), []).append(took_s)

    def _count_answered(self) -> None:
        """Count what was answered, together: each number has its lock, and its place in a file."""
        answered, self._answered = self._answered, {}
        for (dialect, method, route, status), took_s in answered.items():
            self._requests.labels(dialect, method, route, str(status)).inc(len(took_s))
            observe_all(self._request_seconds.labels(dialect), took_s)

    def login_failed(self) -> None:
        """Somebody showed credentials that are not valid."""
        self._login_failures.inc()

    def connection_refused(self) -> None:
        """A connection more than there may be."""
        self._refused_connections.inc()

    def gave_up(self, at: str) -> None:
        """A client was too slow at its ``head``, ``body`` or at taking its ``answer``."""
        self._slow_clients.labels(at).inc()

    def stands(self, *, waiting: int, stopped: int, connections: int) -> None:
        """How this process stands just now."""
        self._count_answered()
        self._waiting.set(waiting)
        self._stopped.set(stopped)
        self._connections.set(connections)

    def text(self, readings: Iterable[Metric]) -> bytes:
        """All numbers, of every process, and *readings*, which are the same whichever process takes them."""
        self._count_answered()
        registry = self._registry
        if FOLDER_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's own gap
        read = CollectorRegistry()
        read.register(_Readings(readings))
        return generate_latest(registry) + generate_latest(read)


def observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """What ``observe`` does of each, together: the library takes one at a time, each with its locks and places in a file."""
    for place, count in collections.Counter(bisect_left(histogram._upper_bounds, it) for it in values).items():
        histogram._buckets[place].inc(count)
    histogram._sum.inc(sum(values))


class _Readings(Collector):
    def __init__(self, readings: Iterable[Metric]) -> None:
        self._readings = list(readings)

    def collect(self) -> Iterator[Metric]:
        yield from self._readings


def gauge(name: str, documentation: str, value: float) -> Metric:
    """One reading."""
    return GaugeMetricFamily(name, documentation, value=value)
