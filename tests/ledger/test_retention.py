"""The one question of retention: SQL, by which lists filter, and Python, by which commands decide, answer it alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.ledger.domain.access import ORG_STREAM, Org
from jobledger.ledger.domain.hold import Hold, HoldFilter, hold_stream
from jobledger.ledger.domain.hold_commands import PlaceHold, ReleaseHold
from jobledger.ledger.domain.job_keeping import ReleaseJob, RetainJob
from jobledger.ledger.domain.policy_commands import ChangePolicy
from jobledger.ledger.domain.retention import HOLD, counted_from, reasons_to_keep
from jobledger.ledger.errors import InvalidCommandError
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.job_query import JobFilter, JobQuery
from tests.world import ALICE, registration, start, succeed

ORGS = count(1)
DAY = timedelta(days=1)
DAYS = [datetime(2020, 1, 1, tzinfo=UTC) + number * DAY for number in range(4)]
# Beyond today: what lasts so long from then on is over, or not, by then.
LATER = [datetime(2040, 1, 1, tzinfo=UTC) + number * DAY for number in range(3)]


def _in_order(job: dict[str, Any]) -> dict[str, Any]:
    """No job ends before it starts."""
    return {**job, "ended_at": max(job["started_at"], job["ended_at"])}


types, days = st.sampled_from(["a", "b"]), st.sampled_from(DAYS)
maybe_days = st.none() | days
past_jobs = st.fixed_dictionaries(
    {"type": types, "state": st.sampled_from(["SUCCESS", "FAILED"]), "started_at": days, "ended_at": days},
    optional={
        "scheduled_at": days,
        "source": st.sampled_from(["s", "t"]),
        "datastream": st.sampled_from([{"id": 5}, {"id": "5"}, {"id": "six"}]),
        "domain": st.sampled_from(["Global", "Sales"]),
    },
).map(lambda job: _in_order(dict(job)))
new_jobs = st.fixed_dictionaries(
    {"type": types}, optional={"scheduled_at": days, "runs": st.just(True), "ends": maybe_days}
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "type": types,
        "domain": st.sampled_from(["Global", "Sales"]),
        "datastream_id": st.sampled_from(["5", "six"]),
        "source": st.sampled_from(["s", "t"]),
        "state": st.sampled_from(["SUCCESS", "FAILED"]),
        **{f"{name}_{end}": days for name in ("scheduled", "started", "ended") for end in ("from", "to")},
        "registered_from": st.sampled_from([DAYS[0], LATER[0]]),
        "registered_to": st.sampled_from([DAYS[0], LATER[0]]),
    },
)
rule_days = st.sampled_from([0, 1, 2, 7305, "forever"])
rules = st.fixed_dictionaries(
    {"basic_days": rule_days, "extended_days": rule_days},
    optional={"type": types, "state": st.sampled_from(["SUCCESS", "FAILED"])},
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("past"), past_jobs),
        st.tuples(st.just("new"), new_jobs),
        st.tuples(st.just("hold"), filters),
        st.tuples(st.just("release"), st.integers(1, 3)),
        st.tuples(st.just("policy"), st.lists(rules, max_size=2)),
        st.tuples(st.just("retain"), st.sampled_from([None, *LATER])),
        st.tuples(st.just("let go"), st.none()),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=25)
@given(steps)
async def test_sql_and_python_agree(ledger: Ledger, asked: list[tuple[str, Any]]) -> None:
    org = f"kept-{next(ORGS)}"
    await ledger.create_org(org)
    caller = replace(ALICE, org=org)
    jobs = holds = 0
    for what, given_ in asked:
        if what in ("past", "new"):
            jobs += 1
            members = {name: it for name, it in given_.items() if name not in ("runs", "ends")}
            await ledger.execute(registration(caller=caller, **members))
            if "runs" in given_ or "ends" in given_:
                await ledger.execute(_by(start(jobs), caller))
            if "ends" in given_:
                await ledger.execute(_by(succeed(jobs, ended_at=given_["ends"]), caller))
        elif what == "hold":
            holds += bool(given_)
            try:
                await ledger.execute(PlaceHold(caller=caller, name="case", filter=HoldFilter(**given_)))
            except InvalidCommandError:
                assert not given_
        elif what == "release" and given_ <= holds:
            await ledger.execute(ReleaseHold(caller=caller, hold_id=given_, reason="settled"))
        elif what == "policy":
            await ledger.execute(ChangePolicy(caller=caller, rules=given_, reason="law"))
        elif what == "retain" and jobs:
            await ledger.execute(RetainJob(caller=caller, job_id=jobs, until=given_, copy_id=7))
        elif what == "let go" and jobs:
            await ledger.execute(ReleaseJob(caller=caller, job_id=jobs, copy_id=7, reason="over"))

    known_org = await ledger.aggregate(org, ORG_STREAM)
    assert isinstance(known_org, Org)
    known_holds = [await ledger.aggregate(org, hold_stream(it + 1)) for it in range(holds)]
    active = [it for it in known_holds if isinstance(it, Hold) and not it.is_released]
    known = [await ledger.job(org, number + 1) for number in range(jobs)]
    instants = {datetime.now(UTC), *DAYS, *LATER}
    # When something is just over, and just not yet.
    for begin in filter(None, map(counted_from, known)):
        over = begin + 2 * DAY
        instants |= {over, over - timedelta(microseconds=1)}
    query = JobQuery(ledger.database)
    for now in sorted(instants):
        reasons = [reasons_to_keep(it, known_org.policy, active, now) for it in known]
        retained = [n for n, it in enumerate(reasons, 1) if it]
        held = [n for n, it in enumerate(reasons, 1) if any(reason.kind == HOLD for reason in it)]
        assert await _listed(query, org, JobFilter(retained=True, now=now)) == retained
        assert await _listed(query, org, JobFilter(held=True, now=now)) == held
        rest = [n for n in range(1, jobs + 1) if n not in retained]
        assert await _listed(query, org, JobFilter(retained=False, now=now)) == rest


def _by(command: Any, caller: Any) -> Any:
    command.caller = caller
    return command


async def _listed(query: JobQuery, org: str, wanted: JobFilter) -> list[int]:
    return [orjson.loads(it)["id"] for it in (await query.page(org, wanted, None)).jobs]
