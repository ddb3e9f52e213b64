"""Questions put to the database together."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from jobledger.ledger.store import gathering as gathering_module
from jobledger.ledger.store.gathering import MOST_AT_ONCE, MOST_KEYS, STUCK_AFTER_S, Gathering


class Oracle:
    """Answers when it is let to; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None
        self.at_end: Callable[[], object] | None = None

    async def ask(self, keys: Sequence[int]) -> Mapping[int, str]:
        self.asked.append(list(keys))
        await self.may_answer.wait()
        if self.at_end is not None:
            at_end, self.at_end = self.at_end, None
            at_end()
        if self.error is not None:
            raise self.error
        return {key: f"{key}" for key in keys if key % 2 == 0}


async def settled() -> None:
    """Everything that can run now has run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_asked_at_once_is_one_statement_and_each_key_is_asked_about_once() -> None:
    oracle = Oracle()
    oracle.may_answer.set()
    gathering = Gathering(oracle.ask)

    answers = await asyncio.gather(*(gathering.answer(key) for key in (2, 3, 2, 4)))

    assert answers == ["2", None, "2", "4"]
    assert oracle.asked == [[2, 3, 4]]


async def test_no_answer_is_older_than_its_question() -> None:
    """Whoever asks while statements are under way about the same key waits for another, and only so many are under way."""
    oracle = Oracle()
    gathering = Gathering(oracle.ask)
    asking = []
    for _ in range(MOST_AT_ONCE + 2):
        asking.append(asyncio.create_task(gathering.answer(2)))
        await settled()

    assert oracle.asked == [[2]] * MOST_AT_ONCE
    oracle.may_answer.set()

    assert await asyncio.gather(*asking) == ["2"] * len(asking)
    assert oracle.asked == [[2]] * (MOST_AT_ONCE + 1)


async def test_who_asks_at_the_moment_when_the_last_answer_is_given_is_answered_too() -> None:
    oracle = Oracle()
    gathering = Gathering(oracle.ask)
    asking = []
    for key in range(MOST_AT_ONCE):
        asking.append(asyncio.create_task(gathering.answer(key)))
        await settled()
    oracle.at_end = lambda: asking.append(asyncio.create_task(gathering.answer(8)))
    oracle.may_answer.set()
    await settled()

    async with asyncio.timeout(5):
        assert (await asyncio.gather(*asking))[-1] == "8"


async def test_many_keys_go_in_several_statements() -> None:
    oracle = Oracle()
    oracle.may_answer.set()
    gathering = Gathering(oracle.ask)

    await asyncio.gather(*(gathering.answer(key) for key in range(MOST_KEYS + 1)))

    assert sorted(map(len, oracle.asked)) == [1, MOST_KEYS]


async def test_an_error_is_everybodys_and_the_next_question_is_asked_all_the_same() -> None:
    oracle = Oracle()
    oracle.may_answer.set()
    oracle.error = OSError("away")
    gathering = Gathering(oracle.ask)

    results = await asyncio.gather(*(gathering.answer(key) for key in (1, 2)), return_exceptions=True)
    oracle.error = None

    assert [type(it) for it in results] == [OSError, OSError]
    assert await gathering.answer(2) == "2"


async def test_one_who_goes_away_takes_nobody_elses_answer_along() -> None:
    oracle = Oracle()
    gathering = Gathering(oracle.ask)
    going, staying = (asyncio.create_task(gathering.answer(2)) for _ in range(2))
    await settled()

    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    oracle.may_answer.set()

    assert await staying == "2"


async def test_statements_that_are_stuck_hold_later_ones_up_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """And even so only so many are under way."""
    moment = 0.0
    monkeypatch.setattr(gathering_module, "monotonic", lambda: moment)
    oracle = Oracle()
    gathering = Gathering(oracle.ask)
    asking = []

    for key in range(6):
        asking.append(asyncio.create_task(gathering.answer(key)))
        await settled()
    assert oracle.asked == [[0], [1]]
    moment = STUCK_AFTER_S
    for key in range(6, 12):
        asking.append(asyncio.create_task(gathering.answer(key)))
        await settled()
    moment = 2 * STUCK_AFTER_S
    asking.append(asyncio.create_task(gathering.answer(12)))
    await settled()

    assert oracle.asked == [[0], [1], [2, 3, 4, 5, 6], [7]]
    oracle.may_answer.set()
    assert await asyncio.gather(*asking) == [f"{key}" if key % 2 == 0 else None for key in range(13)]
