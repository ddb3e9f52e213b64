"""Grants, passwords and tokens: who may change them, and that what lets in is what the events say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
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
from jobledger.ledger.domain.command import Caller, Command, Outcome
from jobledger.ledger.domain.credential_commands import (
    LOGIN_LIFETIME,
    MOST_ISSUED_TOKENS,
    MOST_LOGIN_TOKENS,
    IssueToken,
    LogIn,
    RemovePassword,
    RevokeToken,
    RevokeTokens,
    SetOwnPassword,
    SetPassword,
)
from jobledger.ledger.errors import (
    InvalidCommandError,
    LastAdministratorError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    TooManyTokensError,
)
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.ledger.store.migration import known_migrations
from jobledger.projections.principal_query import PrincipalQuery
from tests.cluster import session
from tests.world import ALICE, ORG, idempotency, serving

ITSELF = ledger_itself(ORG)
ADMIN = replace(ALICE, capabilities=CAPABILITIES_BY_ROLE["admin"])


def token_hash(name: str) -> bytes:
    return sha256(name.encode()).digest()


def new(principal: int | str, *, caller: Caller = ITSELF, **members: Any) -> IssueToken:
    given = {"credential": uuid4(), "token_hash": uuid4().bytes * 2, **members}
    return IssueToken(caller=caller, principal=principal, **given)


def set_password(principal: int | str, *, caller: Caller = ITSELF, password_hash: str = "a hash") -> SetPassword:
    return SetPassword(caller=caller, principal=principal, credential=uuid4(), password_hash=password_hash)


async def add(ledger: Ledger, name: str, *roles: str, password: bool = False, **members: Any) -> int:
    """The number of a new principal."""
    shown: dict[str, Any] = {"credential": uuid4(), "password_hash": f"hash of {name}'s"} if password else {}
    outcome = await ledger.execute(AddPrincipal(caller=ITSELF, name=name, roles=roles, **shown, **members))
    number: int = outcome.result["id"]
    return number


async def principal(ledger: Ledger, number: int) -> Principal:
    found = await ledger.aggregate(ORG, principal_stream(number))
    assert isinstance(found, Principal)
    return found


async def log_in(ledger: Ledger, number: int) -> Outcome:
    """Log in as one who has just shown the password that there is."""
    who = await principal(ledger, number)
    caller = replace(ALICE, principal=who.id, capabilities=frozenset({LOGGED_IN}))
    return await ledger.execute(
        LogIn(
            caller=caller,
            principal=number,
            credential=uuid4(),
            token_hash=uuid4().bytes * 2,
            shown=who.password or "",
        )
    )


def types(outcome: Outcome) -> list[str]:
    return [it.type_name for it in outcome.events]


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
    await add(ledger, "sales", "operator", domains=("Sales",))

    with pytest.raises(NotAllowedError, match="not theirs"):
        await ledger.execute(ChangePrincipal(caller=ADMIN, principal="sales", sees_all=True))
    with pytest.raises(NotAllowedError, match="not theirs"):
        await ledger.execute(ChangePrincipal(caller=ADMIN, principal="sales", domains=("Sales", "Support")))
    await ledger.execute(ChangePrincipal(caller=ADMIN, principal="sales", domains=()))

    assert (await principal(ledger, 1)).domains == []


async def test_who_sees_some_domains_manages_nobody(ledger: Ledger) -> None:
    """Principals are of the whole org."""
    await add(ledger, "ann", "client")
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
]


@pytest.mark.parametrize("command", LOCK_OUT)
@pytest.mark.parametrize("caller", [ITSELF, ALICE], ids=["command line", "API"])
async def test_the_last_who_can_manage_an_org_stays(
    ledger: Ledger, command: Callable[[Caller], Command], caller: Caller
) -> None:
    """Others count only if they can come in: not one that is disabled, or has neither password nor lasting token."""
    await add(ledger, "ann", "admin", password=True)
    await add(ledger, "bob", "admin")
    await add(ledger, "eve", "admin", password=True)
    await ledger.execute(DisablePrincipal(caller=ITSELF, principal="eve"))
    await ledger.execute(new("bob", lifetime=timedelta(days=1)))

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


async def test_a_new_password_takes_the_place_of_the_old_and_ends_logins(ledger: Ledger, database_url: str) -> None:
    """The hash of the old one is nowhere any more; tokens that were issued by hand stay."""
    await add(ledger, "ann", "client", password=True)
    await log_in(ledger, 1)
    await ledger.execute(new("ann"))

    changed = await ledger.execute(set_password("ann", password_hash="hash of the new"))

    assert types(changed) == ["token.revoked", "principal.password_set"]
    assert [it.is_login for it in (await principal(ledger, 1)).tokens.values()] == [False]
    async with session(database_url) as owner:
        kept = await owner.fetch("SELECT kind, hash FROM credential ORDER BY kind")
    assert [it["kind"] for it in kept] == ["password", "token"]
    assert kept[0]["hash"] == b"hash of the new"


async def test_a_password_is_changed_once_however_many_change_it_at_once(ledger: Ledger, database_url: str) -> None:
    """In one batch: of the hashes one is left, the last."""
    await add(ledger, "ann", "client", password=True)

    await asyncio.gather(*(ledger.execute(set_password("ann", password_hash=f"hash {it}")) for it in range(5)))

    async with session(database_url) as owner:
        assert await owner.fetchval("SELECT array_agg(hash) FROM credential") == [b"hash 4"]
    known = await PrincipalQuery(ledger.database).by_name(ORG, "ann")
    assert known is not None
    assert known.password_hash == "hash 4"


async def test_a_password_that_was_changed_meanwhile_logs_nobody_in(ledger: Ledger) -> None:
    """It was verified before; what is decided on is the newest state."""
    await add(ledger, "ann", "client", password=True)
    shown = (await principal(ledger, 1)).password or ""
    me = replace(ALICE, capabilities=frozenset({LOGGED_IN}))
    login = {"principal": 1, "credential": uuid4(), "token_hash": token_hash("t"), "shown": shown}
    own = {"principal": 1, "credential": uuid4(), "password_hash": "mine", "shown": shown}
    await ledger.execute(set_password("ann"))

    with pytest.raises(NotAllowedError):
        await ledger.execute(LogIn(caller=me, **login))  # type: ignore[arg-type]
    with pytest.raises(NotAllowedError):
        await ledger.execute(SetOwnPassword(caller=me, **own))  # type: ignore[arg-type]

    login["shown"] = own["shown"] = (await principal(ledger, 1)).password or ""
    await ledger.execute(LogIn(caller=me, **login))  # type: ignore[arg-type]
    await ledger.execute(DisablePrincipal(caller=ITSELF, principal="ann"))
    with pytest.raises(NotAllowedError):
        await ledger.execute(SetOwnPassword(caller=me, **own))  # type: ignore[arg-type]


async def test_of_logins_the_newest_20_live_for_12_hours(ledger: Ledger) -> None:
    """The oldest is revoked by the append that issues one more; tokens that were issued by hand do not count."""
    await add(ledger, "ann", "client", password=True)
    await ledger.execute(new("ann"))
    logins = [await log_in(ledger, 1) for _ in range(MOST_LOGIN_TOKENS + 2)]

    assert [types(it) for it in logins] == [["token.issued"]] * MOST_LOGIN_TOKENS + [
        ["token.revoked", "token.issued"]
    ] * 2
    first = [it.result["credential"] for it in logins[:2]]
    assert [it.events[0].data["credential"] for it in logins[-2:]] == first
    tokens = (await principal(ledger, 1)).tokens
    alive = [name for name, it in tokens.items() if it.is_login]
    assert alive == [it.result["credential"] for it in logins[2:]]
    for outcome in logins:
        assert outcome.events[-1].data["expires_at"] == outcome.recorded_at + LOGIN_LIFETIME


async def test_tokens_issued_by_hand_are_bounded(ledger: Ledger) -> None:
    await add(ledger, "ann", "client")
    issued = [await ledger.enqueue(new("ann")) for _ in range(MOST_ISSUED_TOKENS)]
    await asyncio.gather(*issued)

    with pytest.raises(TooManyTokensError):
        await ledger.execute(new("ann"))
    await ledger.execute(RevokeToken(caller=ITSELF, credential=UUID(issued[0].result().result["credential"])))
    await ledger.execute(new("ann"))


async def test_a_token_revoked_lets_nobody_in_whatever_lies_in_its_table(ledger: Ledger, database_url: str) -> None:
    """Its hash goes with it; were it put back by hand, or from a backup, it would still count for nothing."""
    query = PrincipalQuery(ledger.database)
    await add(ledger, "ann", "client")
    issued = await ledger.execute(new("ann", token_hash=token_hash("t")))
    credential = UUID(issued.result["credential"])
    async with session(database_url) as owner:
        [row] = await owner.fetch("SELECT * FROM credential")

        revoked = await ledger.execute(RevokeToken(caller=ITSELF, credential=credential, reason="lost"))
        assert await owner.fetchval("SELECT count(*) FROM credential") == 0
        await owner.execute("INSERT INTO credential VALUES ($1, $2, $3, $4, $5, $6, $7)", *row)
        assert await query.by_token(ORG, token_hash("t")) is None
        await owner.execute("DELETE FROM credential")

    assert [it.data for it in revoked.events] == [{"credential": str(credential), "reason": "lost"}]
    for absent in (credential, uuid4()):
        with pytest.raises(NotFoundError):
            await ledger.execute(RevokeToken(caller=ITSELF, credential=absent))


async def test_what_is_issued_and_revoked_in_one_batch_is_gone(ledger: Ledger, database_url: str) -> None:
    await add(ledger, "ann", "client")
    credential = uuid4()

    results = await asyncio.gather(
        ledger.execute(RevokeTokens(caller=ITSELF, principal="ann")),
        ledger.execute(new("ann", credential=credential)),
        ledger.execute(RevokeToken(caller=ITSELF, credential=credential)),
        ledger.execute(new("ann")),
        ledger.execute(RevokeTokens(caller=ITSELF, principal="ann")),
    )

    assert [it.event_count for it in results] == [0, 1, 1, 1, 1]
    async with session(database_url) as owner:
        assert await owner.fetchval("SELECT count(*) FROM credential") == 0


async def test_a_repeat_is_answered_as_before_and_issues_nothing(ledger: Ledger) -> None:
    await add(ledger, "ann", "client")
    first = await ledger.execute(new("ann", token_hash=token_hash("t"), idempotency=idempotency("k")))
    again = await ledger.execute(new("ann", token_hash=token_hash("u"), idempotency=idempotency("k")))

    assert again.is_repeated
    assert again.result == first.result
    assert await PrincipalQuery(ledger.database).by_token(ORG, token_hash("u")) is None


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


@settings(max_examples=40)
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


async def test_every_change_is_told_as_the_ledgers_own_or_the_principals(ledger: Ledger) -> None:
    await add(ledger, "ann", "client")
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
