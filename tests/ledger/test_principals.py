"""Grants: who may change them, and that a row is what the events come to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain.access import (
    CAPABILITIES,
    CAPABILITIES_BY_ROLE,
    CAPABILITY_BY_ALIAS,
    LOGGED_IN,
    Principal,
    principal_stream,
)
from jobledger.ledger.domain.access_commands import (
    AddPrincipal,
    ChangePrincipal,
    DisablePrincipal,
    EnablePrincipal,
)
from jobledger.ledger.domain.command import Caller, Command
from jobledger.ledger.domain.credential_commands import (
    RemovePassword,
    RevokeToken,
    RevokeTokens,
)
from jobledger.ledger.errors import (
    InvalidCommandError,
    LastAdministratorError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    NotLetInError,
)
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.migration import known_migrations
from jobledger.projections.past_query import PastQuery
from jobledger.projections.principal_query import PrincipalQuery
from tests.cluster import session
from tests.examples import examples
from tests.principals import ADMIN, ITSELF, add, new, principal, set_password, token_hash
from tests.world import ALICE, ORG, serving


async def test_a_grant_is_told_whole(ledger: Ledger) -> None:
    """Whoever reads the event alone knows what stood from then on; what is as it was is no event."""
    await add(ledger, "ann", "client", domains=("Sales",))

    changed = await ledger.execute(
        ChangePrincipal(caller=ITSELF, principal="ann", roles=("operator", "operator"), capabilities=("PurgeJobs",))
    )
    again = await ledger.execute(ChangePrincipal(caller=ITSELF, principal=1, roles=("operator",)))
    widened = await ledger.execute(ChangePrincipal(caller=ITSELF, principal=1, sees_all=True, home_domain="Sales"))

    assert [it.data for it in (*changed.events, *widened.events)] == [
        {"roles": ["operator"], "capabilities": ["jobs.purge"], "home_domain": "Global", "domains": ["Sales"]},
        {"roles": ["operator"], "capabilities": ["jobs.purge"], "home_domain": "Sales"},
    ]
    assert (changed.result, again.event_count) == ({"id": 1, "name": "ann", "version": 2}, 0)
    assert (await principal(ledger, 1)).domains is None


def test_the_vendors_names_are_the_designs() -> None:
    assert set(CAPABILITY_BY_ALIAS.values()) <= CAPABILITIES
    assert not CAPABILITY_BY_ALIAS.keys() & CAPABILITIES
    assert LOGGED_IN not in CAPABILITIES


@pytest.mark.parametrize(
    "members",
    [
        {"roles": ("emperor",)},
        {"capabilities": ("jobs.explode",)},
        {"capabilities": (LOGGED_IN,)},
        {"domains": (), "sees_all": True},
    ],
)
async def test_what_cannot_be_granted(ledger: Ledger, members: dict[str, Any]) -> None:
    await add(ledger, "ann", "client")

    with pytest.raises(InvalidCommandError):
        await ledger.execute(ChangePrincipal(caller=ITSELF, principal="ann", **members))


async def test_nobody_gives_what_is_not_theirs(ledger: Ledger) -> None:
    """An admin makes neither itself nor another, nor by way of another's password or token, one who may purge or place holds."""
    await add(ledger, "admin", "admin", password=True)
    await add(ledger, "officer", "compliance", password=True)
    await add(ledger, "clerk", "client")
    await add(ledger, "gone", "operator")
    await ledger.execute(DisablePrincipal(caller=ITSELF, principal="gone"))
    size = (await ledger.recorder.head(ORG)).size

    beyond: list[Command] = [
        AddPrincipal(caller=ADMIN, name="x", roles=("compliance",)),
        AddPrincipal(caller=ADMIN, name="x", roles=("operator",)),
        AddPrincipal(caller=ADMIN, name="x", capabilities=("PurgeJobs",)),
        ChangePrincipal(caller=ADMIN, principal=1, roles=("admin", "compliance")),
        ChangePrincipal(caller=ADMIN, principal=1, capabilities=("holds.manage",)),
        ChangePrincipal(caller=ADMIN, principal="clerk", roles=("operator",)),
        set_password("officer", caller=ADMIN),
        new("officer", caller=ADMIN),
        EnablePrincipal(caller=ADMIN, principal="gone"),
    ]
    for command in beyond:
        with pytest.raises(NotAllowedError, match="not theirs"):
            await ledger.execute(command)
    assert (await ledger.recorder.head(ORG)).size == size

    for command in (
        AddPrincipal(caller=ADMIN, name="x", roles=("client", "auditor")),
        ChangePrincipal(caller=ADMIN, principal="officer", roles=("auditor",)),
        ChangePrincipal(caller=ADMIN, principal="gone", roles=("operator", "client")),
        DisablePrincipal(caller=ADMIN, principal="officer"),
        RemovePassword(caller=ADMIN, principal="officer"),
        RevokeTokens(caller=ADMIN, principal="officer"),
        set_password("clerk", caller=ADMIN),
    ):
        await ledger.execute(command)


async def test_a_wider_sight_is_given_by_those_who_may_do_there_what_it_lets_do(ledger: Ledger) -> None:
    await add(ledger, "admin", "admin")
    await add(ledger, "sales", "operator", domains=("Sales",))

    with pytest.raises(NotAllowedError, match="not theirs"):
        await ledger.execute(ChangePrincipal(caller=ADMIN, principal="sales", sees_all=True))
    with pytest.raises(NotAllowedError, match="not theirs"):
        await ledger.execute(ChangePrincipal(caller=ADMIN, principal="sales", domains=("Sales", "Support")))
    await ledger.execute(ChangePrincipal(caller=ADMIN, principal="sales", domains=()))

    assert (await principal(ledger, 2)).domains == []


async def test_who_sees_some_domains_manages_nobody(ledger: Ledger) -> None:
    """Principals are of the whole org."""
    await add(ledger, "ann", "admin")
    some = replace(ALICE, domains=frozenset({"Sales"}))

    for command in (
        AddPrincipal(caller=some, name="x", roles=("client",)),
        ChangePrincipal(caller=some, principal="ann", roles=()),
        DisablePrincipal(caller=some, principal="ann"),
        new("ann", caller=some),
        RevokeTokens(caller=some, principal="ann"),
    ):
        with pytest.raises(NotAllowedError, match="some of its domains"):
            await ledger.execute(command)


LOCK_OUT: list[Callable[[Caller], Command]] = [
    lambda caller: DisablePrincipal(caller=caller, principal="ann"),
    lambda caller: ChangePrincipal(caller=caller, principal="ann", roles=("compliance",)),
    lambda caller: RemovePassword(caller=caller, principal="ann"),
    lambda caller: ChangePrincipal(caller=caller, principal="ann", domains=("Sales",)),
]


@pytest.mark.parametrize("command", LOCK_OUT)
@pytest.mark.parametrize("caller", [ITSELF, ALICE], ids=["command line", "API"])
async def test_the_last_who_can_manage_an_org_stays(
    ledger: Ledger, command: Callable[[Caller], Command], caller: Caller
) -> None:
    """Others count only if they can come in, and see all: not one that is disabled, or has neither password nor lasting token."""
    await add(ledger, "ann", "admin", "compliance", password=True)
    await add(ledger, "bob", "admin")
    await add(ledger, "eve", "admin", password=True)
    await ledger.execute(DisablePrincipal(caller=ITSELF, principal="eve"))
    await ledger.execute(new("bob", lifetime=timedelta(days=1)))
    await add(ledger, "sue", "admin", password=True, domains=("Sales",))

    with pytest.raises(LastAdministratorError):
        await ledger.execute(command(caller))
    await ledger.execute(new("bob"))

    assert (await ledger.execute(command(caller))).event_count == 1


async def test_of_two_who_go_at_once_one_stays(ledger: Ledger) -> None:
    """Also where both are asked for in one batch."""
    for name in ("ann", "bob", "eve"):
        await add(ledger, name, "admin", password=True)

    results = await asyncio.gather(
        *(ledger.execute(DisablePrincipal(caller=ITSELF, principal=it)) for it in ("ann", "bob", "eve")),
        return_exceptions=True,
    )

    assert [type(it).__name__ for it in results] == ["Outcome", "Outcome", "LastAdministratorError"]


async def test_one_disabled_is_let_in_by_nothing_until_it_is_enabled(ledger: Ledger) -> None:
    query = PrincipalQuery(ledger.database)
    await add(ledger, "ann", "client", password=True)
    await ledger.execute(new("ann", token_hash=token_hash("t")))

    for _ in range(2):
        disabled = await ledger.execute(DisablePrincipal(caller=ITSELF, principal="ann", reason="left"))
    assert await query.by_token(ORG, token_hash("t")) is None
    assert (await query.by_name(ORG, "ann")).is_disabled  # type: ignore[union-attr]
    assert disabled.event_count == 0
    for _ in range(2):
        await ledger.execute(EnablePrincipal(caller=ITSELF, principal="ann"))

    assert (await query.by_token(ORG, token_hash("t"))) is not None
    assert not (await query.by_name(ORG, "ann")).is_disabled  # type: ignore[union-attr]


names = st.sampled_from(["ann", "bob", "nobody"])
grants = st.fixed_dictionaries(
    {},
    optional={
        "roles": st.lists(st.sampled_from([*CAPABILITIES_BY_ROLE]), max_size=2).map(tuple),
        "capabilities": st.lists(st.sampled_from(["PurgeJobs", "holds.manage"]), max_size=2).map(tuple),
        "domains": st.lists(st.sampled_from(["Sales", "Größe \"'{}"]), max_size=2).map(tuple),
    },
)
commands = st.lists(
    st.one_of(
        st.builds(lambda name, it: ChangePrincipal(caller=ITSELF, principal=name, **it), names, grants),
        st.builds(lambda name: DisablePrincipal(caller=ITSELF, principal=name), names),
        st.builds(lambda name: EnablePrincipal(caller=ITSELF, principal=name), names),
        st.builds(set_password, names),
        st.builds(lambda name: RemovePassword(caller=ITSELF, principal=name), names),
        st.builds(lambda name, label: new(name, label=label), names, st.none() | st.just("nightly \"'{},")),
        st.builds(lambda name: new(name, lifetime=timedelta(milliseconds=5)), names),
        st.builds(lambda name: RevokeTokens(caller=ITSELF, principal=name), names),
    ),
    max_size=12,
)


@examples(40)
@given(commands=commands)
async def test_a_row_is_the_fold_of_the_events(ledger: Ledger, database_url: str, commands: list[Command]) -> None:
    """What another server loads from the rows is what the events alone come to. The auditor compares rows and credentials."""
    for name in ("ann", "bob"):
        if await PrincipalQuery(ledger.database).by_name(ORG, name) is None:
            await add(ledger, name, "admin", password=True)
    await asyncio.gather(*(ledger.execute(it) for it in commands), return_exceptions=True)

    async with serving(database_url) as other:
        for number in (1, 2):
            loaded = await principal(other, number)
            folded: Any = None
            async for stored in ledger.recorder.scan(ORG, stream=principal_stream(number)):
                folded = stored.event().mutate(folded)
            for aggregate in (loaded, folded):
                aggregate.settle()
            known = {name: it for name, it in vars(folded).items() if name != "_modified_on"}
            assert {name: vars(loaded)[name] for name in known} == known
            assert list(loaded.tokens) == list(folded.tokens)


@examples(40)
@given(commands=commands, size=st.integers(1, 3))
async def test_who_could_do_what_is_the_fold_up_to_there(ledger: Ledger, commands: list[Command], size: int) -> None:
    """At every position, in pages of any size: whoever reviews access sees what the events up to there come to."""
    for name in ("ann", "bob"):
        if await PrincipalQuery(ledger.database).by_name(ORG, name) is None:
            await add(ledger, name, "admin", password=True)
    before = (await ledger.recorder.head(ORG)).size
    await asyncio.gather(*(ledger.execute(it) for it in commands), return_exceptions=True)
    query, folded = PastQuery(ledger.database, ledger.recorder), dict[str, Any]()

    async for stored in ledger.recorder.scan(ORG):
        stream = stored.envelope()["stream"]
        if stream.startswith("principal-"):
            folded[stream] = stored.event().mutate(folded.get(stream))
        if stored.position < before - 1:
            continue
        moment = await query.moment(ORG, stored.position)
        shown: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = await query.principals(ORG, moment, after=after, limit=size)
            shown += page.documents
            after = page.next_after
        assert shown == [as_shown(it, moment.now) for it in folded.values()]


def as_shown(principal: Principal, now: datetime) -> dict[str, Any]:
    """What a review shows of it."""
    return {
        "id": int(principal.id.removeprefix("principal-")),
        "name": principal.name,
        "roles": principal.roles,
        "capabilities": principal.capabilities,
        "home_domain": principal.home_domain,
        "domains": principal.domains,
        "is_disabled": principal.is_disabled,
        "has_password": principal.password is not None,
        "tokens": len([it for it in principal.tokens.values() if it.expires_at is None or it.expires_at > now]),
        "version": principal.version,
        "added_at": principal.created_on,
    }


async def test_every_change_is_told_as_the_ledgers_own_or_the_principals(ledger: Ledger) -> None:
    await add(ledger, "ann", "admin")
    await ledger.execute(DisablePrincipal(caller=ALICE, principal="ann"))

    told: list[StoredEvent] = [it async for it in ledger.recorder.scan(ORG, stream="principal-1")]

    assert [it.envelope()["by"] for it in told] == ["ledger", "principal-1"]


async def test_a_principal_that_there_is_not(ledger: Ledger) -> None:
    for who in ("nobody", 7):
        for command in (
            ChangePrincipal(caller=ITSELF, principal=who, roles=()),
            DisablePrincipal(caller=ITSELF, principal=who),
            EnablePrincipal(caller=ITSELF, principal=who),
            set_password(who),
            RemovePassword(caller=ITSELF, principal=who),
            new(who),
            RevokeTokens(caller=ITSELF, principal=who),
        ):
            with pytest.raises(LedgerError) as caught:
                await ledger.execute(command)
            assert isinstance(caught.value, NotFoundError)


async def test_what_earlier_releases_wrote_is_taken_over(ledger: Ledger, database_url: str) -> None:
    """The migration's rows are what the fold makes of the events: the auditor compares them when the test is over."""
    await add(ledger, "ann", "admin", "compliance", password=True)
    await add(ledger, "bob", "admin", domains=("Sales",))
    await add(ledger, "eve", "admin")
    await add(ledger, "kim", "client", password=True)
    await ledger.execute(new("bob", lifetime=timedelta(milliseconds=1)))
    await ledger.execute(new("bob", lifetime=timedelta(days=1)))
    await ledger.execute(new("eve"))
    [migration] = [it for it in known_migrations() if it.name == "0005_access"]
    _, taken_over, statements = migration.sql.partition("-- What the fold makes")
    async with session(database_url) as owner:
        await owner.execute(
            "UPDATE principal SET is_administrator = false, password = NULL, tokens = '{}', added_at = '-infinity'"
        )
        await owner.execute("UPDATE ledger_head SET projections = jsonb_set(projections, '{access,fold}', '1')")

        await owner.execute(taken_over + statements)

        assert await owner.fetchval("SELECT array_agg(id ORDER BY id) FROM principal WHERE is_administrator") == [1, 3]
    await ledger.execute(DisablePrincipal(caller=ITSELF, principal="kim"))


A_TOKEN = uuid4()
LETS_IN_NO_MORE: list[tuple[Command, type[LedgerError]]] = [
    (DisablePrincipal(caller=ITSELF, principal="ann"), NotLetInError),
    (RevokeTokens(caller=ITSELF, principal="ann"), NotLetInError),
    (ChangePrincipal(caller=ITSELF, principal="ann", roles=("auditor",)), NotAllowedError),
    (ChangePrincipal(caller=ITSELF, principal="ann", domains=("Sales",)), NotAllowedError),
]


@pytest.mark.parametrize(("change", "refusal"), LETS_IN_NO_MORE)
async def test_who_may_no_longer_leaves_no_back_door(
    ledger: Ledger, change: Command, refusal: type[LedgerError]
) -> None:
    """It was let in before; what is decided on is who it is now, also where both are decided in one batch."""
    await add(ledger, "ann", "admin")
    await add(ledger, "bob", "admin", password=True)
    await ledger.execute(new("ann", credential=A_TOKEN))
    ann = replace(ADMIN, credential=str(A_TOKEN))
    back_doors: list[Command] = [
        AddPrincipal(caller=ann, name="x", roles=("admin",)),
        ChangePrincipal(caller=ann, principal="bob", roles=("admin", "client")),
        set_password("bob", caller=ann),
        new(2, caller=ann),
        RemovePassword(caller=ann, principal=2),
        DisablePrincipal(caller=ann, principal="bob"),
        EnablePrincipal(caller=ann, principal="ann"),
        RevokeToken(caller=ann, credential=A_TOKEN),
        RevokeTokens(caller=ann, principal="bob"),
    ]

    asked = [await ledger.enqueue(it) for it in (change, *back_doors)]
    changed, *refused = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(it) for it in refused] == [refusal] * len(back_doors)
    assert not isinstance(changed, BaseException)
    assert (await ledger.recorder.head(ORG)).size == changed.positions[-1] + 1
