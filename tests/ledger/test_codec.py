"""An event's bytes, exactly, and reading those of earlier releases."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain import event_types
from jobledger.ledger.domain.aggregate import Aggregate, event_from_data
from jobledger.ledger.domain.event_types import CLASS_BY_TYPE, EVENT_CLASSES, must_know
from jobledger.ledger.domain.job import Job
from jobledger.ledger.errors import ContentTooLargeError, CorruptLedgerError, InvalidCommandError
from jobledger.ledger.store.codec import StoredEvent, encode_content, encode_header, encode_private, leaf_of, wire_time
from tests.world import ALICE

OLD_EVENTS = Path(__file__).with_name("old_events.ndjson")
NOW = datetime(2026, 11, 21, 22, 34, 5, 123456, tzinfo=UTC)
SALT = "000102030405060708090a0b0c0d0e0f"
CONTENT = (
    '{"data":{"stage":"Größe","started_at":"2026-11-21T22:00:00Z"},"via":"native","from":"192.0.2.9",'
    f'"request":"5f0c2a7e-0e5b-4f5e-9f57-0d9a2c3b4d5e","salt":"{SALT}"}}'
).encode()
HEADER = (
    '{"org":"acme","position":123,"recorded_at":"2026-11-21T22:34:05.123456Z","stream":"job-42","version":3,'
    f'"type":"job.started","schema":1,"by":"principal-1","content":"{sha256(CONTENT).hexdigest()}"}}'
).encode()


@pytest.fixture
def known_salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobledger.ledger.store.codec.os.urandom", lambda size: bytes(range(size)))


def started() -> Aggregate.Event:
    members = {"stage": "Größe", "started_at": "2026-11-21T22:00:00Z"}
    return event_from_data(Job.Started, "job-42", 3, NOW, members)


@pytest.mark.usefixtures("known_salt")
def test_an_events_bytes_are_exactly_these() -> None:
    event = started()

    content = encode_content(event, ALICE)
    header = encode_header("acme", 123, wire_time(NOW), event, "principal-1", content)

    assert content == CONTENT
    assert header == HEADER
    assert leaf_of(header) == sha256(b"\0" + HEADER).digest()


@pytest.mark.usefixtures("known_salt")
def test_who_asks_by_no_address_and_no_request_is_told_as_null() -> None:
    content = encode_content(started(), replace(ALICE, address=None, request=None))

    assert b'"from":null,"request":null,' in content


def test_each_content_has_a_salt_of_its_own() -> None:
    salts = {json.loads(encode_content(started(), ALICE))["salt"] for _ in range(100)}

    assert len(salts) == 100


def test_times_are_written_in_utc_with_six_digits() -> None:
    assert wire_time(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000000Z"
    assert wire_time(datetime(2026, 1, 2, 3, 4, 5, 6, timezone(timedelta(hours=2)))) == "2026-01-02T01:04:05.000006Z"


def test_a_content_is_at_most_1_mib() -> None:
    empty = len(encode_content(event_from_data(Job.StageEntered, "job-1", 2, NOW, {"stage": ""}), ALICE))
    room = 1024 * 1024 - empty
    full = event_from_data(Job.StageEntered, "job-1", 2, NOW, {"stage": "x" * room})
    assert len(encode_content(full, ALICE)) == 1024 * 1024

    with pytest.raises(ContentTooLargeError):
        encode_content(event_from_data(Job.StageEntered, "job-1", 2, NOW, {"stage": "x" * (room + 1)}), ALICE)


@pytest.mark.parametrize("value", [{1}, {"n": 2**64}, {"n": -(2**63) - 1}, {"s": "\udcff"}, {2: "two"}])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(InvalidCommandError):
        encode_content(event_from_data(Job.Progressed, "job-1", 2, NOW, {"figures": value}), ALICE)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
instants = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - the zone is drawn beside it
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001 - likewise
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9))]),
)


@given(
    st.text(),
    st.text(),
    st.none() | st.dictionaries(st.text(), json_values, max_size=4),
    st.none() | instants,
    instants,
)
def test_what_is_written_is_read_back(
    type_name: str, name: str, attributes: dict[str, Any] | None, scheduled_at: datetime | None, now: datetime
) -> None:
    """The event that is read equals the one decided, members in their order; what is hashed is compact and in order."""
    now = now.astimezone(UTC)
    data = {"type": type_name, "name": name, "domain": "Global", "attributes": attributes}
    event = event_from_data(Job.Registered, "job-42", 1, now, data)
    event.__dict__["scheduled_at"] = scheduled_at

    content = encode_content(event, ALICE)
    header = encode_header("acme", 0, wire_time(now), event, "principal-1", content)
    read = StoredEvent(0, header, content).event()

    assert read == event
    assert list((read.__dict__["attributes"] or {}).items()) == list((attributes or {}).items())
    assert list(json.loads(content)) == ["data", "via", "from", "request", "salt"]
    assert json.loads(header)["content"] == sha256(content).hexdigest()


def test_a_content_that_is_not_the_headers_is_noticed() -> None:
    with pytest.raises(CorruptLedgerError):
        StoredEvent(123, HEADER, CONTENT.replace(b"Gr", b"gr")).event()
    with pytest.raises(CorruptLedgerError):
        StoredEvent(123, HEADER, None).event()


@pytest.mark.parametrize(("type_name", "schema"), [("job.teleported", 1), ("job.started", 2), ("job.started", 0)])
def test_a_type_or_schema_that_is_not_known_is_never_read(type_name: str, schema: int) -> None:
    with pytest.raises(CorruptLedgerError):
        must_know(type_name, schema)
    header = HEADER.replace(b'"job.started","schema":1', f'"{type_name}","schema":{schema}'.encode())
    with pytest.raises(CorruptLedgerError):
        StoredEvent(123, header, CONTENT).event()


@pytest.mark.parametrize("data", [{"stage": 1, "unknown": 2}, {"started_at": "yesterday"}])
def test_data_that_does_not_read_as_its_type_is_noticed(data: dict[str, Any]) -> None:
    with pytest.raises(CorruptLedgerError):
        event_types.read_event("job.started", 1, "job-42", 3, NOW, data)


def old_events() -> list[tuple[str, str, str | None]]:
    lines = map(json.loads, OLD_EVENTS.read_text("utf-8").splitlines())
    return [(line["header"], line["content"], line.get("private")) for line in lines]


def test_old_bytes_of_every_type_are_kept() -> None:
    """A type that is added, or a schema that is raised, is added to the file; no line of it is ever changed."""
    kept = {(json.loads(header)["type"], json.loads(header)["schema"]) for header, *_ in old_events()}
    known = {(cls.type_name, schema) for cls in EVENT_CLASSES for schema in range(1, cls.class_version + 1)}

    assert kept == known
    assert len(CLASS_BY_TYPE) == len(EVENT_CLASSES)


@pytest.mark.parametrize(
    ("header", "content", "private"), old_events(), ids=lambda it: "" if it is None else json.loads(it).get("type", "")
)
def test_old_bytes_read_as_today(header: str, content: str, private: str | None) -> None:
    """An event written by an earlier release says the same today: written again, its data is the same."""
    stored = StoredEvent(
        json.loads(header)["position"], header.encode(), content.encode(), None if private is None else private.encode()
    )

    event = stored.event()

    envelope = stored.envelope()
    assert event.type_name == envelope["type"]
    assert event.originator_id == envelope["stream"]
    assert event.originator_version == envelope["version"]
    assert wire_time(event.timestamp) == envelope["recorded_at"]
    if envelope["schema"] == event.class_version:
        assert json.loads(encode_content(event, ALICE))["data"] == json.loads(content)["data"]
        again = encode_private(event)
        assert (None if again is None else json.loads(again)["data"]) == (private and json.loads(private)["data"])


def test_older_data_is_brought_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step by step, on the decoded data, from the schema that its header names."""

    class Moved(Job.Event):
        """Version 1 called it place, version 2 had one target."""

        type_name: ClassVar[str] = "job.moved"
        class_version: ClassVar[int] = 3
        targets: list[str]

        @staticmethod
        def upcast_v1_v2(data: dict[str, Any]) -> None:
            data["target"] = data.pop("place")

        @staticmethod
        def upcast_v2_v3(data: dict[str, Any]) -> None:
            data["targets"] = [data.pop("target")]

    monkeypatch.setitem(CLASS_BY_TYPE, "job.moved", Moved)
    stored: list[dict[str, Any]] = [{"place": "a"}, {"target": "a"}, {"targets": ["a"]}]

    events = [event_types.read_event("job.moved", n, "job-1", 2, NOW, it) for n, it in enumerate(stored, 1)]

    assert [event.data for event in events] == [{"targets": ["a"]}] * 3
    assert stored[0] == {"place": "a"}
    with pytest.raises(CorruptLedgerError):
        event_types.read_event("job.moved", 4, "job-1", 2, NOW, {"targets": []})
