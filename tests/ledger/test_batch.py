"""Many commands in one transaction: each a unit of its own, whatever its neighbours do (invariant 9)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, ClassVar

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain.command import Caller, Command, Effect, Find, Outcome, UnitOfWork
from jobledger.ledger.domain.job import Job, State, job_stream
from jobledger.ledger.domain.job_commands import (
    FOLLOW_UPS,
    FailJob,
    JobTransition,
    ReportProgress,
    StartJob,
    SucceedJob,
)
from jobledger.ledger.errors import (
    ConflictError,
    ContentTooLargeError,
    InvalidCommandError,
    JobIsFinalError,
    NotFoundError,
)
from jobledger.ledger.store.ledger import Ledger
from tests.auditor import audit
from tests.examples import examples
from tests.world import ALICE, ORG, idempotency, ids, register, register_running, registration, spec, start, succeed

ORG_NUMBERS = count(1)

pytestmark = pytest.mark.usefixtures("either_way")


@dataclass(slots=True, kw_only=True, eq=False)
class Poisoned(JobTransition):
    """Changes the job, then fails in a way that no command should."""

    capability: ClassVar[str] = "jobs.update"
    poison: str = "error"

    def change(self, unit: UnitOfWork, job: Job) -> None:
        unit.next_number("job")
        unit.outdate(FOLLOW_UPS)
        job.report_progress(unit.now, figures={"poisoned": 1}, message="poisoned")
        if job.attributes is not None:
            job.attributes = {**job.attributes, "poisoned": True}
        match self.poison:
            case "error":
                raise RuntimeError("poison")
            case "timeout":
                raise TimeoutError("poison")
            case "refusal":
                raise ConflictError("poison")
            case "object":
                job.enter_stage(unit.now, object())  # type: ignore[arg-type]
            case "large":
                job.enter_stage(unit.now, "x" * 1024 * 1024)
            case "undeclared":
                unit.get(Job, "job-999999")
            case "nul":
                unit.begin(Job.Registered, job_stream(77_777), type="copy", name="a\0b", domain="Global")
            case "check":
                job.state = State.SUCCESS  # without an end, which the row must have
            case "number":
                unit.affect(Effect("heartbeat", (2**31, unit.now)))
            case "effect":
                unit.affect(Effect("heartbeat", (1, "not a time")))


POISONS: dict[str, type[BaseException]] = {
    "error": RuntimeError,
    "timeout": TimeoutError,
    "refusal": ConflictError,
    "object": InvalidCommandError,
    "large": ContentTooLargeError,
    "undeclared": KeyError,
    "nul": asyncpg.CharacterNotInRepertoireError,
    "check": asyncpg.CheckViolationError,
    "number": asyncpg.DataError,
    "effect": asyncpg.DataError,
}


async def at_once(ledger: Ledger, commands: Iterable[Command]) -> list[Any]:
    """What becomes of each, all sent before the first is decided."""
    results: list[Any] = []
    for task in [asyncio.ensure_future(ledger.execute(it)) for it in commands]:
        try:
            results.append(await task)
        except Exception as error:
            results.append(error)
        else:
            assert isinstance(results[-1], Outcome)
    return results


@pytest.mark.parametrize("poison", POISONS)
async def test_a_bad_command_fails_alone(ledger: Ledger, poison: str) -> None:
    """Its neighbours in the batch, before and after, count; of it nothing stays, in no table and no cache."""
    job_id = await register_running(ledger, attributes={"a": 1})
    await ledger.execute(ReportProgress(caller=ALICE, job_id=job_id, figures={"f": 1}))
    commands: list[Command] = [registration(key="before"), ReportProgress(caller=ALICE, job_id=job_id, message="one")]
    commands += [Poisoned(caller=ALICE, job_id=job_id, poison=poison, idempotency=idempotency("bad"))]
    commands += [ReportProgress(caller=ALICE, job_id=job_id, message="two"), registration(key="after")]

    results = await at_once(ledger, commands)

    assert type(results[2]) in (POISONS[poison], *POISONS[poison].__subclasses__())
    assert [ids(results[n])[0] for n in (0, 4)] == [2, 3]
    assert [results[n].result["version"] for n in (1, 3)] == [4, 5]
    await ledger.execute(ReportProgress(caller=ALICE, job_id=job_id, figures={"g": 2}))
    job = await ledger.job(ORG, job_id)
    assert (job.version, job.message, job.attributes, job.figures) == (6, "two", {"a": 1}, {"f": 1, "g": 2})


async def test_a_bad_command_in_a_batch_of_many_fails_alone(ledger: Ledger) -> None:
    """Also where some of the batch is written while the rest is being decided."""
    job_id = await register_running(ledger)
    commands: list[Command] = [registration(name=f"job {n}") for n in range(300)]
    commands[150] = Poisoned(caller=ALICE, job_id=job_id, poison="nul")
    commands[290] = Poisoned(caller=ALICE, job_id=job_id, poison="error")

    results = await at_once(ledger, commands)

    failed = [n for n, it in enumerate(results) if isinstance(it, BaseException)]
    assert failed == [150, 290]
    assert [ids(it)[0] for n, it in enumerate(results) if n not in failed] == list(range(2, 300))


async def test_a_refused_list_leaves_nothing_of_its_first_jobs(ledger: Ledger) -> None:
    """Neither in the cache, nor in the answers of later commands of the same batch."""
    results = await at_once(
        ledger,
        [
            registration(spec(source="s", external_id="x"), spec(preceding_job_id=99)),
            registration(source="s", external_id="x", name="another"),
            registration(source="s", preceding_external_id="x"),
            start(1),
        ],
    )

    assert [type(results[0]), ids(results[1]), ids(results[2])] == [NotFoundError, [1], [2]]
    assert results[3].result["state"] == "RUNNING"
    assert (await ledger.job(ORG, 1)).name == "another"


async def test_a_caller_that_goes_away_does_not_take_its_command_along(ledger: Ledger) -> None:
    """Once queued it is decided; its neighbours get their answers."""
    first = asyncio.create_task(ledger.execute(registration(name="first")))
    gone = asyncio.create_task(ledger.execute(registration(name="gone")))
    last = asyncio.create_task(ledger.execute(registration(name="last")))
    await asyncio.sleep(0)
    gone.cancel()

    assert (ids(await first), ids(await last)) == ([1], [3])
    assert (await ledger.job(ORG, 2)).name == "gone"


async def test_commands_are_decided_in_the_order_of_their_calls(ledger: Ledger) -> None:
    job_id = await register(ledger)
    commands: list[Command] = [start(job_id)]
    commands += [ReportProgress(caller=ALICE, job_id=job_id, figures={"n": n}) for n in range(200)]
    commands += [succeed(job_id), start(job_id)]

    results = await at_once(ledger, commands)

    assert [it.result["version"] for it in results[:-1]] == list(range(2, 204))
    assert isinstance(results[-1], JobIsFinalError)
    assert [it.first_position for it in results[:-1]] == sorted(it.first_position for it in results[:-1])


async def test_a_large_request_between_small_ones_keeps_its_place(ledger: Ledger) -> None:
    results = await at_once(
        ledger, [registration(), registration(*(spec() for _ in range(2_500)), key="large"), registration()]
    )

    assert [ids(results[0]), ids(results[2])] == [[1], [2502]]
    assert ids(results[1]) == list(range(2, 2502))
    assert (await ledger.execute(registration(*(spec() for _ in range(2_500)), key="large"))).is_repeated


async def test_a_job_that_is_registered_and_goes_on_in_one_batch_has_one_row(ledger: Ledger) -> None:
    """Whatever part of the batch its events are written in."""
    commands: list[Command] = []
    for n in range(1, 101):
        commands += [registration(), start(n), ReportProgress(caller=ALICE, job_id=n, message="m"), succeed(n)]

    results = await at_once(ledger, commands)

    assert [it.result["state"] for it in results[3::4]] == ["SUCCESS"] * 100


@dataclass(slots=True, kw_only=True, eq=False)
class Ask(Command):
    """Asks and records nothing; the answer is the result."""

    capability: ClassVar[str] = "jobs.update"
    find: Find

    def finds(self) -> Iterable[Find]:
        return (self.find,)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        return {"found": [list(it) for it in unit.found(self.find)]}


async def test_a_find_sees_what_the_batch_decided_before_it(ledger: Ledger) -> None:
    """And not what it decides after."""
    job_id = await register_running(ledger)
    ask = Ask(caller=ALICE, find=Find(FOLLOW_UPS, (job_id,)))

    results = await at_once(
        ledger, [ask, registration(preceding_job_id=job_id), ask, registration(preceding_job_id=job_id), ask]
    )

    assert [it.result["found"] for it in results[::2]] == [[], [[2, 1]], [[2, 1], [3, 1]]]


# What a command of a random history does to one of a few jobs. Those that are refused are not known beforehand.
def good_commands(caller: Caller, numbers: list[tuple[int, int]]) -> list[Command]:
    commands: list[Command] = []
    for kind, n in numbers:
        job_id = n + 1
        kinds: list[Command] = [
            registration(caller=caller, name=f"job {n}", attributes={"n": n}),
            registration(caller=caller, source="s", external_id=f"x-{n}", name="one"),
            registration(caller=caller, source="s", external_id=f"x-{n}", name="two"),
            registration(caller=caller, preceding_job_id=job_id),
            StartJob(caller=caller, job_id=job_id, stage=f"stage {n}"),
            ReportProgress(caller=caller, job_id=job_id, figures={"n": n}),
            SucceedJob(caller=caller, job_id=job_id),
            FailJob(caller=caller, job_id=job_id, error="no route"),
        ]
        commands.append(kinds[kind])
    return commands


histories = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3)), max_size=14)
poisons = st.lists(st.tuples(st.integers(0, 14), st.sampled_from(sorted(POISONS)), st.integers(0, 3)), max_size=4)


@examples(25)  # and as many the other way
@given(histories, poisons)
async def test_bad_commands_between_good_ones_leave_the_ledger_as_without_them(
    ledger: Ledger, database_url: str, history: list[tuple[int, int]], bad: list[tuple[int, str, int]]
) -> None:
    """The same events, but for time and salt, and the same answers: at once with them, and one by one without."""
    number = next(ORG_NUMBERS)
    with_them, without = f"with-{number}", f"without-{number}"
    for org in (with_them, without):
        await ledger.create_org(org)
    caller = replace(ALICE, org=with_them)
    # A bad command needs a running job; where there is none it is refused, which is as good.
    commands: list[tuple[bool, Command]] = [(True, it) for it in good_commands(caller, history)]
    for place, poison, n in bad:
        commands.insert(place, (False, Poisoned(caller=caller, job_id=n + 1, poison=poison)))

    results = await at_once(ledger, [it for _, it in commands])
    expected = [(await at_once(ledger, [it]))[0] for it in good_commands(replace(ALICE, org=without), history)]

    good = [result for (is_good, _), result in zip(commands, results, strict=True) if is_good]
    assert [_answer(it) for it in good] == [_answer(it) for it in expected]
    assert all(isinstance(it, Exception) for (is_good, _), it in zip(commands, results, strict=True) if not is_good)
    audited = await audit(database_url, with_them, without)
    for compared in ("types", "streams"):
        assert getattr(audited[with_them], compared) == getattr(audited[without], compared)
    assert audited[with_them].data[1:] == audited[without].data[1:]


def _answer(result: Any) -> Any:
    return (type(result), str(result)) if isinstance(result, Exception) else (result.result, result.first_position)
