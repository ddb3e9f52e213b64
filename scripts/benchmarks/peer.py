"""The peer: the ``eventsourcing`` package's own recorders, each call an event and a transaction, from threads.

``PostgresApplicationRecorder`` is the one that does what ours does: it numbers events in commit order, under a lock of its table.
``PostgresAggregateRecorder`` only keeps streams, without any order among them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresAggregateRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

THREADS = 16


class Peer:
    """One recorder of the package with a table of its own in our database."""

    def __init__(self, url: str, recorder_class: type[PostgresAggregateRecorder]) -> None:
        self.name = recorder_class.__name__
        parts: dict[str, Any] = conninfo_to_dict(url)
        self._datastore = PostgresDatastore(
            dbname=parts["dbname"],
            host=parts["host"],
            port=parts["port"],
            user=parts["user"],
            password="",
            pool_size=THREADS,
            max_overflow=THREADS,
            originator_id_type="text",
        )
        self._recorder = recorder_class(self._datastore, events_table_name=f"peer_{self.name.lower()}")
        self._recorder.create_table()

    def append(self, content: bytes, seconds: float) -> float:
        """Events a second: each thread inserts one event a call, on a stream of its own, for so long."""
        end = perf_counter() + seconds

        def insert(_thread: int) -> int:
            stream = f"job-{uuid4()}"
            version = 0
            while perf_counter() < end:
                version += 1
                event = StoredEvent(
                    originator_id=stream, originator_version=version, topic="job.progressed", state=content
                )
                self._recorder.insert_events([event])
            return version

        began = perf_counter()
        with ThreadPoolExecutor(THREADS) as threads:
            count = sum(threads.map(insert, range(THREADS)))
        return count / (perf_counter() - began)

    def close(self) -> None:
        """Close its connections."""
        self._datastore.close()
