"""What random histories of one org have in common: a ledger on the loop of their own, a clock that they move, and a model that
says of each request for what it is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from jobledger.ledger.domain.command import Caller, Command, Outcome
from jobledger.ledger.domain.copy import PutCopy
from jobledger.ledger.errors import LedgerError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from tests.auditor import audit
from tests.cluster import session
from tests.world import ALICE, projections

# Of orgs and of what is called by a name that is nowhere else.
NUMBERS = count(1)
# From when the histories' minutes count: to come, so that a head that stands there stays until it is moved.
BEGINNING = datetime(2060, 1, 1, tzinfo=UTC)
DAY = 24 * 60
FOREVER = float("inf")
# How many histories the quick part tries, and of how many steps all are.
QUICK, STEPS = 6, 32
# The copy that is changed so that something is recorded.
BYSTANDER = 999


def instant(minute: float) -> datetime:
    """The instant that many minutes after the beginning."""
    return BEGINNING + timedelta(minutes=minute)


def minute_of(text: str | None) -> float:
    """The minute of an instant as the API has it; None is without end."""
    return FOREVER if text is None else (datetime.fromisoformat(text) - BEGINNING).total_seconds() / 60


@dataclass
class Ask:
    """Something that may be asked. ``codes``: for which it may be refused, one of them; none, and it is accepted.

    ``refused`` are those of several jobs, by id, ``reasons`` all that keep the one job. ``then`` makes the model so; None where
    nothing is to be appended. The more ``weight`` the likelier its kind is chosen.
    """

    command: Command
    codes: Collection[str] = ()
    then: Callable[[Outcome], object] | None = None
    reasons: Sequence[tuple[Any, ...]] = ()
    refused: Mapping[int, Collection[str]] = field(default_factory=dict)
    weight: int = 2

    @property
    def kind(self) -> str:
        return " ".join(getattr(self.command, it, "") for it in ("action", "scope")) + type(self.command).__name__


def told_reasons(told: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """The reasons to keep a job as the API tells them, as the model has them: kind, whose, and the minute in which it is over."""
    return [(it["kind"], it.get("hold_id") or it.get("copy_id"), minute_of(it["until"])) for it in told]


class OrgHistories(RuleBasedStateMachine):
    """One org from its beginning, in *place*, named after *kind*. What a subclass adds is a model of what is so."""

    place: ClassVar[Place]
    kind: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.url = self.place.database.url
        self.org = f"{self.kind}-{next(NUMBERS)}"
        self.caller: Caller = replace(ALICE, org=self.org)
        self.ledger: Ledger = self.run(self.begun())
        self.now = 0
        self.move_clock(0)

    async def begun(self) -> Ledger:
        """A new ledger, with the org."""
        ledger = Ledger(self.place.database, projections())
        await ledger.create_org(self.org)
        return ledger

    def run(self, asked: Coroutine[Any, Any, Any]) -> Any:
        return self.place.loop.run_until_complete(asked)

    def tell(self, command: Command, codes: Collection[str] = ()) -> Outcome | None:
        """Execute it: refused exactly where the model says for what."""
        return self.judge(Ask(command, codes), self.run(self._outcome(command)))

    def tell_of_many(self, command: Command, refused: Mapping[int, Collection[str]]) -> Outcome | None:
        """Execute what is about several jobs, all or none: each is refused exactly where the model says for what."""
        codes = {"jobs_refused", "jobs_not_found"} if refused else ()
        return self.judge(Ask(command, codes, refused=refused), self.run(self._outcome(command)))

    def judge(self, ask: Ask, outcome: Outcome | LedgerError) -> Outcome | None:
        """AssertionError where that is not what became of it by the model."""
        if isinstance(outcome, Outcome):
            assert not ask.codes, f"{ask.command} is accepted, not {ask.codes}"
            return outcome
        assert outcome.code in ask.codes, f"{ask.command} is refused: {outcome.code} {outcome.facts}, not {ask.codes}"
        self.judge_facts(ask, outcome)
        return None

    def judge_facts(self, ask: Ask, refusal: LedgerError) -> None:
        if ask.refused:
            refused = {it["id"]: it["code"] for it in refusal.facts["refused"]}
            assert refused.keys() == ask.refused.keys(), (refused, ask.refused)
            assert all(code in ask.refused[job_id] for job_id, code in refused.items()), (refused, ask.refused)
        if ask.reasons and "reasons" in refusal.facts:
            assert told_reasons(refusal.facts["reasons"]) == ask.reasons

    def probe(self, asks: Sequence[Ask]) -> None:
        """Ask all of it at once: what is refused, and what is so already. Nothing is appended."""

        async def outcomes() -> list[Outcome | LedgerError]:
            return await asyncio.gather(*(self._outcome(it.command) for it in asks))

        for ask, outcome in zip(asks, self.run(outcomes()), strict=True):
            accepted = self.judge(ask, outcome)
            assert accepted is None or accepted.event_count == 0, f"{ask.command} appended {accepted}"

    async def _outcome(self, command: Command) -> Outcome | LedgerError:
        try:
            return await self.ledger.execute(command)
        except LedgerError as refusal:
            return refusal

    def move_clock(self, minutes: int) -> None:
        """Let time go by: the head stands later than the database's clock, and stays there."""
        self.now += minutes

        async def move() -> None:
            async with session(self.url) as owner:
                await owner.execute(
                    "UPDATE ledger_head SET recorded_at = $2 WHERE org = $1", self.org, instant(self.now)
                )

        self.run(move())
        copy = {"storage_policy_id": BYSTANDER, "storage_policy_name": "bystander", "name": f"copy {next(NUMBERS)}"}
        outcome = self.tell(PutCopy(caller=self.caller, copy_id=BYSTANDER, **copy))  # type: ignore[arg-type]
        assert outcome is not None
        assert outcome.recorded_at == instant(self.now)

    def change_servers(self) -> None:
        """Another server goes on, which knows what rows tell and nothing else."""
        self.run(self.ledger.close())
        self.ledger = Ledger(self.ledger.database, projections())

    async def private_contents(self) -> str:
        """All that is known in private, of whatever."""
        async with session(self.url) as owner:
            private = await owner.fetch(
                """SELECT convert_from(private, 'UTF8') AS text FROM content WHERE org = $1 AND private IS NOT NULL
                    UNION ALL SELECT private FROM job WHERE org = $1 AND private IS NOT NULL""",
                self.org,
            )
        return "".join(it["text"] for it in private)

    def look(self) -> None:
        """AssertionError where anything that is shown is not as the model has it."""
        raise TypeError(f"{type(self).__name__} looks at nothing")

    def teardown(self) -> None:
        try:
            self.look()
            self.run(audit(self.url, self.org))
        finally:
            self.run(self.ledger.close())


@dataclass(frozen=True)
class Place:
    """Where histories take place: a loop that does not run meanwhile, and a database that is open on it."""

    loop: asyncio.AbstractEventLoop
    database: Database

    def try_histories(self, histories: type[OrgHistories], *, examples: int, steps: int) -> None:
        """Try so many histories of up to so many steps."""
        machine = type("Machine", (histories,), {"place": self})
        asked = settings(max_examples=examples, stateful_step_count=steps, deadline=None)
        run_state_machine_as_test(machine, settings=asked)
