"""Random documents: whatever is sent, it is accepted or refused, and the ledger stays whole."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.http.dialects.manners import Target
from tests.http.serving import Api
from tests.http.targets import DOCUMENT_POSTS

WORDS = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "1", "-1", "SUCCESS", "FAILED", "CANCELLED", "DISCARDED"]
TEXTS = st.one_of(st.text(st.characters(codec="utf-8"), max_size=12), st.sampled_from(WORDS))
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.integers(-2, 5), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)


def bodies(target: Target) -> st.SearchStrategy[Any]:
    """Anything at all, and what is nearly right."""
    members = st.dictionaries(st.sampled_from([*target.members, "other"]), VALUES, max_size=5)
    near = members.map(lambda it: {**target.due, **it})
    return st.one_of(VALUES, members, near, st.lists(near, max_size=3))


# After a logout nobody is let in.
ASKED = [it for it in DOCUMENT_POSTS if it.last != "Logout"]
REQUESTS = st.sampled_from(ASKED).flatmap(lambda target: st.tuples(st.just(target), bodies(target)))
LINES = st.lists(
    st.one_of(
        VALUES,
        st.fixed_dictionaries(
            {"command": st.sampled_from(["register", "start", "stage", "progress", "fail", "cancel", "heartbeat", 1])},
            optional={
                "id": st.one_of(st.integers(0, 4), VALUES),
                "job": bodies(next(it for it in DOCUMENT_POSTS if it.last == "jobs")),
                "stage": VALUES,
                "progress": VALUES,
                "idempotency_key": st.one_of(st.sampled_from(["a", "b"]), VALUES),
            },
        ),
    ),
    max_size=6,
)


@pytest.fixture
async def running(api: Api) -> Api:
    """A client, and a job 1 that runs."""
    await api.register_running()
    return api


@examples(120)
@given(request=REQUESTS)
async def test_no_document_is_the_servers_fault(running: Api, request: tuple[Target, Any]) -> None:
    target, document = request

    reply = await running.send(
        target.method,
        running.url + target.path,
        data=orjson.dumps(document),
        headers={"Content-Type": "application/json"},
    )

    assert reply.status < 500, reply.body
    assert reply.status in (200, 201, 202) or reply.headers["Content-Type"] == target.manners.error_types[0]


@examples(60)
@given(commands=LINES)
async def test_every_line_is_answered_whatever_it_says(running: Api, commands: list[Any]) -> None:
    reply = await running.commands(*commands)

    assert [it["line"] for it in reply.lines] == list(range(1, len(commands) + 1))
    assert all(it["status"] < 500 for it in reply.lines), reply.lines
