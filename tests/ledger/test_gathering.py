"""Questions put to the database together."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from jobledger.ledger.store.gathering import MOST_AT_ONCE, MOST_KEYS, Gathering


class Oracle:
    """Answers when it is let to; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self, keys: Sequence[int]) -> Mapping[int, str]:
        self.asked.append(list(keys))
        await self.may_answer.wait()
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
