"""The retention policy: what is in force, what was, and what a job gets of both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain.job import FINAL_STATES
from jobledger.ledger.domain.policy import FOREVER, NO_POLICY, WITHOUT_END, Policy, Rule
from jobledger.ledger.domain.policy_commands import must_be_allowed_change
from jobledger.ledger.errors import InvalidCommandError, PolicyIsLockedError

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TYPES, STATES = ("a", "b"), ("SUCCESS", "FAILED")
rules = st.builds(
    Rule,
    st.sampled_from([None, *TYPES]),
    st.sampled_from([None, *STATES]),
    st.sampled_from([0, 1, 30, FOREVER]),
    st.sampled_from([0, 2, 20, FOREVER]),
)
policies = st.lists(st.lists(rules, max_size=4), max_size=6)


def after_all(history: list[list[Rule]]) -> Policy:
    """The policy after changes an hour apart."""
    policy = NO_POLICY
    for number, changed in enumerate(history):
        policy = policy.changed(changed, BEGIN + number * HOUR)
    return policy


@given(policies, st.sampled_from((*TYPES, "c")), st.sampled_from(STATES), st.integers(-1, 6))
def test_a_job_gets_the_most_of_all_that_was_in_force_since_it_ended(
    history: list[list[Rule]], job_type: str, state: str, ended: int
) -> None:
    """Though a policy remembers only the rules that still give somebody more than those after them."""
    final_at = BEGIN + ended * HOUR + HOUR / 2
    basic, extended = after_all(history).until(job_type, state, final_at, final_at)

    since = history[max(0, min(ended, len(history) - 1)) :]
    counted = [it for version in since for it in version if it.matches(job_type, state)]
    for until, days in (
        (basic, max((it.basic_days for it in counted), default=0)),
        (extended, max((it.extended_days for it in counted), default=0)),
    ):
        assert until == (None if not days else WITHOUT_END if days == FOREVER else final_at + timedelta(days=days))


@given(policies)
def test_a_policy_is_read_back_as_it_was_written(history: list[list[Rule]]) -> None:
    policy = after_all(history)

    assert Policy.read(orjson.loads(orjson.dumps(policy.data))) == policy


@given(st.lists(rules, max_size=4), st.lists(rules, max_size=4))
def test_a_locked_policy_takes_exactly_what_gives_nobody_less(before: list[Rule], after: list[Rule]) -> None:
    policy = NO_POLICY.changed(before, BEGIN, is_locked=True)
    other = NO_POLICY.changed(after, BEGIN)
    shortens = any(
        other.days(*it)[0] < policy.days(*it)[0] or other.days(*it)[1] < policy.days(*it)[1]
        for it in product((*TYPES, "c"), sorted(FINAL_STATES))
    )

    if shortens:
        with pytest.raises(PolicyIsLockedError):
            must_be_allowed_change(policy, after, None)
    else:
        must_be_allowed_change(policy, after, None)
        assert policy.changed(after, BEGIN + HOUR).is_locked


def test_what_was_replaced_by_more_is_forgotten() -> None:
    """A policy that is changed every day does not grow."""
    short, long = [Rule(None, None, 1, 0)], [Rule(None, None, 30, 0)]

    assert len(after_all([short, long] * 50).windows) == 1
    assert len(after_all([long, short] * 50).windows) == 2


@pytest.mark.parametrize(
    "data",
    [{"basic_days": -1}, {"basic_days": True}, {"state": "RUNNING"}, {"type": 1}, {"x": 1}, {"basic_days": "ever"}],
)
def test_what_is_no_rule_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(InvalidCommandError):
        Rule.read(data)
