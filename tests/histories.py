"""What random histories of one org have in common: a ledger on the connections that tests share, and a model that says what is
refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from jobledger.ledger.domain.command import Caller, Command, Outcome
from jobledger.ledger.errors import LedgerError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from tests.world import ALICE, projections

# Of orgs and of what is called by a name that is nowhere else.
NUMBERS = count(1)


class OrgHistories(RuleBasedStateMachine):
    """One org from its beginning, in the database of *place*, named after *kind*. What a subclass adds is a model of what is so."""

    place: ClassVar[Place]
    kind: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.url = self.place.database.url
        self.org = f"{self.kind}-{next(NUMBERS)}"
        self.caller: Caller = replace(ALICE, org=self.org)
        self.ledger: Ledger = self.run(self.begun())

    async def begun(self) -> Ledger:
        """A new ledger, with the org."""
        ledger = Ledger(self.place.database, projections())
        await ledger.create_org(self.org)
        return ledger

    def run(self, asked: Coroutine[Any, Any, Any]) -> Any:
        return self.place.loop.run_until_complete(asked)

    def tell(self, command: Command, *, is_refused: bool) -> Outcome | None:
        """Execute it: refused exactly where the model says so."""
        if not is_refused:
            outcome: Outcome = self.run(self.ledger.execute(command))
            return outcome
        with pytest.raises(LedgerError):
            self.run(self.ledger.execute(command))
        return None

    def look(self) -> None:
        """AssertionError where anything is not as the model has it, or the audit finds a fault."""
        raise TypeError(f"{type(self).__name__} looks at nothing")

    def teardown(self) -> None:
        try:
            self.look()
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
