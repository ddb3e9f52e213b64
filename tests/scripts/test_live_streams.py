"""Live streams of the real server: they end with it, and go on with the next."""

from __future__ import annotations

import http.client
import time
from contextlib import closing

import pytest

from tests.http.event_source import EVENT_STREAM, Message, Parser
from tests.scripts.place import Place, Server

pytestmark = [pytest.mark.slow, pytest.mark.alone]

JOB = {"type": "copy", "name": "nightly"}


def follow(server: Server, connection: http.client.HTTPConnection, last_event_id: str = "") -> http.client.HTTPResponse:
    """An answer that stays."""
    headers = {"Accept": EVENT_STREAM, **server.authorization()}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    connection.request("GET", "/ledger/v1/default/events", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    return answer


def take(answer: http.client.HTTPResponse, parser: Parser, count: int) -> list[Message]:
    """At least so many messages."""
    messages: list[Message] = []
    while len(messages) < count:
        chunk = answer.read1(65536)
        assert chunk, "the stream ended"
        messages += parser.feed(chunk)
    return messages


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_is_not_kept_waiting_by_who_follows(place: Place, workers: str) -> None:
    """The stream ends whole and at once; with its last id the client goes on at the next server."""
    parser = Parser()
    with place.serving("--workers", workers) as server, closing(server.connect()) as connection:
        answer = follow(server, connection)
        begun = len(take(answer, parser, 3))
        # Whichever worker appends them.
        for _ in range(5):
            assert server.ask("POST", "/default/jobs", JOB)[0] == 201
        take(answer, parser, 5)
        stopped_at = time.monotonic()
        code = server.stop()
        assert answer.read() == b""
        assert code == 0
        assert time.monotonic() - stopped_at < 8
    with place.serving("--workers", workers) as server, closing(server.connect()) as connection:
        assert server.ask("POST", "/default/jobs", JOB)[0] == 201
        [message] = take(follow(server, connection, parser.last_event_id), Parser(), 1)

    assert message.document["header"]["position"] == begun + 5
